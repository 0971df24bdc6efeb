"""A run that waits, and has no driver meanwhile: for a resume, or for its turn to start.

Owns:   what the run waits for, the steps that are to be run again, and the alarm that keeps its
        deadline, as there is no scope to do that.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._loop.alarms import Alarms
    from .._step.step import LiveStep


class WaitsFor(enum.Enum):
    """What a run can wait for without a driver."""

    RESUME = "to be resumed"
    TURN = "for other runs to end"


class Waiting:
    """What one run waits for; made when it first does.

    It is true for as long as the run waits for anything.

    Attributes:
        reasons: What the run waits for.
        interrupted: The steps that were interrupted and have unwound, in that order. They are
            neither ready nor over: `resume` makes them ready again, the end of the run ends them.
    """

    __slots__ = ("_call_off", "interrupted", "reasons")

    def __init__(self) -> None:
        # `Run.wait_for` adds to it, `Run.stop_waiting` empties it.
        self.reasons: set[WaitsFor] = set()
        # A step gets here only while the run is suspended: otherwise it is run again, or cancelled.
        self.interrupted: list[LiveStep] = []
        # Calls off the alarm; None exactly when there is none.
        self._call_off: Callable[[], None] | None = None

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def take_interrupted(self) -> list[LiveStep]:
        """Return the steps that were interrupted; there are none from now on."""
        interrupted, self.interrupted = self.interrupted, []
        return interrupted

    def keep_deadline(
        self, alarms: Alarms, deadline: float, function: Callable[[], object]
    ) -> None:
        """Set the alarm that calls a function at the deadline of the run, in place of an earlier one."""
        self.stop_keeping_deadline()
        if deadline < math.inf:
            self._call_off = alarms.at(deadline, function)

    def stop_keeping_deadline(self) -> None:
        """Leave the deadline to the drivers of the run, or to nobody."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
