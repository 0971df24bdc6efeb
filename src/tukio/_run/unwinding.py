"""The end of a step that was cut: what it was cut for, its clean-up, and what follows."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .._loop.coroutines import finish_awaiting
from .._model.errors import CleanupTimedOut
from .._model.state import CANCELLED, INTERRUPTED, STOPPING, TIMED_OUT
from .outcome import cancelled, failed, timed_out
from .settling import record_error, settle
from .suspending import take_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._loop.contract import Driver
    from .._model.state import FutureState
    from .._step.step import LiveStep
    from .run import Run


async def broken_off(run: Run, driver: Driver, exc: BaseException) -> None:
    """Take what came through a driver's scope: its step's own, or from further out.

    Cancellation: the clean-up that this awaits is shielded and bounded.

    Raises:
        BaseException: What must go on outwards.
    """
    if isinstance(exc, GeneratorExit):
        raise exc
    parts, step = run.backend.take_apart(exc), driver.step
    if parts.outwards is not None or step is None:
        # Before any await, so that no step starts meanwhile.
        run.cancel_from_outside()
    if step is not None:
        if parts.cancelled or (driver.scope is not None and driver.scope.cancel_called):
            step.cancel_called |= parts.cancelled
            await unwound(run, driver, step, parts.error)
        elif parts.error is not None:
            settle(run, step, failed(step, parts.error, run.backend.time()))
    driver.step = None
    if parts.outwards is not None:
        raise parts.outwards
    if step is None and parts.error is not None:
        raise parts.error
    await run.backend.absorb_native_cancel(driver)


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
    # Before the clean-up: `teardown()` may ask whether the step has timed out.
    reason = step.interrupted_for = _reason(run, step)
    output = None if reason is INTERRUPTED else await _clean_up(run, driver, step)
    driver.step = None
    # After the clean-up, which may have outlasted the run's limit: then nothing follows.
    run.stop_if_expired()
    now = run.backend.time()
    if error is not None:
        settle(run, step, failed(step, error, now))
    elif reason is INTERRUPTED:
        take_interrupted(run, step)
    elif reason is TIMED_OUT:
        ending, problem = timed_out(run.plan, step, output, now)
        if problem is not None:
            record_error(run, step, problem)
        settle(run, step, ending)
    else:
        settle(run, step, cancelled(now))


def _reason(run: Run, step: LiveStep) -> FutureState:
    """Return what a step was cut for: the end of the run counts most, then the step's own."""
    if run.stop_if_expired() or run.phase is STOPPING or step.cancel_called:
        return CANCELLED
    return step.interrupted_for or TIMED_OUT


async def _clean_up(run: Run, driver: Driver, step: LiveStep) -> Any:
    """Call `teardown()` out of reach of cancellation, and not for longer than the limit."""
    if getattr(step.holder, "teardown", None) is None:
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
        parts = run.backend.take_apart(exc)
        record_error(run, step, parts.error or exc)
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
    driver.coroutine = coro = _result_of(step.holder.teardown)
    try:
        trap = context.run(coro.send, None)
    except StopIteration as end:
        return end.value
    return await finish_awaiting(context, coro, trap)


async def _result_of(function: Callable[[], Any]) -> Any:
    """Call a function that may be async."""
    result = function()
    return await result if inspect.isawaitable(result) else result
