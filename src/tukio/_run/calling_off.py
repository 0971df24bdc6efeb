"""What becomes of all that is due in a run that stops.

Owns:   in which order those are told that wait for what will not begin, or not go on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .._model.guard import call_all
from .._model.state import CANCELLED
from .settling import RunOfSteps, end_interrupted
from .waiting import CALLED_OFF, Waiting, WaitsFor

if TYPE_CHECKING:
    from collections.abc import Callable

    from .announcement import Announcement


class StoppedRun(RunOfSteps, Protocol):
    """What the end of what is due asks of its run."""

    announcement: Announcement | None
    wholes: dict[Any, bool] | None

    @property
    def waiting(self) -> Waiting | None:
        """What it waits for."""
        ...

    def stop_waiting(self, *reasons: WaitsFor) -> None:
        """Wait for some things no more."""
        ...


def call_off(run: StoppedRun) -> None:
    """Call off the steps of a run that are ready, put off, or interrupted."""
    # These never began: they have no event and no end, but those who wait for them are told.
    unbegun = run.plan.call_off()
    if run.announcement is not None:
        run.announcement.call_off()
    calls: list[Callable[[], object]] = []
    last: list[Callable[[], object]] = []
    if run.waiting is not None and not run.waiting.reasons.isdisjoint(CALLED_OFF):
        # There will be no resume.
        calls += [partial(end_interrupted, run, step) for step in run.waiting.take_interrupted()]
        unbegun += run.waiting.take_put_off()
        # Until then the run is not over, whatever is called.
        last.append(partial(run.stop_waiting, *CALLED_OFF))
    for step in unbegun:
        step.state = CANCELLED
    calls += [step._let_go for step in unbegun]
    # After them those that have nothing at work, and wait for what will not begin.
    call_all([*calls, *(whole.end_if_over for whole in run.wholes or ()), *last])
