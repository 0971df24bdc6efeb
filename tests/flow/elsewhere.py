"""A module with a function and classes whose names other modules have, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Job:
    """A class whose name other modules have, too."""

    url: str


async def fetch(job: Job) -> None:
    """Take what this module calls a job."""


def define(make: Callable[[], Any]) -> Any:
    """Return what a function returns, which is called where `Job` is another one."""
    Job = int  # noqa: N806, F841 - seen by nobody
    return make()


def made() -> Any:
    """Return a class that refers to another one of this function."""

    @dataclass
    class Page:
        n: int

    @dataclass
    class Outer:
        page: Page

    return Outer
