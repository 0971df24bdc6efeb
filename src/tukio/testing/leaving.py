"""Engines whose block is cancelled at every point of a run.

Owns:   the passes over a run, the task that the block is in, and its cancellations.
Knows:  the points of a run; of backends, whether there is a native task.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import anyio

from .._loop.running import native_task
from .._model.state import FutureState
from .._run.closing import closing_in
from .everywhere import BrokenThere, made_by, result_of
from .faults import no_faults
from .invariants import check_guarantees, demand
from .points import PointedEngine, Points
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._run.workflow import Workflow
    from .everywhere import Check, MakeRun


async def leave_everywhere(
    make_run: MakeRun, check: Check | None = None, *, cancellations: int = 1
) -> int:
    """Run a workflow many times, and cancel the engine's block at its first point, its second, ...

    The points are the beginning and each suspension of a task, and each execution event. On asyncio
    the task that the block is in is cancelled natively, as `asyncio.run` does at Ctrl-C: no shield
    stops that. On trio a scope around the block is cancelled.

        points = await leave_everywhere(make_run, cancellations=3)

    Args:
        make_run: Starts the workflow in the given engine, and returns the run.
        check: Called after each pass with the run, which is over, and its timeline; may raise.
        cancellations: How often the task is cancelled on asyncio: once at the point, and then once
            in each turn of the loop.

    Returns:
        The number of points.

    Raises:
        BrokenThere: A guarantee or `check` did not hold after the cancellation at a point. One
            guarantee is that the run is over when the block is left.
    """
    for number in itertools.count(1):
        block = _Block(make_run, cancellations)
        points = Points(number, block.cancel)
        try:
            with no_faults():
                async with anyio.create_task_group() as group:  # noqa: ASYNC112 - see below
                    # In a task of its own: native cancellations are counted there for good.
                    group.start_soon(block.run, points, name="engine's block")
            run = block.check()
            if not points.reached:
                return number - 1
            if run is not None and check is not None:
                await result_of(check(run, block.timeline))
        except Exception as problem:
            deed = "the engine's block was cancelled"
            raise BrokenThere(deed, number, points.passed, block.timeline, problem) from problem
    raise AssertionError  # unreachable: the count has no end


class _Block:
    """The block of an engine with one run, in a task of its own."""

    def __init__(self, make_run: MakeRun, cancellations: int) -> None:
        self.timeline: Timeline = Timeline()
        self._make_run: MakeRun = make_run
        # How many cancellations are still to come.
        self._left: int = cancellations
        # When the block was cancelled, and how the run was to end by then; None if it was not, or
        # nothing had decided that.
        self._cancelled_at: float | None = None
        self._ending: FutureState | None = None
        self._scope: anyio.CancelScope = anyio.CancelScope()
        self._host: Any = None
        self._engine: PointedEngine | None = None
        # The run, and whether it was over when the block was left; None before.
        self._run: Workflow | None = None
        self._was_over: bool | None = None

    async def run(self, points: Points) -> None:
        """Enter the engine, make the run, and wait for it."""
        self._host = native_task()
        with self._scope:
            try:
                async with PointedEngine(points) as engine:
                    self._engine, self.timeline = engine, Timeline.of(engine)
                    self._run = await made_by(self._make_run, engine)
                    await self._run.wait()
            except anyio.get_cancelled_exc_class():  # noqa: ASYNC103 - see below
                if self._host is None or self._cancelled_at is None:
                    raise
                # The native one, which is answered here: this task ends.
            finally:
                self._was_over = self._run is None or self._run._run.ended_at is not None

    def cancel(self, run: Workflow) -> None:
        """Cancel the block; natively where that is possible."""
        self._ending, self._cancelled_at = run._run.ending, anyio.current_time()
        if self._host is None:
            self._scope.cancel()
        else:
            self._cancel_natively()

    def _cancel_natively(self) -> None:
        if self._left and not self._host.done():
            self._left -= 1
            self._host.cancel()
            again: Callable[[], None] = self._cancel_natively
            self._host.get_loop().call_soon(again)

    def check(self) -> Workflow | None:
        """Make sure that the guarantees hold now, and return the run, if there was one.

        Raises:
            BrokenGuarantee: One does not hold.
        """
        run = self._run
        demand("G1", self._was_over, "the block was left before the run was over")
        if self._engine is not None:
            self._engine.watch.check()
        if run is None:
            return None
        check_guarantees(run, self.timeline)
        closing = closing_in(run._steps)
        began_to_close = None if closing is None else closing.began_at
        came_to_end = run._run.ended_at if began_to_close is None else began_to_close
        if self._cancelled_at is not None and came_to_end != self._cancelled_at:
            # Not what it came to in the same instant, before the task of the block had a turn.
            cancelled = run.state is (self._ending or FutureState.cancelled)
            demand("G3", cancelled, "its block was cancelled, and it ended {}", run.state.value)
        return run
