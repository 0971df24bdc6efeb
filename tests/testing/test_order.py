"""The order of tasks that are ready together comes from a seed, and keeps every promise."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio

import tukio
from support.flow import Tasks, flow
from tukio.testing import Timeline, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Story = list[Any]

SEEDS = range(50)

LOOPS = pytest.mark.backends("asyncio", "uvloop")


def stories(
    body: Callable[[Story], Awaitable[None]], backend: str, seeds: range = SEEDS
) -> list[Story]:
    """Return what happens with each seed."""

    async def main() -> Story:
        story: Story = []
        await body(story)
        return story

    return [run(main, backend=backend, seed=seed) for seed in seeds]


def variety(stories: list[Story]) -> int:
    """Return how many of some stories are different."""
    return len(set(map(tuple, stories)))


async def together(story: Story) -> None:
    """Have four tasks ready together: when they begin, and when their sleeps end."""

    async def member(number: int) -> None:
        story.append(f"begins {number}")
        await anyio.sleep(30)
        story.append(f"wakes {number}")

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(member, number)


async def cancelled_together(story: Story) -> None:
    """Cancel four tasks at once; where they are in memory must not count."""

    async def member(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            story.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(member, number)
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()


@pytest.fixture
def branches() -> Iterator[tukio.WorkflowTemplate]:
    """Give a workflow whose four branches go on at the same instant."""
    tasks = Tasks()

    @tasks
    async def step(event: tukio.Event) -> None:
        await anyio.sleep(10)

    names = dict.fromkeys("abcdefgh", "step")
    graph = {"root": list("abcd"), "a": ["e"], "b": ["f"], "c": ["g"], "d": ["h"]}
    yield flow(graph, names=names | {"root": "step"})
    tasks.forget()


# What is different, and what is not


@pytest.mark.parametrize("body", [together, cancelled_together])
def test_the_same_seed_makes_the_same_order(body: Any, backend: str) -> None:
    """And different seeds make different ones."""
    first = stories(body, backend)
    assert variety(first) > 10
    assert stories(body, backend, SEEDS[:10]) == first[:10]


def test_the_same_seed_makes_the_same_events_of_a_workflow(
    branches: tukio.WorkflowTemplate, backend: str
) -> None:
    """Which of the branches goes on first is up to the seed; each of them stays in order."""

    async def body(story: Story) -> None:
        async with tukio.Engine() as engine:
            timeline = Timeline.of(engine)
            await engine.run_once(branches, {})
        story += timeline.kinds()

    first = stories(body, backend)
    assert variety(first) > 10
    assert stories(body, backend, SEEDS[:10]) == first[:10]
    for story in first:
        begun = [event[-1] for event in story if event.startswith("task-begin")]
        assert begun[:5] == ["t", *"abcd"]
        for branch in ("ae", "bf", "cg", "dh"):
            events = [event for event in story if event[-1] in branch and event[-2] == " "]
            own = [f"task-{verb} {uid}" for uid in branch for verb in ("begin", "end")]
            assert events == own


@LOOPS
def test_without_a_seed_the_order_is_that_of_the_loop(backend: str) -> None:
    """First come, first served."""
    story: Story = []
    run(together, story, backend=backend)
    assert story == [f"{verb} {number}" for verb in ("begins", "wakes") for number in range(4)]


# What asyncio promises


@LOOPS
def test_callbacks_are_called_in_their_order(backend: str) -> None:
    """Also in that with the steps of tasks: what was ready before is done before."""

    async def body(story: Story) -> None:
        async def step(number: int) -> None:
            story.append(number)

        def note(what: str, _: object) -> None:
            story.append(what)

        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []
        for number in range(4):
            tasks.append(loop.create_task(step(number)))
            loop.call_soon(story.append, f"callback {number}")
            tasks[-1].add_done_callback(partial(note, f"done {number}"))
        await asyncio.wait(tasks)

    expected = [said for number in range(4) for said in (number, f"callback {number}")]
    expected += [f"done {number}" for number in range(4)]
    assert stories(body, backend) == [expected] * len(SEEDS)


@LOOPS
def test_a_callback_that_belongs_to_a_task_is_no_step_of_it(backend: str) -> None:
    """Any method of a task may be a callback, and keeps its place."""

    async def body(story: Story) -> None:
        task = asyncio.create_task(asyncio.sleep(10))
        for number in range(4):
            asyncio.get_running_loop().call_soon(task.set_name, number)
        await task
        story.append(task.get_name())

    assert stories(body, backend) == [["3"]] * len(SEEDS)


@LOOPS
def test_a_task_that_becomes_ready_in_a_later_turn_comes_later(backend: str) -> None:
    """Tasks change places with those of the same turn only."""

    async def body(story: Story) -> None:
        async def step(number: int) -> None:
            story.append(number)

        async def wait(gate: asyncio.Future[None]) -> None:
            await gate
            story.append("late")

        loop = asyncio.get_running_loop()
        gate: asyncio.Future[None] = loop.create_future()
        late = asyncio.create_task(wait(gate))
        await asyncio.sleep(1)
        loop.call_soon(gate.set_result, None)
        await asyncio.wait([late, *(asyncio.create_task(step(number)) for number in range(3))])
        assert story.pop() == "late"

    assert variety(stories(body, backend)) > 3


@LOOPS
def test_a_task_that_yields_comes_after_those_that_are_ready(backend: str) -> None:
    """`await asyncio.sleep(0)` lets a task that was just made begin, as everybody knows."""

    async def body(story: Story) -> None:
        async def step(number: int) -> None:
            story.append(number)
            await asyncio.sleep(0)
            story.append(number + 10)

        tasks = [asyncio.create_task(step(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert sorted(story) == [0, 1, 2]
        begun = story.copy()
        await asyncio.sleep(0)
        assert story == [*begun, *(number + 10 for number in begun)]
        await asyncio.wait(tasks)

    assert variety(stories(body, backend)) > 3


@LOOPS
def test_timers_fire_in_the_order_of_their_instants(backend: str) -> None:
    """Only those of the same instant change places, whose order asyncio leaves undefined."""

    async def body(story: Story) -> None:
        loop = asyncio.get_running_loop()
        for number in range(8):
            loop.call_at(1 + number % 2, story.append, number)
        await asyncio.sleep(3)
        assert [number % 2 for number in story] == [0, 0, 0, 0, 1, 1, 1, 1]

    assert variety(stories(body, backend)) > 10


@LOOPS
def test_each_step_is_done_in_its_own_context(backend: str) -> None:
    """Whoever's place it is done in."""
    variable: ContextVar[int] = ContextVar("variable", default=-1)

    async def body(story: Story) -> None:
        async def step(number: int) -> None:
            assert variable.get() == -2
            variable.set(number)
            await anyio.sleep(1)
            assert variable.get() == number
            story.append(number)

        variable.set(-2)
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(step, number)
        assert variable.get() == -2

    assert variety(stories(body, backend)) > 3


# The seed of trio


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_run_with_a_seed_leaves_trio_as_it_was(
    monkeypatch: pytest.MonkeyPatch, *, deterministic: bool
) -> None:
    """Its random numbers are those of the whole process, and Hypothesis may count on them."""
    scheduler: Any = trio._core._run
    monkeypatch.setattr(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", deterministic)
    before = scheduler._r.getstate(), scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    run(anyio.sleep, 1, backend="trio", seed=1)
    with pytest.raises(TypeError):
        run(anyio.sleep, "wrong", backend="trio", seed=1)  # type: ignore[arg-type]
    assert (scheduler._r.getstate(), scheduler._ALLOW_DETERMINISTIC_SCHEDULING) == before


def test_a_trio_that_cannot_be_given_a_seed_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes is not public; one day it may not be there. Without a seed all works."""
    monkeypatch.delattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING")
    story: Story = []

    async def main() -> None:
        story.append("run")

    with pytest.raises(NotImplementedError, match=r"^trio .* cannot be given a seed - use seed="):
        run(main, backend="trio", seed=1)
    assert story == []
