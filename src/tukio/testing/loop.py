"""An event loop in virtual time: asyncio's or uvloop's, with timers of its own.

Owns:   the jump to the next timer when nothing else can happen, and the verdict "deadlock" when
        there is no timer either.
Knows:  `call_soon` of the loop beneath. Threads and sockets are invisible to it, as they are to
        trio's mock clock: while a test waits for one of them, the next timer fires at once.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from contextvars import copy_context
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    _Loop = asyncio.BaseEventLoop
else:
    _Loop = object

Args = TypeVarTuple("Args")

START = 0.0
"""What every clock shows when its run begins. Zero, so that `==` on times stays exact."""

BRIEF = 0.0005
"""Real seconds of idleness without a nap: a loop that was stopped still turns a few times."""


class Deadlock(RuntimeError):
    """Nothing can happen any more, and the test still waits."""


class VirtualTime(_Loop):
    """Event-loop mixin that keeps its own timers and jumps from one to the next.

    Idleness is detected, not guessed. A probe is queued behind every callback that is ready; if
    none of them has queued another by the time the probe runs, nothing can happen before the next
    timer. This takes no more than `call_soon`, so it works on uvloop as well, whose own clock
    cannot be replaced.

    Attributes:
        patience: Real seconds of idleness, without any timer to jump to, after which the loop
            raises `Deadlock`. Until then it polls for news from threads and sockets.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow_callback_duration: float = math.inf  # a jump is not a slow callback
        self.patience: float = 2.0
        self._now = START
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Callable[[], object]]] = []
        self._arrival = itertools.count()  # timers of the same instant keep their order
        self._queued_count = 0  # never reset: only its changes matter
        self._settlers: list[asyncio.Future[None]] = []
        self._is_probing = False
        self._is_deadlocked = False
        self._idle_since = math.nan  # by the real clock; nan while there is something to do

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    def live_timers(self) -> list[asyncio.TimerHandle]:
        """Return the timers that have neither fired nor been cancelled, in no special order."""
        return [timer for _, _, timer, _ in self._timers if not timer.cancelled()]

    async def settle(self) -> None:
        """Wait until nothing can happen unless time passes; none passes meanwhile."""
        settler = self.create_future()
        self._settlers.append(settler)
        await settler

    def run_forever(self) -> None:
        """Run until `stop` is called.

        Raises:
            Deadlock: Nothing is queued, there is no timer, and no news came for `patience`.
        """
        if not self._is_probing:
            self._is_probing = True
            self._probe_later()
        super().run_forever()
        if self._is_deadlocked:
            self._is_deadlocked = False
            self._idle_since = math.nan
            names = ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self)))
            msg = f"deadlock: nothing queued, no timer, nothing from outside - waiting: {names}"
            raise Deadlock(msg)

    def call_soon(
        self,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Queue a callback, and note that there is something to do."""
        self._queued_count += 1
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Queue a callback from any thread, and note that there is something to do."""
        self._queued_count += 1
        return super().call_soon_threadsafe(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer, `delay` seconds from now."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer; one at infinity is kept, and never fires."""
        # Copied now: when the timer fires, the context is that of the probe.
        context = copy_context() if context is None else context
        timer = asyncio.TimerHandle(when, callback, args, self, context)

        def queue() -> None:
            super(VirtualTime, self).call_soon(fire, context=context)

        def fire() -> None:
            # A timer of the same instant may have cancelled this one since it was queued.
            if not timer.cancelled():
                callback(*args)

        heappush(self._timers, (when, next(self._arrival), timer, queue))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: a cancelled timer is dropped when it reaches the top of the heap."""

    def _probe_later(self) -> None:
        super().call_soon(self._probe, self._queued_count)

    def _probe(self, queued_before: int) -> None:
        if self._queued_count == queued_before:
            self._on_idle()
        else:
            self._idle_since = math.nan
        self._probe_later()  # behind all that `_on_idle` has queued

    def _on_idle(self) -> None:
        while self._timers and self._timers[0][2].cancelled():
            heappop(self._timers)
        if self._settlers:
            self._wake_settlers()
        elif self._timers and self._timers[0][0] < math.inf:
            self._jump()
        else:
            self._stay_idle()

    def _wake_settlers(self) -> None:
        while self._settlers:
            settler = self._settlers.pop()
            if not settler.done():
                settler.set_result(None)

    def _jump(self) -> None:
        self._idle_since = math.nan
        self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            *_, queue = heappop(self._timers)
            queue()

    def _stay_idle(self) -> None:
        now = time.monotonic()
        if math.isnan(self._idle_since):
            self._idle_since = now
        if now - self._idle_since < BRIEF:
            return
        if now - self._idle_since < self.patience:
            time.sleep(0.001)
        elif not self._is_deadlocked:
            self._is_deadlocked = True
            self.stop()  # once: uvloop would obey a second one in the next run
