"""What tukio 1.1.2 does with data that meets a run in progress: overrun policies and locks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from tukio.testing.clock import settle
from tukio.workflow import OverrunPolicyHandler, Workflow, new_workflow

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
as_in_1_x = pytest.mark.backends("asyncio", "uvloop")


def one(name: str, uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one task, `a`."""
    return flow("a", names={"a": name}, id=uid, **fields)


# Policies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suspended", [False, True])
async def test_skip_starts_nothing_beside_another_run(ran: list[str], suspended: bool) -> None:
    """A suspended one counts; what is skipped is falsy, or left out of the list."""
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="skip"))
        run: Any = await engine.trigger("flow", {})
        await anyio.sleep(1)
        if suspended:
            run.suspend()
        assert not await engine.trigger("flow", {})
        assert await engine.data_received({}) == []
        assert run.resume() is suspended
        await run.wait()
        assert await engine.trigger("flow", {})


@pytest.mark.parametrize(
    ("policy", "started"),
    [("skip", 1), ("start-new", 5), ("skip-until-unlock", 1)],
)
async def test_the_policy_holds_under_a_burst(ran: list[str], policy: str, started: int) -> None:
    """Whoever comes first: the others do not slip through meanwhile."""
    counts: list[int] = []
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy=policy))

        async def send() -> None:
            counts.append(len(await engine.data_received({})))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(send)

    assert sum(counts) == len(ran) == started


async def test_start_new_starts_runs_side_by_side(ran: list[str]) -> None:
    """Both take their ten seconds at the same time."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="start-new"))
        first, second = [await engine.trigger("flow", {}) for _ in range(2)]
        assert engine.instances == [first, second]

    assert anyio.current_time() - start == 10
    assert ran == ["a", "a"]


@pytest.mark.parametrize("seconds", [0, 5])
async def test_abort_running_starts_when_the_others_have_ended(
    task: Tasks, ran: list[str], seconds: float
) -> None:
    """A run that takes its time to be cancelled is waited for; till then there is no start."""

    @task
    async def stubborn(event: tukio.Event) -> None:
        ran.append("stubborn")
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(seconds)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        story = listen(engine)
        await engine.load(one("stubborn", policy="abort-running"))
        first: Any = await engine.trigger("flow", {"n": 1})
        await anyio.sleep(1)
        second: Any = await engine.trigger("flow", {"n": 2})
        assert second is not first
        assert second.report()["exec"]["start"] is None
        assert await first.wait() is tukio.FutureState.cancelled
        assert anyio.current_time() - start == 1 + seconds
        assert second.report()["exec"]["start"] is not None
        assert await second.wait() is FINISHED

    assert ran == ["stubborn", "stubborn"]
    assert [event for event in story if event[1] is None] == [
        ("workflow-begin", None, {"n": 1}),
        ("workflow-end", None, {"cancel": True}),
        ("workflow-begin", None, {"n": 2}),
        ("workflow-end", None, None),
    ]
    assert anyio.current_time() - start == 11 + 2 * seconds


async def test_the_policy_is_that_of_the_template_as_it_is_loaded_now(ran: list[str]) -> None:
    """Runs are matched by the id of their template."""
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="start-new"))
        assert await engine.trigger("flow", {})
        await engine.load(one("slow", policy="skip"))
        assert not await engine.trigger("flow", {})
        await engine.load(one("slow", "other", policy="skip"))
        assert await engine.trigger("other", {})


@as_in_1_x
async def test_the_policy_says_whether_there_is_a_new_workflow(ran: list[str]) -> None:
    """It counts the runs of the same template id only."""
    loop = asyncio.get_running_loop()

    def of(policy: str, uid: str = "flow") -> tukio.WorkflowTemplate:
        return one("slow", uid, policy=policy)

    others: list[Any] = [Workflow(of("start-new", uid)) for uid in ("flow", "other")]
    for run in others:
        run.run({})
    for policy in ("skip", "start-new", "skip-until-unlock", "abort-running"):
        assert isinstance(new_workflow(of(policy)), Workflow)
        assert isinstance(new_workflow(of(policy), running=[others[1]]), Workflow)
    assert new_workflow(of("skip"), running=others) is None
    for policy in ("start-new", "skip-until-unlock"):
        assert isinstance(new_workflow(of(policy), others, loop), Workflow)
    locked: Any = Workflow(of("skip-until-unlock"))
    assert OverrunPolicyHandler(of("skip-until-unlock"), loop=loop).new_workflow([locked]) is None
    await settle()
    heir: Any = OverrunPolicyHandler(of("abort-running")).new_workflow(others)
    assert isinstance(heir, Workflow)
    await asyncio.wait(others)
    assert [run.cancelled() for run in others] == [True, False]


# Locks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "locked"),
    [("skip", False), ("start-new", False), ("skip-until-unlock", True), ("abort-running", False)],
)
async def test_runs_of_one_policy_are_born_locked(
    ran: list[str], policy: str, locked: bool
) -> None:
    """Of the others they are not."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(one("slow", policy=policy), {})
        assert run.lock.locked() is locked
        assert run.policy.value == policy


async def test_the_default_policy_skips_until_the_run_is_unlocked(task: Tasks) -> None:
    """The next run is locked again; one locked run among several is enough."""

    @task
    async def unlocks(event: tukio.Event) -> None:
        tukio.current_workflow().unlock_when_task_done()
        await anyio.sleep(5)

    @task
    async def stays(event: tukio.Event) -> None:
        await anyio.sleep(10)

    template = flow("unlocks stays", policy=None)
    assert template.policy.value == "skip-until-unlock"
    async with tukio.Engine() as engine:
        await engine.load(template)
        first: Any = await engine.trigger("flow", {})
        await anyio.sleep(4)
        assert first.lock.locked()
        assert not await engine.trigger("flow", {})
        await anyio.sleep(2)
        assert not first.lock.locked()
        second: Any = await engine.trigger("flow", {})
        assert second.lock.locked()
        assert engine.instances == [first, second]
        assert not await engine.trigger("flow", {})


@as_in_1_x
@pytest.mark.parametrize("named", [True, False], ids=["given", "the current one"])
async def test_a_workflow_is_unlocked_when_any_task_is_done(ran: list[str], named: bool) -> None:
    """Even one that is none of its own."""
    run: Any = Workflow(one("slow", policy="skip-until-unlock"))
    run.run({})

    async def foreign() -> None:
        if not named:
            run.unlock_when_task_done()
        await asyncio.sleep(1)

    other = asyncio.create_task(foreign())
    if named:
        run.unlock_when_task_done(other)
    await asyncio.sleep(0.5)
    locked = [run.lock.locked()]
    results: Any = await asyncio.gather(other, return_exceptions=True)
    await settle()
    locked.append(run.lock.locked())
    await run
    assert results == [None]
    assert locked == [True, False]


async def test_a_lock_is_released_by_hand(ran: list[str]) -> None:
    """It is an asyncio lock to look at."""
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="skip-until-unlock"))
        run: Any = await engine.trigger("flow", {})
        run.lock.release()
        assert not run.lock.locked()
        assert await engine.trigger("flow", {})


async def test_the_end_of_a_locked_run_lets_the_next_one_start(ran: list[str]) -> None:
    """Nobody has to unlock it."""
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="skip-until-unlock"))
        first: Any = await engine.trigger("flow", {})
        assert not await engine.trigger("flow", {})
        await first.wait()
        assert await engine.trigger("flow", {})
