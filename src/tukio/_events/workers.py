"""The workers: tasks that await the calls of async handlers, as few as these calls need.

Owns:   which handlers are due, and the workers.
Knows:  how to start a task in the background; the owner of the broker gives the function for that.

A worker drives calls as a driver drives steps: it begins each call with one `send(None)`, in the
call's own context. A call that ends there costs no task. A call that suspends keeps its worker; if
more handlers are due, one more worker is started for them. So slow handlers never wait for each
other, and a handler never has more than one call in progress.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from .._loop.coroutines import ENDED, finish_awaiting, one_by_one
from .._loop.running import own_cancellations
from .._model.guard import attempt, program_end
from .._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextvars import Context
    from typing import Any, Protocol

    from .._loop.coroutines import Turns

    StartService = Callable[[Callable[[], Awaitable[None]], str], None]
    # The coroutine of the call, not begun, and the context that all of it runs in.
    Call = tuple[Coroutine[Any, Any, object], Context]

    class Caller(Protocol):
        """An async handler with its waiting calls, which are made one after the other."""

        @property
        def handler(self) -> object:
            """The handler, for log messages."""
            ...

        def take(self) -> Call | None:
            """Return the next call, or None.

            After None, the caller requests a worker again when it has one.
            """
            ...

        def lose_call(self) -> bool:
            """Called when a call was cancelled; return whether another call waits."""
            ...

        def cut_short(self, *, in_progress: int = 0) -> None:
            """Called when no more calls will be made.

            Args:
                in_progress: The number of calls that were cancelled while in progress.
            """
            ...


log: Log = Log("tukio.broker")

BUDGET = 64
"""The number of calls a worker may make without suspending before other tasks have a turn."""

NAME = "tukio handlers"


class Workers:
    """The workers of one broker.

    Args:
        start_service: Starts an async function in the background, under a name.
        stay: Whether a worker stays for one turn of the loop when nothing is due.

    Attributes:
        stay: Whether a worker stays for one turn of the loop when nothing is due. A sender of one
            event in each turn then finds the same worker each time. True only where `drain` waits
            for the workers in the end. Changed only by a broker that takes another one over.
    """

    __slots__ = (
        "_at_work",
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
        # Handlers that have a waiting call and none in progress, each at most once. Whenever this
        # is not empty and other tasks have a turn, a free worker is there to take what is due.
        self._due: deque[Caller] = deque()
        # Handler -> the callers that become due when its call in progress, which has suspended, has
        # ended. There are any only if it was unregistered meanwhile, and registered anew.
        self._at_work: dict[object, list[Caller]] = {}
        # At most one worker is free. It is either started and has not begun yet, which `_starting`
        # says, or it has begun and no call keeps it: then this is its scope.
        self._starting: bool = False
        self._free: anyio.CancelScope | None = None
        # The scopes of all workers that have begun and not ended; each worker adds and removes its
        # own.
        self._scopes: set[anyio.CancelScope] = set()
        # The deadline of every scope in `_scopes`, now and later: set by `drain` for good.
        self._deadline: float = math.inf
        # Set, and replaced by None, when no worker is left; always None while nothing waits for
        # that.
        self._idle: anyio.Event | None = None

    def call_for(self, caller: Caller) -> None:
        """Make the calls of a handler that has waiting calls, and none in progress or due.

        Raises:
            EngineError: No event loop here could await the calls. Nothing changes.
        """
        # A handler whose hash raises by now has no call in progress that is known.
        after, _ = attempt(self._at_work.get, caller.handler)
        if after is not None:
            # The handler has a call in progress, of when it was registered before.
            after.append(caller)
            return
        if not self._is_one_free():
            # Before the handler becomes due, because this may raise.
            self._start()
        self._due.append(caller)

    async def drain(self, deadline: float) -> None:
        """Wait until all calls have ended, including those that other calls lead to.

        Args:
            deadline: The instant, on the clock of the backend, at which calls still in progress are
                cancelled.

        Cancellation: the calls go on, and keep the deadline.
        """
        # Never later than before: whoever waits again, after an interruption, gives no more time.
        self._deadline = deadline = min(deadline, self._deadline)
        for scope in self._scopes:
            scope.deadline = deadline
        # Looked at anew after each wait, because a call that ends may have started a new worker.
        while not self._is_idle():
            self._idle = self._idle or anyio.Event()
            await self._idle.wait()

    def _start(self) -> None:
        """Start a worker; there must be no free one."""
        # First, because this may raise: then there still is no free worker.
        self._start_service(self._work, NAME)
        self._starting = True

    def _is_one_free(self) -> bool:
        """Return whether a worker will take what is due."""
        return self._starting or self._free is not None

    def _is_idle(self) -> bool:
        """Return whether no worker is left, begun or not: then no call is in progress or due."""
        return not self._scopes and not self._starting

    async def _work(self) -> None:
        """Make the calls that are due, until there are none.

        A worker is shielded from cancellation, so that handlers get the last events of a run even
        if the run is cancelled together with the whole program. `drain` sets a limit to that.
        """
        # At once, before any await: from here on the scope stands for this worker.
        self._starting = False
        gone = False
        scope = anyio.CancelScope(deadline=self._deadline, shield=True)
        self._free = scope
        self._scopes.add(scope)
        try:
            with scope:
                await self._make_due_calls(scope)
        except GeneratorExit:
            # The event loop is gone, too, so nothing is left that could await a call.
            gone = True
            raise
        finally:
            if self._free is scope:
                self._free = None
            if gone or scope.cancel_called:
                # All workers have the same deadline, so no other worker will make these calls.
                while self._due:
                    self._due.popleft().cut_short()
            # Before the scope is removed, so that the workers never look idle in between.
            self._start_for_the_rest()
            self._scopes.remove(scope)
            if self._idle is not None and self._is_idle():
                self._idle.set()
                self._idle = None

    async def _make_due_calls(self, scope: anyio.CancelScope) -> None:
        """Make the calls that are due, as the free worker.

        Returns when nothing is due, when another worker has become the free one, or when this
        worker is cancelled.

        Args:
            scope: The scope of this worker.
        """
        cancelling = own_cancellations()
        due, budget = self._due, self._a_call_of_each()
        calls = one_by_one()
        while (due or self.stay) and not (scope.cancel_called or cancelling()):
            if not due or not budget:
                # Still the free worker while others have a turn: what they add is made below.
                await anyio.lowlevel.checkpoint()
                if not due:
                    return
                budget = self._a_call_of_each()
            caller = due.popleft()
            call = caller.take()
            if call is None:
                # Dropped since it became due; the handler asks for a worker anew.
                continue
            budget -= 1
            calls = await self._make(call, caller, calls, scope, cancelling)
            # Due only now that its call has ended, and last: handlers take turns.
            due.append(caller)
            if self._free is not scope:
                # The call has suspended. Meanwhile another worker may have become the free one.
                if self._is_one_free():
                    return
                self._free = scope

    def _a_call_of_each(self) -> int:
        """Return the number of calls to make before other tasks have a turn."""
        # One of each handler at least: otherwise more calls might wait after each turn of the loop
        # than before it.
        return max(BUDGET, len(self._due))

    async def _make(
        self,
        call: Call,
        caller: Caller,
        calls: Turns,
        scope: anyio.CancelScope,
        cancelling: Callable[[], int],
    ) -> Turns:
        """Make a call, and return the runner for the next call.

        Args:
            call: The call.
            caller: The handler that is called.
            calls: The runner: runs coroutines one after the other.
            scope: The scope of this worker.
            cancelling: Counts the native cancellations that this task has not answered.
        """
        coro, context = call
        runner, send = calls
        try:
            trap = context.run(send, coro)
            if trap is not ENDED:
                # The call keeps this worker. Before it is awaited, another one must be free for
                # what is due.
                self._free = None
                self._start_for_the_rest()
                # A handler whose hash raises by now is not kept from a second call meanwhile.
                attempt(self._at_work.__setitem__, caller.handler, [])
                try:
                    await finish_awaiting(context, runner, trap)
                finally:
                    # Before the end of this worker, if it comes to that: others take what is due.
                    anew, problem = attempt(self._at_work.pop, caller.handler)
                    self._due += anew if problem is None else ()
        except BaseException as error:  # noqa: ASYNC103 - raised on, or not meant for this task
            ending = error if isinstance(error, GeneratorExit) else program_end(error)
            is_cancelled = ending is None and not isinstance(error, Exception)
            if ending is not None or (is_cancelled and scope.cancel_called):
                caller.cut_short(in_progress=1)
                if ending is None or ending is error:
                    raise
                # Out of a group, of which the rest is told here.
                log.exception("async handler %s failed", caller.handler)
                raise ending from None  # noqa: ASYNC104 - it ends the program
            if is_cancelled and cancelling():
                # User code has cancelled this task natively: that is meant for this call only. The
                # worker ends by it, and another one makes the other calls.
                if caller.lose_call():
                    self._due.append(caller)
                raise
            # Any other cancellation is the result of something that the handler has awaited, and so
            # an error of the handler like the others.
            log.exception("async handler %s failed", caller.handler)
            # The exception has ended the old runner.
            calls = one_by_one()
        return calls

    def _start_for_the_rest(self) -> None:
        """Start one more worker if a handler is due and no worker is free."""
        if self._due and not self._is_one_free():
            self._start()
