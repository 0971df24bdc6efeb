"""One step as a future: whoever waits for it, looks at its result or cuts it.

Owns:   nothing: `LiveStep` has the state.

What these methods say is true of the task, however often it is begun: a step that was interrupted
is over when the step that runs the task again is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from .._model.account import before_looks
from .._model.errors import EngineError
from .._model.event import own_data
from .._model.guard import make_sure_of_room
from .._model.state import CANCELLED, INTERRUPTED, PENDING, TIMED_OUT
from .._step.step import LiveStep
from .later import come_due
from .settling import end_interrupted
from .suspending import take_back

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Self

    from .._model.state import FutureState


class StepFuture(LiveStep):
    """What a step answers as a future; it is tied to no backend."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait until it is over, and return a copy of its output or raise, as `result()`.

        Raises:
            EngineError: It is not over, and runs in another event loop or thread.

        Cancellation: only the waiting ends.
        """
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        if self.done():
            await self.run.backend.checkpoint()
        else:
            self.run.backend.check_here()
            extras = self._latest.extras
            if extras.over is None:
                extras.over = anyio.Event()
            await extras.over.wait()
        return self.result()

    @property
    def _latest(self) -> Self:
        step = self
        while step._extras is not None and step._extras.replaced_by is not None:
            step = step._extras.replaced_by
        return step

    def done(self) -> bool:
        """Return whether this task is over, or will never begin."""
        state = self._latest.state
        return state is not PENDING and state is not INTERRUPTED

    def cancelled(self) -> bool:
        """Return whether this task ended by being cancelled, or was cancelled before it began."""
        return self._latest.state is CANCELLED

    def result(self) -> Any:
        """Return a copy of its output.

        Raises:
            BaseException: What it raised, if it failed.
            TimeoutError: It reached its time limit.
            EngineError: It is not over, or was cancelled.
        """
        step = self._latest
        error = step.error
        if error is not None:
            # Not by its own method, which a user's class may have redefined.
            BaseException.with_traceback(error, before_looks(error, _RESULT, self))
            context = error.__context__
            try:
                raise error
            finally:
                # Not what was being handled by whoever looks at it.
                error.__context__ = context
        if step.state is TIMED_OUT:
            msg = f"task {step.template.uid!r} reached its time limit"
            raise TimeoutError(msg)
        if not step.done() or step.state is CANCELLED:
            msg = f"task {step.template.uid!r} has no result: it is {step.state.value}"
            raise EngineError(msg)
        return own_data(step.output_data)

    def exception(self) -> BaseException | None:
        """Return what the task raised; None if it raised nothing, or is not over."""
        return self._latest.error

    def cancel(self) -> bool:
        """Cancel this task only; its branch of the workflow stops, the others go on.

        Returns:
            Whether it was due, at work, or to be run again.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        make_sure_of_room()
        step = self._latest
        if step.driver is not None:
            step.run.interrupt(step.driver)
        elif step._cut_parked(CANCELLED):
            return True
        elif take_back(step.run, step):
            end_interrupted(step.run, step)
        elif step._extras is not None and step._extras.due is not None:
            # It waits for its next attempt. It begins, and is called off there.
            step.cancel_called = True
            come_due(step.run, step)
            return True
        elif step.started_at is not None or step.state is not PENDING:
            return False
        step.cancel_called = True
        return True

    def timeout(self) -> bool:
        """Cut this task as if it had reached its time limit; its successors run as they do then.

        Returns:
            Whether it was at work; False if it is to be run again: its limit does not count then.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        make_sure_of_room()
        step = self._latest
        if step.interrupted_for is INTERRUPTED:
            return False
        if step.driver is None:
            return step._cut_parked(TIMED_OUT)
        step.interrupted_for = TIMED_OUT
        step.run.interrupt(step.driver)
        return True

    def _cut_parked(self, ending: FutureState) -> bool:
        """Cut this step if it waits without a driver, and return whether it does.

        Args:
            ending: What it is cut for: `cancelled` or `timeout`.
        """
        del ending
        return False

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Call a function with this task when it is over; at once, if it is over already.

        Raises:
            EngineError: It is not over, and runs in another event loop or thread.
        """
        if self.done():
            callback(self)
            return
        self.run.backend.check_here()
        self._latest._call_when_over(callback)

    def remove_done_callback(self, callback: Callable[[Self], object]) -> int:
        """Remove a callback wherever it was added, and return how often that was.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        callbacks = self._latest.extras.callbacks
        return 0 if callbacks is None else callbacks.remove(callback)


_RESULT: Final = StepFuture.result.__code__
"""Whose frame tells a look at the error of a step from how the error came about."""
