"""Very many runs that wait: what they cost is known, and none of it is a task or a timer."""

from __future__ import annotations

import gc
import tracemalloc

import anyio
import pytest

import tukio
from support.counting import tasks_alive, timers_alive
from support.hurry import hurry
from support.suspensions import suspended
from tukio.testing.clock import settle

pytestmark = pytest.mark.usefixtures("naps")

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled
TIMEOUT = tukio.FutureState.timeout

MANY = 10_000
LIMIT = 1000.0

KIB_OF_A_SUSPENDED_RUN = 4.4
"""KiB that one run takes which is suspended in its only step and has a limit, at most.

Measured were 3.7 on asyncio, 3.6 on uvloop and 3.5 on trio, by CPython 3.11; a fifth is head-room.
"""


class Ends:
    """When runs ended, and of which template they were; the tasks and timers of before."""

    def __init__(self, engine: tukio.Engine) -> None:
        self.start = anyio.current_time()
        self.told: list[tuple[float, str | None]] = []
        self.tasks, self.timers = tasks_alive(), timers_alive()
        engine.broker.register(self.note, tukio.EXEC_TOPIC)

    def note(self, event: tukio.Event) -> None:
        """Note an end."""
        if event.data["type"] == "workflow-end":
            assert event.source
            self.told.append((anyio.current_time() - self.start, event.source.workflow_template_id))

    def take(self, uid: str, count: int) -> float:
        """Return when so many runs of a template have ended, all together and nobody else."""
        told, self.told = self.told, []
        assert told == told[:1] * count
        assert told[0][1] == uid
        return told[0][0]

    def check(self, timers: int) -> None:
        """Make sure that no task has come, and how many timers have."""
        assert tasks_alive() == self.tasks
        assert timers_alive() == self.timers + timers


async def test_ten_thousand_suspended_runs_have_no_task_and_one_timer() -> None:
    """And each answers at once, or comes to its end at the exact instant of its limit."""
    hurry()
    few = MANY // 10
    async with tukio.Engine() as engine:
        await settle()
        ends = Ends(engine)
        limited = await suspended(engine, MANY - few, timeout=LIMIT, id="limited")
        endless = await suspended(engine, few, id="endless")
        assert len(engine.instances) == MANY
        ends.check(timers=1)

        cut, resumed, kept = limited[:few], limited[few : 2 * few], limited[2 * few :]
        assert {run.cancel() and run.state for run in cut} == {CANCELLED}
        assert ends.take("limited", few) == 2
        assert all(run.resume() for run in resumed)
        await anyio.sleep(5.5)
        assert ends.take("limited", few) == 7
        assert {run.state for run in resumed} == {FINISHED}
        ends.check(timers=1)

        await kept[-1].wait()
        await settle()
        assert ends.take("limited", len(kept)) == LIMIT
        assert {run.state for run in kept} == {TIMEOUT}
        engine.stop(force=True)
        assert ends.take("endless", few) == LIMIT
        assert {run.state for run in endless} == {CANCELLED}
        # On trio a timer that was called off takes a turn to end.
        await settle()
        ends.check(timers=0)
    assert anyio.current_time() - ends.start == LIMIT


async def test_the_memory_of_a_suspended_run_is_known() -> None:
    """A hundred thousand runs that wait for a person fit into a process."""
    hurry()
    many = 400
    async with tukio.Engine() as engine:
        warm = await suspended(engine, 10, timeout=LIMIT)
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            runs = await suspended(engine, many, timeout=LIMIT)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(runs) == many
        assert len(warm) == 10
        engine.stop(force=True)
    assert (after - before) / many / 1024 <= KIB_OF_A_SUSPENDED_RUN
