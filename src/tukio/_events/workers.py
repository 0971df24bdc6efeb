"""The workers: tasks that await the calls of async handlers, as few as these calls need.

Owns:   which handlers are due, and the workers.
Knows:  how to start a task in the background; the owner of the broker gives the function for that.

A worker drives calls as a driver drives steps: it begins each call with one `send(None)`, in the
call's own context. A call that ends there costs no task. A call that suspends keeps its worker; if
more handlers are due, one more worker is started for them. So slow handlers never wait for each
other, and a handler never has more than one call in progress.

A call that awaits anything may leave something behind on the task that made it, as a time limit
around the `yield` of a generator that was read by half. It is the last call of its worker, so it
cuts no other.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from .._loop.coroutines import ENDED, finish_awaiting, one_by_one
from .._loop.running import own_cancellations
from .._model.guard import attempt, program_end
from .._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._loop.contract import Scope
    from .._loop.coroutines import Turns
    from .._loop.services import Host
    from .caller import Call, Caller

log: Log = Log("tukio.broker")

BUDGET = 64
"""The number of calls a worker may make without suspending before other tasks have a turn."""

NAME = "tukio handlers"


class _Worker:
    """One task that makes calls.

    Args:
        scope: The scope of the task.

    Attributes:
        scope: Likewise.
        caller: The handler whose call was made last; None before the first one.
        unclean: Whether a call has left another scope open within the scope.
    """

    __slots__ = ("caller", "scope", "unclean")

    def __init__(self, scope: Any) -> None:
        self.scope: Any = scope
        self.caller: Caller | None = None
        self.unclean: bool = False


class Workers:
    """The workers of one broker.

    Args:
        host: Starts tasks in the background.
        stay: Whether a worker stays for one turn of the loop when nothing is due.

    Attributes:
        serves: A weak reference to the engine that the handlers are for; None if there is none.
        stay: Whether a worker stays for one turn of the loop when nothing is due. A sender of one
            event in each turn then finds the same worker each time. True only where `drain` waits
            for the workers in the end. Changed only by a broker that takes another one over.
    """

    __slots__ = (
        "_at_work",
        "_deadline",
        "_due",
        "_free",
        "_host",
        "_idle",
        "_starting",
        "_workers",
        "serves",
        "stay",
    )

    def __init__(self, host: Host, *, stay: bool) -> None:
        self.stay: bool = stay
        self.serves: Callable[[], Any] | None = host.serves
        self._host: Host = host
        # Handlers that have a waiting call and none in progress, each at most once. Whenever this
        # is not empty and other tasks have a turn, a free worker is there to take what is due.
        self._due: deque[Caller] = deque()
        # Handler -> the callers that become due when its call in progress, which has suspended, has
        # ended. There are any only if it was unregistered meanwhile, and registered anew.
        self._at_work: dict[object, list[Caller]] = {}
        # At most one worker is free. It is either started and has not begun yet, which `_starting`
        # says, or it has begun and no call keeps it: then this is it.
        self._starting: bool = False
        self._free: _Worker | None = None
        # All workers that have begun and not ended; each adds and removes itself.
        self._workers: set[_Worker] = set()
        # The deadline of every worker, now and later: set by `drain` for good.
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
        for worker in self._workers:
            # One that is unclean can be cut no more, and would keep the timer.
            if not worker.unclean:
                worker.scope.deadline = deadline
        # Looked at anew after each wait, because a call that ends may have started a new worker.
        while not self._is_idle():
            self._idle = self._idle or anyio.Event()
            await self._idle.wait()

    def _start(self) -> None:
        """Start a worker; there must be no free one."""
        # First, because this may raise: then there still is no free worker.
        self._host.start_service(self._work, NAME)
        self._starting = True

    def _is_one_free(self) -> bool:
        """Return whether a worker will take what is due."""
        return self._starting or self._free is not None

    def _is_idle(self) -> bool:
        """Return whether no worker is left, begun or not: then no call is in progress or due."""
        return not self._workers and not self._starting

    async def _work(self) -> None:
        """Make the calls that are due, until there are none.

        A worker is shielded from cancellation, so that handlers get the last events of a run even
        if the run is cancelled together with the whole program. `drain` sets a limit to that.
        """
        # At once, before any await: from here on this stands for the worker.
        self._starting = False
        gone = False
        self._free = worker = _Worker(self._host.scope(self._deadline, shield=True))
        self._workers.add(worker)
        try:
            await self._work_in_scope(worker)
        except GeneratorExit:
            # The event loop is gone, too, so nothing is left that could await a call.
            gone = True
            raise
        finally:
            if self._free is worker:
                self._free = None
            if gone or worker.scope.cancel_called:
                # All workers have the same deadline, so no other worker will make these calls.
                while self._due:
                    self._due.popleft().cut_short()
            # Before this worker is removed, so that they never look idle in between.
            self._start_for_the_rest()
            self._workers.remove(worker)
            if self._idle is not None and self._is_idle():
                self._idle.set()
                self._idle = None

    async def _work_in_scope(self, worker: _Worker) -> None:
        """Make the calls that are due in the scope of a worker, and see whether that can be left.

        Raises:
            BaseException: What ends the worker, or the program.
        """
        try:
            with worker.scope:
                try:
                    await self._make_due_calls(worker)
                finally:
                    gone = isinstance(sys.exception(), GeneratorExit)
                    worker.unclean = not gone and bool(self._host.left_open(worker.scope))
        except RuntimeError as error:
            if not worker.unclean:
                raise
            # Of an unclean worker, it only says that the scope could not be left.
            through = error.__context__
            await self._abandon(worker)  # noqa: ASYNC102, ASYNC120 - it shields itself
            ending = None if through is None else program_end(through)
            if ending is not None:
                raise ending from None

    async def _abandon(self, worker: _Worker) -> None:
        """Name the handler that has left a scope open, and end what goes on there."""
        assert worker.caller is not None
        handler = worker.caller.handler
        log.error(
            "async handler %s has left a cancel scope or a task group open - close a generator that"
            " is not read to its end, as by contextlib.aclosing(...)",
            handler,
        )
        # Never left, it would keep its timer.
        worker.scope.deadline = math.inf
        # Before this waits: others that are due must not wait for what was left.
        if self._free is worker:
            self._free = None
        self._start_for_the_rest()
        for error in await self._host.abandon(worker.scope):
            log.error("async handler %s failed", handler, exc_info=error)

    async def _make_due_calls(self, worker: _Worker) -> None:
        """Make the calls that are due, as the free worker.

        Returns when nothing is due, when a call may have left something behind here, or when this
        worker is cancelled.
        """
        scope, left_open = worker.scope, self._host.left_open
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
            worker.caller = caller
            calls = await self._make(call, caller, calls, scope, cancelling)
            is_clean = caller.prompt and not left_open(scope)
            # Due only now that its call has ended, and last: handlers take turns.
            if is_clean or caller.has_more():
                due.append(caller)
            if not is_clean:
                return

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
        scope: Scope,
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
