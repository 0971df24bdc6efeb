"""Alarms: functions that are called at instants of a clock, all by one timer.

Owns:   the heap of instants, and the one timer that is set for the earliest of them.

On trio each timer is a task, and on asyncio each takes a place in the heap of the loop: what waits
for very long, and for very many, shares one.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # An instant, what tells it from others of that instant, and the function; none when called off.
    Alarm = tuple[float, int, list[Callable[[], object]]]

log: logging.Logger = logging.getLogger("tukio")

FEW = 64
"""How many alarms that were called off may wait in the heap for their turn, at least."""


class Alarms:
    """The alarms of one clock.

    Args:
        clock: Returns the time, in seconds.
        call_at: Sets a timer: calls a function at an instant of that clock, and returns what calls
            it off.
    """

    __slots__ = ("_call_at", "_clock", "_heap", "_live", "_next", "_numbers", "_unset")

    def __init__(
        self,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], object]], Callable[[], Any]],
    ) -> None:
        self._clock: Callable[[], float] = clock
        self._call_at: Callable[[float, Callable[[], object]], Callable[[], Any]] = call_at
        self._heap: list[Alarm] = []
        self._numbers: Iterator[int] = count()
        # How many of the heap were not called off.
        self._live: int = 0
        # When the timer goes off; inf exactly when there is none.
        self._next: float = math.inf
        self._unset: Callable[[], Any] | None = None

    def __len__(self) -> int:
        return self._live

    def at(self, instant: float, function: Callable[[], object]) -> Callable[[], None]:
        """Call a function at an instant, and return what calls that off.

        Functions of one instant are called in the order they were set, never from within this. One
        that raises is logged, and keeps no other from being called.
        """
        cell = [function]
        heappush(self._heap, (instant, next(self._numbers), cell))
        self._live += 1
        if instant < self._next:
            self._set_timer(instant)
        return partial(self._call_off, cell)

    def _call_off(self, cell: list[Callable[[], object]]) -> None:
        if not cell:
            return
        cell.clear()
        self._live -= 1
        if not self._live:
            # With the last alarm goes the timer: on trio the engine could not be left before.
            self._heap.clear()
            self._set_timer(math.inf)
        elif len(self._heap) > FEW + 2 * self._live:
            self._heap = [alarm for alarm in self._heap if alarm[2]]
            heapify(self._heap)

    def _set_timer(self, instant: float) -> None:
        unset, self._unset = self._unset, None
        self._next = instant
        if unset is not None:
            unset()
        if instant < math.inf:
            self._unset = self._call_at(instant, self._ring)

    def _ring(self) -> None:
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
        self._live -= 1
        try:
            function()
        except Exception:
            log.exception("an alarm failed")
