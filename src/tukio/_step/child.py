"""The run that a step has started, as far as the report of the step tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._model.children import without_data
from .._model.detach import detached

if TYPE_CHECKING:
    from collections.abc import Mapping


class ChildOfStep(Protocol):
    """What the report of a step asks of the run that the step has started."""

    def report(self, *, data: bool = True) -> dict[str, Any]:
        """Return the report of that run; all of it is new."""
        ...


class CallsOfStep(Protocol):
    """What a step asks of the runs that its code has started."""

    @property
    def awaited(self) -> int:
        """How many of them the step awaits."""
        ...

    def handed_over(self, step: Any) -> CallsOfStep:
        """Return what the next execution of the task begins with."""
        ...

    def drop(self) -> None:
        """Called when the step is over: cancel those that it does not await."""
        ...


class Reported:
    """A child of which only the report is there: it is over, or is to go on after a rescue."""

    __slots__ = ("_report",)

    def __init__(self, report: Mapping[str, Any]) -> None:
        self._report: Mapping[str, Any] = report

    def report(self, *, data: bool = True) -> dict[str, Any]:
        """Return a copy of the report."""
        return detached(dict(self._report)) if data else without_data(self._report)


def reported(report: Mapping[str, Any] | None) -> Reported | None:
    """Return a child of which a report tells; None if there is none."""
    return None if report is None else Reported(report)
