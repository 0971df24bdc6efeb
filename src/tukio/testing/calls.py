"""The one task of a run that is called several times, and what it is called with.

Owns:   the calls of the task, one after the other, and what a cancellation means to a call.

Between two calls the task waits, out of reach of any cancellation by a scope; a native one that
comes then is handed on to the next call. As all is awaited in this task, a scope or a task group
may be entered in one call, and left in a later one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio

from .._loop.running import native_task, own_cancellations, running_backend
from .clock import GUARD, Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Expose = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]

CUT = (
    "cancelled from around: by a scope or a task group that a fixture has open, or natively"
    " - the clean-up of that fixture tells more"
)
CALLED_OFF = "cancelled, because all of this run was, for a deadlock"


class Call:
    """A coroutine that is awaited by the task of a run, and what comes of it.

    Args:
        coroutine: The coroutine.
        about: What a deadlock tells the place of.
        always: Whether it is awaited although Ctrl-C came before.

    Attributes:
        always: Whether it is awaited although Ctrl-C came before; never changes.
        is_over: Whether the coroutine has ended.
        result: What it has returned.
        error: What it has raised, or what is told instead of a cancellation; None if nothing.
        was_cut: Whether it was cancelled by what was open before.
        when_over: Called in the task as soon as it is over.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], about: object, *, always: bool) -> None:
        # Handed on as it begins: a run that breaks off must not be kept by who looks at the call.
        self._begin: tuple[Coroutine[Any, Any, Any], object] | None = coroutine, about
        self.always: bool = always
        self.is_over: bool = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.was_cut: bool = False
        self.when_over: Callable[[], object] = bool

    async def carry_out(self, around: anyio.CancelScope, expose: Expose, before: int) -> None:
        """Await the coroutine.

        Args:
            around: The scope around all calls. No scope of this call alone would do: the coroutine
                may leave others open in there.
            expose: Makes an awaitable of it that Ctrl-C may cut anywhere.
            before: How many native cancellations earlier calls have got.
        """
        __tracebackhide__ = True
        assert self._begin is not None
        (coroutine, about), self._begin = self._begin, None
        # Later than a guard in there.
        with Guard(around, about, 2 * GUARD) as guard:
            try:
                self.result = await expose(coroutine)
            except GeneratorExit:
                raise
            # Whatever it is, it is for the caller.
            except BaseException as error:  # noqa: ASYNC103, BLE001 - see above
                self.error = error  # noqa: ASYNC104 - likewise
        if running_backend() is None:
            # The loop is gone, and what is left of it is closed: there is nobody to tell.
            raise GeneratorExit
        if guard.has_struck:
            # Also if it has made something else of its cancellation, or nothing.
            self._tell(guard.deadlock())
        elif isinstance(self.error, anyio.get_cancelled_exc_class()):
            self._explain(around, before)
        self._end()

    def call_off(self) -> None:
        """End it without awaiting the coroutine."""
        if self._begin is not None:
            self._begin[0].close()
            self._begin = None
        self._end()

    def _end(self) -> None:
        self.is_over = True
        self.when_over()

    def _explain(self, around: anyio.CancelScope, before: int) -> None:
        """Tell what a cancellation means, unless it is an error of the coroutine itself.

        Args:
            around: The scope around all calls.
            before: How many native cancellations earlier calls have got.
        """
        if around.cancel_called:
            self._tell(RuntimeError(CALLED_OFF))
        elif anyio.current_effective_deadline() == -math.inf or own_cancellations()() > before:
            self.was_cut = True
            self._tell(RuntimeError(CUT))

    def _tell(self, error: BaseException) -> None:
        """Put an error in the place of what was raised, which is its cause."""
        error.__cause__, self.error = self.error, error


def _as_it_is(coroutine: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
    return coroutine


class Calls:
    """What the task of a run does: it carries out one call after the other.

    Attributes:
        expose: Makes an awaitable of a coroutine that Ctrl-C may cut anywhere, if nothing else of
            the task may be cut; set by the host.
    """

    def __init__(self) -> None:
        self.expose: Expose = _as_it_is
        # What is to be done next: a call, or the end. At most one of the two, until it is taken.
        self._next: Call | None = None
        self._is_closed: bool = False
        # Set when one of these changes; None while nobody waits for that.
        self._change: anyio.Event | None = None
        # Ctrl-C that came between two calls, until the next one is over; None if there is none.
        self._interruption: KeyboardInterrupt | None = None
        # The number of native cancellations with the last one that came between two calls, until
        # a call has got that one; 0 if there is none.
        self._lost: int = 0

    async def serve(self) -> None:
        """Carry out calls until there will be none."""
        with anyio.CancelScope() as scope:
            while (call := await self._taken()) is not None:
                if self._interruption is None or call.always:
                    await call.carry_out(scope, self.expose, self._hand_on_to(call))
                else:
                    call.call_off()
                if self._interruption is not None:
                    call.error, self._interruption = self._interruption, None

    def put(self, call: Call) -> None:
        """Have a call carried out; called in the loop."""
        self._next = call
        self._tell()

    def close(self) -> None:
        """End the task; called in the loop."""
        self._is_closed = True
        self._tell()

    def _tell(self) -> None:
        if self._change is not None:
            self._change.set()

    async def _taken(self) -> Call | None:
        """Wait for a call, and return it; None if there will be none."""
        while self._next is None and not self._is_closed:
            self._change = anyio.Event()
            # Between two calls no cancellation is for anybody: the next call gets it, by its scope.
            with anyio.CancelScope(shield=True):
                try:
                    await self._change.wait()
                except KeyboardInterrupt as error:
                    # On trio it comes to this task: now it is for the next call.
                    self._interruption = error
                except anyio.get_cancelled_exc_class():  # noqa: ASYNC103 - it is handed on
                    # A native one, which comes once only.
                    self._lost = own_cancellations()()
            self._change = None
        call, self._next = self._next, None
        return call

    def _hand_on_to(self, call: Call) -> int:
        """Cancel the task at the first await of a call, if it was cancelled before the call.

        Returns:
            How many native cancellations earlier calls have got.
        """
        task, count = native_task(), own_cancellations()()
        if count < self._lost:
            # Taken back, as Ctrl-C is when it has been told.
            self._lost = 0
        if not self._lost:
            return count

        def cancel() -> None:
            # A call that awaits nothing gets nothing, and leaves it to the next one.
            if not call.is_over:
                lost, self._lost = self._lost, 0
                if task.cancelling() >= lost:
                    task.uncancel()
                    task.cancel()

        task.get_loop().call_soon(cancel)
        return count - 1


def is_cancelled() -> bool:
    """Return whether the calling task is cancelled, by a scope or natively."""
    return anyio.current_effective_deadline() == -math.inf or own_cancellations()() > 0
