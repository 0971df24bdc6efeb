"""The end of a step that was cut: what it was cut for, its clean-up, and what follows."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .._loop.coroutines import EscapedExit, finish_awaiting
from .._model.errors import CleanupTimedOut, LeftBehind
from .._model.guard import exposed
from .._model.state import CANCELLED, INTERRUPTED, STOPPING, TIMED_OUT
from .._step.surroundings import surroundings
from .outcome import cancelled, failed, timed_out
from .salvage import close_coroutine
from .settling import record_error, settle
from .suspending import take_interrupted

if TYPE_CHECKING:
    from .._loop.contract import Driver, Unwound
    from .._model.state import FutureState
    from .._step.step import LiveStep
    from .run import Run


class Overrun(Exception):
    """A step has returned, later than its limit."""


class Retired(Exception):
    """A step has left a scope open on its driver, which therefore runs no other step."""


async def broken_off(run: Run, driver: Driver, exc: BaseException) -> None:
    """Take what came through a driver's scope: its step's own, or from further out.

    Cancellation: the clean-up that this awaits is shielded and bounded.

    Raises:
        BaseException: What must go on outwards.
    """
    if isinstance(exc, GeneratorExit):
        raise exc
    parts, step = run.backend.take_apart(exc), _unsettled(run, driver)
    if parts.outwards is not None or (step is None and parts.error is None):
        # Before any await, so that no step starts meanwhile.
        run.cancel_from_outside()
    if step is not None:
        await _cut_or_failed(run, driver, step, parts)
    driver.step = None
    if parts.outwards is not None:
        raise parts.outwards
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
        settle(run, step, failed(step, parts.error, run.backend.time()))


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


def _retire_if_left_open(run: Run, driver: Driver) -> None:
    """Name the step that has left a scope open on a driver, if one has.

    Raises:
        Retired: One has; another driver must take what is ready.
    """
    scope, context = driver.scope, driver.context
    if scope is None or context is None or not run.backend.left_open(scope):
        return
    step, _ = context[surroundings]
    record_error(run, step, LeftBehind(step.template.uid, "a cancel scope or a task group"))
    raise Retired


def _unsettled(run: Run, driver: Driver) -> LiveStep | None:
    """Return the step of a driver; None if it has none, or if that is over.

    Raises:
        Retired: A step that is over has left a scope open.
    """
    step: LiveStep | None = driver.step
    if step is None or step.ended_at is not None:
        # In the latter case something was raised while its end was told.
        _retire_if_left_open(run, driver)
        return None
    return step


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
    late = is_late(step, run.backend.time())
    # Before the clean-up: `teardown()` may ask whether the step has timed out.
    reason = step.interrupted_for = _reason(run, step, late=late)
    output = None if reason is INTERRUPTED else await _clean_up(run, driver, step)
    # After the clean-up, which may have outlasted the run's limit: then nothing follows.
    run.stop_if_expired()
    now = run.backend.time()
    if error is not None and not (late and reason is TIMED_OUT):
        settle(run, step, failed(step, error, now))
    elif reason is INTERRUPTED:
        take_interrupted(run, step)
    elif reason is TIMED_OUT:
        if error is not None:
            record_error(run, step, error)
        ending, problem = timed_out(run.plan, step, output, now)
        if problem is not None:
            record_error(run, step, problem)
        settle(run, step, ending)
    else:
        settle(run, step, cancelled(now))
    driver.step = None


def is_late(step: LiveStep, now: float) -> bool:
    """Return whether a step whose coroutine has ended just now has overrun its limit."""
    limit, begun = step.template.timeout, step.started_at
    if not limit or begun is None or now <= begun + limit:
        return False
    step.extras.overran = now - begun - limit
    return True


def check_limit(step: LiveStep, now: float) -> None:
    """Raise `Overrun` if a step that has returned just now is late."""
    if is_late(step, now):
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
        with run.backend.scope(deadline, shield=True) as scope:
            if driver.cancelling():
                # It may be pending still: meant for the step, and not for what cleans up after it.
                await run.backend.absorb_native_cancel(driver)
            output = await _tear_down(driver, step)
    except BaseException as exc:
        if isinstance(exc, GeneratorExit):
            # The event loop is gone.
            raise
        raised = exc.error if isinstance(exc, EscapedExit) else exc
        parts = run.backend.take_apart(raised)
        record_error(run, step, raised if parts.error is None else parts.error)
        if parts.outwards is not None:
            raise parts.outwards from None
    else:
        if scope.cancelled_caught:
            record_error(run, step, CleanupTimedOut(step.template.uid, limit))
    return output


async def _tear_down(driver: Driver, step: LiveStep) -> Any:
    context = driver.context
    assert context is not None
    # For the watchdog and `get_stack`: the step stands in its clean-up now.
    driver.coroutine = coro = _result_of_teardown(step.holder)
    try:
        trap = context.run(coro.send, None)
    except StopIteration as end:
        return end.value
    except GeneratorExit as exit_:
        raise EscapedExit(exit_) from exit_
    return await finish_awaiting(context, coro, trap)


@exposed
async def _result_of_teardown(holder: Any) -> Any:
    """Call the `teardown()` of a holder, if it has one; it may be async, and a property."""
    teardown = getattr(holder, "teardown", None)
    result = None if teardown is None else teardown()
    return await result if inspect.isawaitable(result) else result
