"""The end of a step that was cut: what it was cut for, its clean-up, and what follows."""

from __future__ import annotations

import inspect
import math
import sys
from typing import TYPE_CHECKING, Any, Final

from .._loop.contract import Unwound
from .._loop.coroutines import EscapedExit, finish_awaiting
from .._loop.surroundings import surroundings
from .._model.errors import LeftBehind
from .._model.guard import exposed
from .._model.state import CANCELLED, CLOSING, INTERRUPTED, STOPPING, TIMED_OUT
from .._model.task_ends import CleanupTimedOut
from .closing import no_time_left
from .outcome import cancelled, failed, timed_out
from .retrying import settle_failure
from .salvage import close_coroutine
from .settling import record_error, settle
from .suspending import take_interrupted
from .within import time_left

if TYPE_CHECKING:
    from .._loop.contract import Driver, Scope
    from .._model.state import FutureState
    from .._step.step import LiveStep
    from .run import Run


NOTHING_RAISED: Final = Unwound(cancelled=False, error=None, outwards=None)


class Overrun(Exception):
    """A step has returned, later than its limit."""


class Retired(Exception):
    """A step has left a scope open on its driver, which therefore runs no other step."""


def is_closed(driver: Driver, exc: BaseException) -> bool:
    """Return whether an exception closes a driver, because its event loop is gone.

    On asyncio a future may raise a `GeneratorExit` as well, that of a thread for instance. It comes
    like a close, and the coroutine of the step has been closed by it; but the driver goes on.
    """
    return isinstance(exc, GeneratorExit) and not driver.is_running()


async def broken_off(run: Run, driver: Driver, exc: BaseException) -> None:
    """Take what came through a driver's scope: its step's own, or from further out.

    Cancellation: the clean-up that this awaits is shielded and bounded.

    Raises:
        BaseException: What must go on outwards.
        Retired: The driver is unclean; another one must take what is ready.
    """
    if is_closed(driver, exc):
        raise exc
    # Of an unclean driver, the exception only says that the scope could not be left.
    through = exc.__context__ if driver.unclean else exc
    parts = NOTHING_RAISED if through is None else run.backend.take_apart(through)
    step = _unsettled(driver)
    if parts.outwards is not None or (step is None and parts.cancelled and parts.error is None):
        # Before any await, so that no step starts meanwhile.
        run.cancel_from_outside()
    if driver.unclean:
        await _abandon(run, driver, driver.scope)
    if step is not None:
        await _cut_or_failed(run, driver, step, parts)
    driver.step = None
    if parts.outwards is not None:
        raise parts.outwards
    if driver.unclean:
        raise Retired
    if step is None and parts.error is not None:
        raise parts.error
    await run.backend.absorb_native_cancel(driver)


async def _cut_or_failed(run: Run, driver: Driver, step: LiveStep, parts: Unwound) -> None:
    """End the step of a driver by what came out of it, or by what has cut it."""
    if parts.outwards is not None and close_coroutine(driver):
        # On asyncio, Ctrl-C has cut a line of ours while the step was waiting.
        step.cancel_called = True
        await unwound(run, driver, step)
        return
    # What was asked of the scope counts. Only if nothing was, a cancellation that came out is a
    # native one of this very step: libraries, and versions of Python, leave others behind.
    asked = driver.scope is not None and driver.scope.cancel_called
    if parts.cancelled or asked:
        step.cancel_called |= not asked
        await unwound(run, driver, step, parts.error)
    elif parts.error is not None:
        settle_failure(run, step, failed(step, parts.error, run.backend.time()))


async def finish_unwinding(run: Run, driver: Driver) -> None:
    """Clean up after the step of a driver, if Ctrl-C has cut what comes before that.

    Called when the run is stopping. The step is settled, or lost: then it is in nobody's hands.
    """
    step: LiveStep | None = driver.step
    close_coroutine(driver)
    code = getattr(driver.coroutine, "cr_code", None)
    if step is not None and step.ended_at is None and code is not _result_of_teardown.__code__:
        await unwound(run, driver, step)
    driver.step = None


def look_for_open_scopes(run: Run, driver: Driver, scope: Scope) -> bool:
    """Name the step that has left a scope open within one of its driver, if one has.

    Called last within the scope.

    Returns:
        Whether there is an open one: then the scope cannot be left in order.
    """
    raised = sys.exception()
    if raised is not None and is_closed(driver, raised):
        # The event loop is gone.
        return False
    if not run.backend.left_open(scope):
        return False
    # Never left, it would keep its timer.
    scope.deadline = math.inf
    _note_unclean(run, driver)
    return True


def make_sure_of_clean(run: Run, driver: Driver) -> None:
    """Make sure that no step has left a scope open on a driver, which is in none of its own.

    Steps that await nothing are run without one, and none of them can be cut by what another one
    has left. The next step could be.

    Raises:
        Retired: One has; it is named, or one that came after it.
    """
    if driver.has_open_scopes():
        _note_unclean(run, driver)
        raise Retired


def _note_unclean(run: Run, driver: Driver) -> None:
    if not driver.unclean:
        driver.unclean = True
        step = _last_step(driver)
        record_error(run, step, LeftBehind(step.template.uid, "a cancel scope or a task group"))


def _last_step(driver: Driver) -> LiveStep:
    """Return the step that a driver has begun last."""
    assert driver.context is not None
    step: LiveStep = driver.context[surroundings][0]
    return step


async def _abandon(run: Run, driver: Driver, scope: Any) -> None:
    """End what a step has left in task groups within a scope, and keep what was raised there."""
    # Before this waits: others that are ready must not wait for what was left.
    run.call_for_driver()
    for error in await run.backend.abandon(scope):
        record_error(run, _last_step(driver), error)


def _unsettled(driver: Driver) -> LiveStep | None:
    """Return the step of a driver; None if it has none, or if that is over.

    In the latter case something was raised while its end was told.
    """
    step: LiveStep | None = driver.step
    return None if step is None or step.ended_at is not None else step


async def unwound(
    run: Run, driver: Driver, step: LiveStep, error: BaseException | None = None
) -> None:
    """Decide why a step was cut, clean up after it, and go on from there.

    Args:
        run: The run.
        driver: The driver that drove the step.
        step: The step; its coroutine has ended.
        error: What it raised while it unwound; None if nothing but the cancellation.
    """
    # Always before the first await: from now on nobody interrupts this driver, so no clean-up is
    # cut by what it cleans up after.
    step.driver = None
    # It may have returned something, although it was cut: that is not its output.
    step.output_data = None
    late = step._is_late(run.backend.time())
    # Before the clean-up: `teardown()` may ask whether the step has timed out.
    reason = step.interrupted_for = _reason(run, step, late=late)
    output = None if reason is INTERRUPTED else await _clean_up(run, driver, step)
    # After the clean-up, which may have outlasted the run's limit: then nothing follows.
    run.stop_if_expired()
    now = run.backend.time()
    if error is not None and not (late and reason is TIMED_OUT):
        settle_failure(run, step, failed(step, error, now))
    elif reason is INTERRUPTED:
        take_interrupted(run, step)
    elif reason is TIMED_OUT:
        left = time_left(step, now)
        is_last = left is not None and left <= 0
        ending, problem = timed_out(run.plan, step, output, now, is_last=is_last)
        settle_failure(run, step, ending, beside=(error, problem))
    elif run.phase is CLOSING and now >= run.deadline:
        settle(run, step, failed(step, no_time_left(run, step), now))
    else:
        settle(run, step, cancelled(now))
    driver.step = None


def check_limit(step: LiveStep, now: float) -> None:
    """Raise `Overrun` if a step that has returned just now is late."""
    if step._is_late(now):
        raise Overrun


def _reason(run: Run, step: LiveStep, *, late: bool) -> FutureState:
    """Return what a step was cut for: the end of the run counts most, then the step's own."""
    if run.stop_if_expired() or run.phase is STOPPING or step.cancel_called:
        return CANCELLED
    return TIMED_OUT if late else step.interrupted_for or TIMED_OUT


async def _clean_up(run: Run, driver: Driver, step: LiveStep) -> Any:
    """Call `teardown()` out of reach of cancellation, and not for longer than the limit."""
    if step.holder is None:
        return None
    output, limit = None, run.environment.cleanup_timeout
    driver.cancelled_at = deadline = run.backend.time() + limit
    run.environment.watchdog.watch(run, deadline)
    try:
        output, in_time = await _tear_down_within(run, driver, step, deadline)
    except BaseException as exc:
        if is_closed(driver, exc):
            # The event loop is gone.
            raise
        raised = exc.error if isinstance(exc, EscapedExit) else exc
        parts = run.backend.take_apart(raised)
        record_error(run, step, raised if parts.error is None else parts.error)
        if parts.outwards is not None:
            raise parts.outwards from None
    else:
        if not in_time:
            record_error(run, step, CleanupTimedOut(step.template.uid, limit))
    return output


async def _tear_down_within(
    run: Run, driver: Driver, step: LiveStep, deadline: float
) -> tuple[Any, bool]:
    """Call `teardown()` in a scope of its own; return its result, and whether it came in time.

    Raises:
        BaseException: What it raised.
    """
    output: Any = None
    left_in: Scope | None = None
    try:
        with run.backend.scope(deadline, shield=True) as scope:
            try:
                if driver.cancelling():
                    # It may be pending still: meant for the step, and not for what cleans up.
                    await run.backend.absorb_native_cancel(driver)
                output = await _tear_down(driver, step)
            finally:
                if look_for_open_scopes(run, driver, scope):
                    left_in = scope
    except BaseException as exc:
        if left_in is None:
            raise
        # It only says that the scope could not be left.
        through = exc.__context__
        await _abandon(run, driver, left_in)  # noqa: ASYNC102 - it shields itself
        if through is not None and not left_in.cancel_called:
            raise through from None
        return output, not left_in.cancel_called
    return output, not scope.cancelled_caught


async def _tear_down(driver: Driver, step: LiveStep) -> Any:
    context = driver.context
    assert context is not None
    # For the watchdog and `get_stack`: the step stands in its clean-up now.
    driver.coroutine = coro = _result_of_teardown(step)
    try:
        trap = context.run(coro.send, None)
    except StopIteration as end:
        return end.value
    except GeneratorExit as exit_:
        raise EscapedExit(exit_) from exit_
    return await finish_awaiting(context, coro, trap)


@exposed
async def _result_of_teardown(step: LiveStep) -> Any:
    """Call the `teardown()` of a holder, if it has one; it may be async, and a property."""
    teardown = getattr(step.holder, "teardown", None)
    result = None if teardown is None else teardown()
    return await result if inspect.isawaitable(result) else result
