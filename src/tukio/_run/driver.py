"""The driver loop: drives the ready steps of one run, and owns their scopes.

A run is driven by **drivers**, real tasks of the backend. A driver takes ready steps and begins
each in a context of the step's own. A step that ends there costs no task. A step that suspends
**pins** its driver, which awaits the rest of it; if other steps are ready, one more driver is
spawned for them. So every suspended step has a task and a cancel scope of its own.

A driver has one scope at a time, which serves for everything: cancelling the step it drives, the
step's limit and the run's limit. Once cancelled, it is left before the next step. It is entered
when the first step comes that may suspend or has a limit: others cannot be cut, and need none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._loop.coroutines import ENDED, finish_awaiting, sequential
from .._model.guard import exposed
from .._model.logs import Log
from .._model.state import CLOSING, FAILED, RUNNING
from .._step.log_fields import log_fields
from .outcome import failed, finished
from .parking import Parked
from .retrying import settle_failure
from .salvage import finish_stopping
from .settling import settle
from .unwinding import (
    Overrun,
    Retired,
    broken_off,
    check_limit,
    finish_unwinding,
    is_closed,
    look_for_open_scopes,
    make_sure_of_clean,
    unwound,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from contextvars import Context

    from .._loop.contract import Driver, Scope
    from .._loop.coroutines import Runner
    from .._model.state import Phase
    from .._step.step import LiveStep
    from .run import Run

log: Log = Log("tukio.run")

BUDGET = 64
"""How many steps a driver runs without suspending before it lets others have a turn."""


async def drive(run: Run) -> None:
    """Be a driver of a run: take ready steps until there are none.

    Each frame between the driver and a suspended step is alive for as long as the step waits, and
    is gone through whenever it goes on: this one, `_run_ready` and `finish_awaiting` are all there
    is.
    """
    driver = run.backend.new_driver()
    run.add_driver(driver)
    phase = CLOSING if run.phase is CLOSING else RUNNING
    try:
        while not run.stop_if_expired() and run.phase is phase and run.plan.ready:
            needed = _scope_for(run, driver)
            try:
                if needed is None:
                    await _run_ready(run, driver, None, phase)
                else:
                    with needed as scope:
                        driver.scope = scope
                        try:
                            await _run_ready(run, driver, scope, phase)
                        finally:
                            look_for_open_scopes(run, driver, scope)
            except BaseException as exc:
                # What it awaits, the clean-up after the step, is shielded and bounded there.
                await broken_off(run, driver, exc)  # noqa: ASYNC102
            if driver.step is not None or driver.cancelling():
                await _out_of_scope(run, driver)
    except BaseException as exc:
        # What it awaits, the clean-up after the step, is shielded and bounded there.
        await _break_down(run, driver, exc)  # noqa: ASYNC102
    else:
        run.remove_driver(driver)


async def _break_down(run: Run, driver: Driver, exc: BaseException) -> None:
    """Leave the run because of what no step raised, or of what must go on outwards.

    Raises:
        BaseException: What must go on outwards.
    """
    if is_closed(driver, exc):
        # The event loop is gone: there is nobody left to tell.
        raise exc
    try:
        if isinstance(exc, Retired | GeneratorExit):
            # The latter is of a step, and noted down there.
            run.call_for_driver()
        elif isinstance(exc, Exception):
            log.error(
                "workflow %s cannot go on",
                run.uid,
                exc_info=exc,
                extra=log_fields(run),
            )
            run.stop(FAILED, exc)
        else:
            run.cancel_from_outside()
            await finish_unwinding(run, driver)
            finish_stopping(run)
    finally:
        if driver.unclean:
            # Last: a clean-up of the step has had a scope of its own within those.
            driver.let_go_of_scopes()
        run.remove_driver(driver)
    if not isinstance(exc, Exception | GeneratorExit):
        raise exc


async def _run_ready(run: Run, driver: Driver, scope: Scope | None, phase: Phase) -> None:
    """Run ready steps until none is left, or until the scope must be changed.

    Args:
        run: The run.
        driver: The driver.
        scope: The scope that is entered; None if none is, and then this returns before the first
            step that needs one.
        phase: The phase of the run that the steps belong to.
    """
    ready, budget = run.plan.ready, BUDGET
    # Looked up once: up to Python 3.11 it is slow to call what an attribute refers to.
    clock, left_open, cancelling = run.backend.time, run.backend.left_open, type(driver).cancelling
    # The scope, once a step has run in it, and may have left another one open within.
    used: Scope | None = None
    steps, send = _one_by_one(driver)
    may_suspend, now = run.environment.may_suspend, clock()
    # Looked at before each step, as the one before may have changed all of these. A native asyncio
    # cancellation that is still pending was meant for the step before: it is answered outside of
    # the scope.
    while (
        ready
        and budget
        and not driver.scope_spent
        and run.phase is phase
        and not cancelling(driver)
        and not (used is not None and left_open(used))
    ):
        # The clock decides about the limit, not a timer: the steps before may never have let the
        # loop turn. It is read when code of users has run, and when that is over.
        # The rest is as in `_may_be_cut`, whose call would be the larger part for most.
        if now >= run.deadline or (
            scope is None and ((task := ready[0].template).timeout or may_suspend(task.name))
        ):
            return
        budget, step = budget - 1, ready.popleft()
        context = _open(run, driver, scope, step, now)
        trap, used = ENDED, scope
        try:
            trap = context.run(send, step)
            if trap is not ENDED:
                # Before this waits: others that are ready must not wait for this one.
                run.call_for_driver()
                await finish_awaiting(context, steps, trap)
                budget = BUDGET
                # A step that swallowed its cancellation and returned counts as finished.
                driver.scope_spent |= _is_cut(scope)
            now = clock()
            if step.template.timeout:
                check_limit(step, now)
        except (Exception, GeneratorExit) as exc:
            steps, send = _one_by_one(driver)
            now = await _failed(run, driver, exc, pinned=trap is not ENDED)
        else:
            ending = finished(run.plan, step, step.output_data, now)
            now = clock() if settle(run, step, ending) else now
        driver.step = None
    if not budget:
        # Left over, the limit of a step may cut this, too; there is a next scope then.
        await run.backend.checkpoint()


def _scope_for(run: Run, driver: Driver) -> AbstractContextManager[Scope] | None:
    """Make a driver fit for what is ready next, and return the scope that it enters for that.

    None is for none. The run is told to begin, if it has not.

    Raises:
        Retired: The driver is unclean; another one must take what is ready.
    """
    run.begin()
    driver.scope_spent = driver.has_step_deadline = False
    driver.cancelled_at = math.inf
    if driver.context is not None:
        make_sure_of_clean(run, driver)
    if run.phase is CLOSING:
        # Whatever is cancelled around it.
        return run.backend.scope(run.deadline, shield=True)
    ready = run.plan.ready
    # Nothing is ready if a handler of the run's begin has stopped it.
    if run.deadline < math.inf or (ready and _may_be_cut(run, ready[0])):
        return run.backend.scope(run.deadline)
    if driver.scope is not None:
        driver.scope = None
    return None


def _may_be_cut(run: Run, step: LiveStep) -> bool:
    """Return whether a step may suspend, or has a limit: then it needs a scope."""
    task = step.template
    return bool(task.timeout) or run.environment.may_suspend(task.name)


def _is_cut(scope: Scope | None) -> bool:
    return scope is not None and scope.cancel_called


@exposed
@sequential
def _one_by_one(driver: Driver) -> Runner:
    """Run the steps that are sent; they begin in here, too."""
    # A TaskRun, whose begin is a method that tests may override.
    step: Any = yield ENDED
    while True:
        driver.coroutine = coro = step._begin()
        step.output_data = yield from coro
        step = yield ENDED


async def _out_of_scope(run: Run, driver: Driver) -> None:
    """Handle leaving the scope without an exception.

    Either a step was cut, or a native cancellation is pending.
    """
    if driver.step is not None:
        await unwound(run, driver, driver.step)
    else:
        run.stop_if_expired()
    if driver.unclean:
        raise Retired
    if driver.cancelling():
        # Not within the scope: if that is cancelled, it cancels what answers there for ever.
        await run.backend.absorb_native_cancel(driver)


async def _failed(
    run: Run, driver: Driver, exc: Exception | GeneratorExit, *, pinned: bool
) -> float:
    """Take what the driver's step raised, or that it has overrun its limit.

    Args:
        run: The run.
        driver: The driver.
        exc: What was raised.
        pinned: Whether the step has suspended; if so, it may have been cut, and is cleaned up after
            first.

    Returns:
        The time on the clock when all is done.

    Raises:
        GeneratorExit: What the step awaited has raised it, or the driver is being closed, for its
            event loop is gone.
    """
    step = driver.step
    assert step is not None
    if isinstance(exc, Parked):
        driver.scope_spent |= _is_cut(driver.scope)
        step._park()
        return run.backend.time()
    if pinned and isinstance(exc, GeneratorExit):
        # Nothing can be awaited in here, also if only the step was closed: see `is_closed`.
        raise exc
    now = run.backend.time()
    if (pinned and _is_cut(driver.scope)) or step._is_late(now):
        await unwound(run, driver, step, None if isinstance(exc, Overrun) else exc)
        driver.scope_spent = True
    else:
        settle_failure(run, step, failed(step, exc, now))
    return run.backend.time()


def _open(run: Run, driver: Driver, scope: Scope | None, step: LiveStep, now: float) -> Context:
    """Note down on the step and its driver that the step is at work from now on."""
    step.started_at = now
    driver.context = context = run.context.copy()  # type: ignore[union-attr]  # it has started
    step.driver = driver
    driver.step = step
    if scope is not None and (step.template.timeout or driver.has_step_deadline):
        # The limit of the step before goes here, and not when that was over: each change of a
        # deadline takes a timer.
        deadline = min(now + (step.template.timeout or math.inf), run.deadline)
        driver.has_step_deadline = deadline < run.deadline
        scope.deadline = deadline
        if driver.has_step_deadline:
            run.environment.watchdog.watch(run, deadline)
    return context
