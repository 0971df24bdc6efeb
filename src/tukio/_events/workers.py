"""The tasks that await the calls of async handlers: as few as these need.

Owns:   which handlers are due, and the workers.
Knows:  how to start something in the background, given by whoever owns the broker.

As a driver drives steps, so a worker drives calls: it begins each with one `send(None)`, in a
context of the call's own. A call that ends there costs no task. One that suspends keeps its
worker, and if more handlers are due, one more worker is started for them. So slow handlers do not
wait for each other, and a handler has one call at a time.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from .._loop.coroutines import ENDED, finish_awaiting, one_by_one
from .._loop.running import own_cancellations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextvars import Context
    from typing import Any, Protocol

    from .._loop.coroutines import Turns

    StartService = Callable[[Callable[[], Awaitable[None]], str], None]
    # What is to be awaited, and where it runs.
    Call = tuple[Coroutine[Any, Any, object], Context]

    class Caller(Protocol):
        """What has calls to be made, one after the other."""

        @property
        def handler(self) -> object:
            """Who is called."""
            ...

        def take(self) -> Call | None:
            """Return the next call, or None.

            After None, the caller requests a worker again when it has one.
            """
            ...

        def lose_call(self) -> bool:
            """Called when its call was cut; return whether it has another one to be made."""
            ...

        def cut_short(self, *, in_progress: int = 0) -> None:
            """Called when no more calls will be made, with how many were cut."""
            ...


log: logging.Logger = logging.getLogger("tukio.broker")

BUDGET = 64
"""How many calls a worker may make without suspending before it lets others have a turn."""

NAME = "tukio handlers"


class Workers:
    """The workers of one broker.

    Args:
        start_service: Starts an async function in the background, under a name.
        stay: Whether a worker stays for a turn of the loop when nothing is due.

    Attributes:
        stay: The same. Who sends an event in each turn finds the same worker. But it may stay only
            where somebody waits for it in the end, by `drain`.
    """

    __slots__ = (
        "_deadline",
        "_due",
        "_free",
        "_idle",
        "_scopes",
        "_start_service",
        "_starting",
        "stay",
    )

    def __init__(self, start_service: StartService, *, stay: bool) -> None:
        self.stay: bool = stay
        self._start_service: StartService = start_service
        # Handlers that a call waits for and that have none in progress, each once.
        self._due: deque[Caller] = deque()
        # The one worker that takes what is due: started and not yet begun, or, by its scope, at
        # work and not kept by a call.
        self._starting: bool = False
        self._free: anyio.CancelScope | None = None
        # One for each worker that has begun.
        self._scopes: set[anyio.CancelScope] = set()
        self._deadline: float = math.inf
        # Set when all calls have been dealt with; None while nobody waits for that.
        self._idle: anyio.Event | None = None

    def call_for(self, caller: Caller) -> None:
        """Have the calls made that wait for a handler which has none in progress.

        Raises:
            EngineError: There is nothing here that could await them. Nothing changes.
        """
        if not self._is_one_free():
            self._start()
        self._due.append(caller)

    async def drain(self, deadline: float) -> None:
        """Wait until all calls have been dealt with, those included that they lead to.

        Args:
            deadline: When those still in progress are cut, on the clock of the backend.

        Cancellation: the calls go on, and keep the deadline.
        """
        self._deadline = deadline
        for scope in self._scopes:
            scope.deadline = deadline
        while not self._is_idle():
            self._idle = self._idle or anyio.Event()
            await self._idle.wait()

    def _start(self) -> None:
        self._start_service(self._work, NAME)
        self._starting = True

    def _is_one_free(self) -> bool:
        return self._starting or self._free is not None

    def _is_idle(self) -> bool:
        return not self._scopes and not self._starting

    async def _work(self) -> None:
        """Make the calls that are due, until there are none.

        Shielded, so that the end of a run that is cancelled together with all around it is told
        like any other; `drain` gives it a limit.
        """
        self._starting = False
        gone = False
        scope = anyio.CancelScope(deadline=self._deadline, shield=True)
        self._free = scope
        self._scopes.add(scope)
        try:
            with scope:
                await self._make_due_calls(scope)
        except GeneratorExit:
            # So is the event loop: there is nothing left that could await anything.
            gone = True
            raise
        finally:
            if self._free is scope:
                self._free = None
            if gone or scope.cancel_called:
                # Time is up, for all of them.
                while self._due:
                    self._due.popleft().cut_short()
            self._start_for_the_rest()
            self._scopes.remove(scope)
            if self._idle is not None and self._is_idle():
                self._idle.set()
                self._idle = None

    async def _make_due_calls(self, scope: anyio.CancelScope) -> None:
        """Be the worker that is free, until nothing is due, another one is, or it is cancelled."""
        cancelling = own_cancellations()
        due, budget = self._due, self._a_call_of_each()
        calls = one_by_one()
        while (due or self.stay) and not (scope.cancel_called or cancelling()):
            if not due or not budget:
                await anyio.lowlevel.checkpoint()
                if not due:
                    return
                budget = self._a_call_of_each()
            caller = due.popleft()
            call = caller.take()
            if call is None:
                continue
            budget -= 1
            calls = await self._make(call, caller, calls, scope, cancelling)
            due.append(caller)
            if self._free is not scope:
                if self._is_one_free():
                    return
                self._free = scope

    def _a_call_of_each(self) -> int:
        # Or more might wait after each turn of the loop than before it.
        return max(BUDGET, len(self._due))

    async def _make(
        self,
        call: Call,
        caller: Caller,
        calls: Turns,
        scope: anyio.CancelScope,
        cancelling: Callable[[], int],
    ) -> Turns:
        """Make a call by what runs one after the other, and return what runs the next."""
        coro, context = call
        runner, send = calls
        try:
            trap = context.run(send, coro)
            if trap is not ENDED:
                self._free = None
                self._start_for_the_rest()
                await finish_awaiting(context, runner, trap)
        except BaseException as error:  # noqa: ASYNC103 - raised on, or not meant for this task
            ends = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
            is_cancelled = not (ends or isinstance(error, Exception))
            if ends or (is_cancelled and scope.cancel_called):
                caller.cut_short(in_progress=1)
                raise
            if is_cancelled and cancelling():
                # By somebody who means this call, and none of the others.
                if caller.lose_call():
                    self._due.append(caller)
                raise
            # A cancellation that is left is that of something else, which the handler has found.
            log.exception("async handler %r failed", caller.handler)
            calls = one_by_one()
        return calls

    def _start_for_the_rest(self) -> None:
        """Start one more worker if something is due that no other will take."""
        if self._due and not self._is_one_free():
            self._start()
