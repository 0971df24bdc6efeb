"""trio as the guest of whoever calls: a run that goes on only for a call, in virtual time.

Owns:   the ticks of the run, and its end.
Knows:  the guest mode of trio, which is public.
"""

from __future__ import annotations

from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import trio

from .calls import Calls
from .deadlock import started_by
from .remains import discard, discard_kept
from .trio import VirtualClock, deadlock_of, scheduled  # noqa: ASYNC106 - a module of ours

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .calls import Call
    from .deadlock import Patience


class GuestHost:
    """A run of trio that goes on only for a call: a guest of whoever calls.

    Args:
        calls: What its main task does.
        seed: As for `tukio.testing.run`.
        patience: The real time that it waits for threads.

    Raises:
        NotImplementedError: This trio cannot be given a seed.
    """

    def __init__(self, calls: Calls, *, seed: int | None, patience: Patience) -> None:
        discard_kept()
        self._calls: Calls = calls
        calls.expose = _exposed
        self._patience: Patience = patience
        # Held between two calls: by the task itself, before trio looks for the next deadline.
        self._clock: VirtualClock = VirtualClock(patience)
        self._clock.hold()
        # What trio wants to have called next.
        self._ticks: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._has_ended: bool = False
        # How; None before, and when that was told.
        self._outcome: Any = None
        with ExitStack() as seeded:
            seeded.enter_context(scheduled(seed))
            trio.lowlevel.start_guest_run(
                self._main,
                run_sync_soon_threadsafe=self._ticks.put,
                done_callback=self._ended,
                clock=self._clock,
                instruments=[self._clock],
            )
            self._seeded: ExitStack = seeded.pop_all()
        self._token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()

    # Ctrl-C comes to this task: to the coroutines that it awaits, and not to what is around them.
    @trio.lowlevel.enable_ki_protection
    async def _main(self) -> None:
        started_by.set(self._clock)
        await self._calls.serve()

    def _ended(self, outcome: Any) -> None:
        self._has_ended, self._outcome = True, outcome

    def carry_out(self, call: Call) -> None:
        """Let the run go on until a call is over.

        Raises:
            Deadlock: The run has broken off, and the call is not over; or threads did not end.
            BaseException: What has ended the task instead. The call is not over.
        """
        call.when_over = self._clock.hold
        self._soon(lambda: self._calls.put(call))
        with self._patience.judged():
            self._go_on(lambda: call.is_over)

    def close(self) -> None:
        """End the run."""
        try:
            if not self._has_ended:
                self._soon(self._calls.close)
                self._go_on(bool)
        finally:
            self._seeded.close()

    def _soon(self, function: Callable[[], object]) -> None:
        """Call a function in the run, in which time may pass from then on."""

        def call() -> None:
            # Not before: until trio has looked at what comes from outside, it knows of no call, and
            # would go on to the next deadline.
            self._clock.go_on()
            function()

        self._token.run_sync_soon(call)

    # Else Ctrl-C could cost a tick, and the run would never go on.
    @trio.lowlevel.enable_ki_protection
    def _go_on(self, is_enough: Callable[[], bool]) -> None:
        """Let the run go on until something is true, or to its end.

        Raises:
            Deadlock: The run has broken off.
            BaseException: What has ended it otherwise.
        """
        while not self._has_ended and not is_enough():
            self._ticks.get()()
        if self._outcome is not None:
            outcome, self._outcome = self._outcome, None
            try:
                outcome.unwrap()
            except trio.TrioInternalError as error:
                deadlock = deadlock_of(error)
            else:
                return
            # Nor must anything else here keep the tasks.
            del outcome
            self._calls, self._ticks = Calls(), SimpleQueue()
            discard(self._clock.left_behind)
            raise deadlock


@trio.lowlevel.disable_ki_protection
async def _exposed(coroutine: Coroutine[Any, Any, Any]) -> Any:
    __tracebackhide__ = True
    return await coroutine
