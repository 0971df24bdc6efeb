"""Alarms: functions that are called at instants of a clock, all by one timer.

Owns:   the heap of instants, and the one timer that is set for the earliest of them.

A timer is not free: on trio each one is a task, and on asyncio each one is an entry in the heap of
the loop. So all alarms of a clock share one timer.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

from .._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # The instant, a number by which alarms of one instant are told apart, and a list that holds the
    # function. The list is empty once the alarm was called off or has been called.
    Alarm = tuple[float, int, list[Callable[[], object]]]

log: Log = Log("tukio")

FEW = 64
"""At least this many alarms that were called off may stay in the heap."""


class Alarms:
    """The alarms of one clock.

    Args:
        clock: Returns the time, in seconds.
        call_at: Sets a timer, which calls a function at an instant of that clock. Returns a
            function that cancels the timer.
    """

    __slots__ = ("_call_at", "_clock", "_heap", "_live", "_next", "_numbers", "_unset")

    def __init__(
        self,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], object]], Callable[[], Any]],
    ) -> None:
        self._clock: Callable[[], float] = clock
        self._call_at: Callable[[float, Callable[[], object]], Callable[[], Any]] = call_at
        # Always a heap by instant, then by number. Alarms that were called off stay in it until
        # their turn comes, or until they are too many.
        self._heap: list[Alarm] = []
        # Grows by one with each alarm, so no two entries of the heap compare equal.
        self._numbers: Iterator[int] = count()
        # The number of alarms in the heap that were not called off.
        self._live: int = 0
        # The instant of the timer; inf exactly while no timer is set. Never later than the earliest
        # live alarm while other tasks have a turn.
        self._next: float = math.inf
        # Cancels the timer; None exactly while no timer is set.
        self._unset: Callable[[], Any] | None = None

    def __len__(self) -> int:
        return self._live

    def at(self, instant: float, function: Callable[[], object]) -> Callable[[], None]:
        """Call a function at an instant, and return a function that calls this off.

        Functions of one instant are called in the order in which they were set, never from within
        this method. An exception that a function raises is logged, and the other functions are
        called all the same.
        """
        cell = [function]
        heappush(self._heap, (instant, next(self._numbers), cell))
        self._live += 1
        if instant < self._next:
            self._set_timer(instant)
        return partial(self._call_off, cell)

    def _call_off(self, cell: list[Callable[[], object]]) -> None:
        """Call an alarm off; nothing happens if it was called, or called off, before.

        Args:
            cell: The list of the alarm.
        """
        if not cell:
            return
        cell.clear()
        self._live -= 1
        if not self._live:
            # The timer goes with the last alarm, because on trio the timer is a task in the nursery
            # of the engine: the engine could not be left before the timer ends.
            self._heap.clear()
            self._set_timer(math.inf)
        elif len(self._heap) > FEW + 2 * self._live:
            self._heap = [alarm for alarm in self._heap if alarm[2]]
            heapify(self._heap)

    def _set_timer(self, instant: float) -> None:
        """Replace the timer by one for an instant; inf sets none."""
        unset, self._unset = self._unset, None
        self._next = instant
        if unset is not None:
            unset()
        if instant < math.inf:
            self._unset = self._call_at(instant, self._ring)

    def _ring(self) -> None:
        """Called by the timer: call the functions that are due, and set the next timer."""
        # Before any function is called, because it may set an alarm: that then sets a new timer.
        self._unset = None
        self._next = math.inf
        now = self._clock()
        # What is set from now on is for the next turn: one alarm that sets itself anew, on a clock
        # that stands still meanwhile, would keep everybody else from ever having theirs.
        due: deque[Alarm] = deque()
        while self._heap and (self._heap[0][0] <= now or not self._heap[0][2]):
            due.append(heappop(self._heap))
        try:
            while due:
                *_, cell = due.popleft()
                if cell:
                    self._call(cell.pop())
        finally:
            # Whatever was raised: those that were not called are still to come.
            for alarm in due:
                heappush(self._heap, alarm)
            while self._heap and not self._heap[0][2]:
                heappop(self._heap)
            instant = self._heap[0][0] if self._heap else math.inf
            if instant != self._next:
                self._set_timer(instant)

    def _call(self, function: Callable[[], object]) -> None:
        # Before the call: the function may set alarms, or call others off, which looks at this.
        self._live -= 1
        try:
            function()
        except Exception:
            log.exception("an alarm failed")
