"""Data that a task cannot take: all that is wrong with it, each with its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .errors import TukioError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TOLD = 10
"""The largest number of misfits that the text of an error tells; the error has all."""


class Misfit(NamedTuple):
    """One thing that is wrong with the data of a task.

    Attributes:
        path: Where in the data: `pages[2].url`; empty for the data itself.
        problem: The problem, as part of a sentence. It names types, and no values.
    """

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class InvalidInput(TukioError, ValueError):
    """The data that a task was handed does not fit the type that it takes; it was not called.

    The text has no values out of the data: it ends up in logs.

    Attributes:
        kind: The name of the type that the task takes.
        misfits: All that is wrong, in the order of the fields.
    """

    def __init__(self, kind: str, misfits: Sequence[Misfit]) -> None:
        self.kind: str = kind
        self.misfits: tuple[Misfit, ...] = tuple(misfits)
        super().__init__(kind, self.misfits)

    def __str__(self) -> str:
        told = "; ".join(map(str, self.misfits[:MOST_TOLD]))
        more = f"; and {len(self.misfits) - MOST_TOLD} more" if self.misfits[MOST_TOLD:] else ""
        return f"the data is no {self.kind}: {told}{more}"
