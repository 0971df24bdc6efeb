"""The host loop: drives the ready steps of one run, and owns their scopes.

A run is driven by **hosts**, real tasks of the backend. A host takes ready steps and begins each
in a context of the step's own. A step that ends there costs no task. A step that suspends **pins**
its host, which awaits the rest of it; if other steps are ready, one more host is spawned for them.
So every suspended step has a task and a cancel scope of its own.

A host has one scope at a time, which serves for everything: cancelling the step it drives, the
step's limit and the run's limit. Once cancelled, it is left before the next step. It is entered
when the first step comes that may suspend or has a limit: others cannot be cut, and need none.
"""

from __future__ import annotations

import inspect
import logging
import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from . import outcome
from .coroutines import ENDED, in_turn, rest_of
from .errors import CleanupTimedOut
from .registry import may_suspend
from .state import FutureState, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractContextManager
    from contextvars import Context

    from .coroutines import Runner
    from .ports import Host, Scope
    from .run import Run
    from .task.run import TaskRun
    from .template import TaskTemplate

    Work = Callable[[Run, Host, Scope | None], Coroutine[Any, Any, None]]

log: logging.Logger = logging.getLogger(__name__)

BUDGET = 64
"""How many steps a host runs without suspending before it lets others have a turn."""

NO_SCOPE: AbstractContextManager[None] = nullcontext()
"""Entered in place of a scope where none is needed."""

RUNNING, SUSPENDED = Phase.RUNNING, Phase.SUSPENDED


async def drive(run: Run) -> None:
    """Be a host of a run: take ready steps until there are none.

    Each frame between the host and a suspended step is alive for as long as the step waits, and
    is gone through whenever it goes on: this one, `_work` and `rest_of` are all there is.
    """
    host = run.port.host(run)
    run.coming = False
    run.hosts[host] = None
    try:
        while (work := _what_to_do(run)) is not None:
            run.begin()
            host.stale, host.limited, host.cut_at = False, False, math.inf
            try:
                with _scope_for(run, work) as scope:
                    host.scope = scope
                    await work(run, host, scope)
            except BaseException as exc:
                # What it awaits, the clean-up after the step, is shielded and bounded there.
                await _broken_off(run, host, exc)  # noqa: ASYNC102
            else:
                if host.step is not None or host.cancelling():
                    await _out_of_scope(run, host)
    except BaseException as exc:
        _leave(run, host, exc)
        if not isinstance(exc, Exception):
            raise
    else:
        _leave(run, host)


def _what_to_do(run: Run) -> Work | None:
    """Say what a host is needed for: steps, or to stay with a suspended run; None for nothing."""
    if run.out_of_time():
        return None
    if run.phase is RUNNING:
        return _work if run.plan.ready else None
    suspension = run.suspension
    waits = run.phase is SUSPENDED and suspension is not None and not suspension.is_attended
    return _stay if waits else None


def _leave(run: Run, host: Host, exc: BaseException | None = None) -> None:
    if isinstance(exc, GeneratorExit):
        # The event loop is gone: there is nobody left to tell.
        return
    if isinstance(exc, Exception):
        log.error("workflow %s cannot go on", run.uid, exc_info=exc)
        run.stop(FutureState.exception, exc)
    del run.hosts[host]
    if not run.hosts and not run.coming:
        run.port.last_host_left(run)


async def _stay(run: Run, host: Host, scope: Scope | None) -> None:
    """Wait until a suspended run is resumed: its tree stays open."""
    del host, scope
    if run.suspension is not None:
        await run.suspension.wait()


async def _work(run: Run, host: Host, scope: Scope | None) -> None:
    """Take steps until none is ready or the scope is to be left; without one, or to be entered."""
    ready, budget, clock = run.plan.ready, BUDGET, run.port.time
    steps, send = _one_by_one(host)
    while ready and not host.stale and run.phase is RUNNING:
        if not budget:
            budget = BUDGET
            # Left over, the limit of a step may cut this, too; there is a next scope then.
            await run.port.checkpoint()
            continue
        if scope is None and _may_be_cut(ready[0].template):
            return
        budget -= 1
        step = ready.popleft()
        context = _open(run, host, scope, step, clock())
        pinned = False
        try:
            trap = context.run(send, step)
            if trap is not ENDED:
                pinned = True
                run.call_for_host()
                await rest_of(context, steps, trap)
                budget = BUDGET
                # One that was cut and made something of it has ended like that.
                host.stale |= _is_cut(scope)
        except Exception as exc:
            steps, send = _one_by_one(host)
            await _failed(run, host, exc, cut=pinned and _is_cut(scope))
        else:
            outcome.finish(run, step, clock())
        host.step = None
        # One of the backend's own kind that is left was aimed at the step that is over.
        if host.cancelling():
            host.stale = True


def _scope_for(run: Run, work: Work) -> AbstractContextManager[Scope | None]:
    """Return the scope that a host enters for some work."""
    if work is _work and run.deadline == math.inf and not _may_be_cut(run.plan.ready[0].template):
        return NO_SCOPE
    return run.port.scope(run.deadline)


def _may_be_cut(task: TaskTemplate) -> bool:
    """Say whether a step may suspend, or has a limit: then it needs a scope."""
    if task.timeout:
        return True
    return may_suspend(task.name)


def _is_cut(scope: Scope | None) -> bool:
    return scope is not None and scope.cancel_called


@in_turn
def _one_by_one(host: Host) -> Runner:
    """Run the steps that are sent; they begin in here, too."""
    step: TaskRun = yield ENDED
    while True:
        host.coroutine = coro = step.begin()
        step.output_data = yield from coro
        step = yield ENDED


async def _out_of_scope(run: Run, host: Host) -> None:
    """Deal with what a host comes out of its scope for, and is not between steps with."""
    if host.step is not None:
        await _unwound(run, host, host.step)
    else:
        run.out_of_time()
    if host.cancelling():
        # Not within the scope: if that is cancelled, it cancels what settles there for ever.
        await run.port.settle(host)


async def _failed(run: Run, host: Host, exc: Exception, *, cut: bool) -> None:
    """Take what the host's step raised; if it was cut, clean up after it first."""
    step = host.step
    assert step is not None
    if cut:
        await _unwound(run, host, step, exc)
        host.stale = True
    else:
        outcome.fail(run, step, exc)


def _open(run: Run, host: Host, scope: Scope | None, step: TaskRun, now: float) -> Context:
    assert run.context is not None
    step.started_at = now
    host.context = context = run.context.copy()
    step.host = host
    host.step = step
    if scope is not None and (step.template.timeout or host.limited):
        # The limit of the step before goes here, and not when that was over: each change of a
        # deadline takes a timer.
        deadline = min(now + (step.template.timeout or math.inf), run.deadline)
        host.limited = deadline < run.deadline
        scope.deadline = deadline
        if host.limited:
            run.port.watchdog.watch(run, deadline)
    return context


# When a step is cut ------------------------------------------------------------------------------


async def _broken_off(run: Run, host: Host, exc: BaseException) -> None:
    """Deal with what came through the scope: the step's own, or from further out."""
    if isinstance(exc, GeneratorExit):
        raise exc
    broken, step = run.port.broken(exc), host.step
    if broken.outwards is not None or step is None:
        # Before any await, so that no step starts meanwhile.
        run.stop(FutureState.cancelled)
    if step is not None:
        if broken.cancelled or (host.scope is not None and host.scope.cancel_called):
            step.cancel_called |= broken.cancelled
            await _unwound(run, host, step, broken.error)
        elif broken.error is not None:
            outcome.fail(run, step, broken.error)
    host.step = None
    if broken.outwards is not None:
        raise broken.outwards
    if step is None and broken.error is not None:
        raise broken.error
    await run.port.settle(host)


async def _unwound(run: Run, host: Host, step: TaskRun, error: BaseException | None = None) -> None:
    """Say why a step was cut, clean up after it, and go on from there.

    Args:
        run: The run.
        host: The host that drove the step.
        step: The step; its coroutine has ended.
        error: What it raised while it unwound; None if nothing but the cancellation.
    """
    step.host = None
    cut = step.cut = _reason(run, step)
    output = None if cut is FutureState.suspended else await _clean_up(run, host, step)
    host.step = None
    # The clean-up may have outlasted the run's limit: then nothing follows.
    run.out_of_time()
    if error is not None:
        outcome.fail(run, step, error)
    elif cut is FutureState.suspended:
        assert run.suspension is not None
        run.suspension.put_off_step(step)
    elif cut is FutureState.timeout:
        outcome.time_out(run, step, output)
    else:
        outcome.drop(run, step)


def _reason(run: Run, step: TaskRun) -> FutureState:
    """Say what a step was cut for: the end of the run counts most, then the step's own."""
    if run.out_of_time() or run.phase is Phase.STOPPING or step.cancel_called:
        return FutureState.cancelled
    return step.cut or FutureState.timeout


async def _clean_up(run: Run, host: Host, step: TaskRun) -> Any:
    """Call `teardown()` out of reach of cancellation, and not for longer than the limit."""
    if getattr(step.holder, "teardown", None) is None:
        return None
    output, limit = None, run.cleanup_timeout
    host.cut_at = deadline = run.port.time() + limit
    run.port.watchdog.watch(run, deadline)
    try:
        with run.port.scope(deadline, shield=True) as scope:
            output = await _tear_down(host, step)
    except BaseException as exc:
        broken = run.port.broken(exc)
        outcome.note(run, step, broken.error or exc)
        if broken.outwards is not None:
            raise broken.outwards from None
    else:
        if scope.cancelled_caught:
            outcome.note(run, step, CleanupTimedOut(step.template.uid, limit))
    return output


async def _tear_down(host: Host, step: TaskRun) -> Any:
    context = host.context
    assert context is not None
    # Where it stands now, for whoever asks.
    host.coroutine = coro = _result_of(step.holder.teardown)
    try:
        trap = context.run(coro.send, None)
    except StopIteration as end:
        return end.value
    return await rest_of(context, coro, trap)


async def _result_of(function: Callable[[], Any]) -> Any:
    """Call a function that may be async."""
    result = function()
    return await result if inspect.isawaitable(result) else result
