"""A run that waits, and has no driver meanwhile: to be resumed, for its turn, or for an instant.

Owns:   what the run waits for, the steps that are to be run later, and the alarm that keeps its
        deadline, as there is no scope to do that.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._loop.alarms import Alarms
    from .._step.step import LiveStep


class WaitsFor(enum.Enum):
    """What a run can wait for without a driver."""

    RESUME = "to be resumed"
    TURN = "for other runs to end"
    INSTANT = "until a task is run again"
    CHILD = "for runs that its tasks have started"


CALLED_OFF: Final = frozenset(WaitsFor) - {WaitsFor.CHILD}
"""What a run that stops waits for no more; its children must have unwound before it is over."""


class Waiting:
    """What one run waits for; made when it first does.

    It is true for as long as the run waits for anything.

    Attributes:
        reasons: What the run waits for.
        since: When it began to wait for what it waits for, on the clock of the run.
        interrupted: The steps that were interrupted and have unwound, in that order. They are
            neither ready nor over: `resume` makes them ready again, the end of the run ends them.
        children: The runs that its steps have started, and that are not over, in that order; None
            if there never was one. Only `children` changes it.
        put_off: The steps that have not begun, and become ready at an instant, each with what
            calls its alarm off.
    """

    __slots__ = ("_call_off", "children", "interrupted", "put_off", "reasons", "since")

    def __init__(self) -> None:
        # `Run.wait_for` adds to it, `Run.stop_waiting` empties it.
        self.reasons: set[WaitsFor] = set()
        self.since: float = 0.0
        # A step gets here only while the run is suspended: otherwise it is run again, or cancelled.
        self.interrupted: list[LiveStep] = []
        self.put_off: dict[LiveStep, Callable[[], None]] = {}
        self.children: dict[Any, None] | None = None
        # Calls off the alarm; None exactly when there is none.
        self._call_off: Callable[[], None] | None = None

    def add(self, reason: WaitsFor, now: float) -> None:
        """Wait for something, from an instant on if for nothing else before."""
        if not self.reasons:
            self.since = now
        self.reasons.add(reason)

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def take_interrupted(self) -> list[LiveStep]:
        """Return the steps that were interrupted; there are none from now on."""
        interrupted, self.interrupted = self.interrupted, []
        return interrupted

    def take_put_off(self) -> list[LiveStep]:
        """Return the steps that wait for an instant; none waits from now on."""
        put_off, self.put_off = self.put_off, {}
        for call_off in put_off.values():
            call_off()
        return list(put_off)

    def keep_deadline(
        self, alarms: Alarms, deadline: float, function: Callable[[], object]
    ) -> None:
        """Set an alarm that calls a function at the deadline, in place of an earlier one."""
        self.stop_keeping_deadline()
        if deadline < math.inf:
            self._call_off = alarms.at(deadline, function)

    def stop_keeping_deadline(self) -> None:
        """Leave the deadline to the drivers of the run, or to nobody."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
