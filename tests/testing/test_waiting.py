"""A deadlock names who waits: the test, each step with its place, and runs that have no step."""

from __future__ import annotations

import asyncio
import inspect
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.silence import silence
from tukio.broker import TopicManager
from tukio.testing import Deadlock, new_loop, registered, run
from tukio.testing.waiting import MOST_LINES, who_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

LOOPS = pytest.mark.backends("asyncio", "uvloop")
LONGEST_LINE = 700


def deadlock_of(function: Callable[..., Coroutine[Any, Any, Any]], backend: str, **way: Any) -> str:
    """Run a function that waits for ever, and return the message of the deadlock."""
    with silence(), pytest.raises(Deadlock) as caught:
        run(function, backend=backend, **way)
    return str(caught.value)


def lines_of(message: str) -> list[str]:
    """Return the lines that tell who waits."""
    return message.split("\n  ")[1:]


def line_in(function: Callable[..., object], code: str) -> str:
    """Return a place in this file, as it is told: where a line of code is in a function."""
    lines, first = inspect.getsourcelines(function)
    [offset] = [number for number, line in enumerate(lines) if code in line]
    path = Path(__file__).relative_to(Path.cwd())
    return f"{path}:{first + offset}, `{lines[offset].strip()}`"


class Approval(tukio.TaskHolder):
    """Waits for an event of a topic of its own."""

    async def execute(self, event: tukio.Event) -> Any:
        """Wait."""
        assert self.queue is not None
        with TopicManager("approval/17"):
            return (await self.queue.get()).data


async def passes(event: tukio.Event) -> None:
    """Do not wait."""


async def waits(event: tukio.Event) -> None:
    """Wait in a function of its own."""
    await helper()


async def helper() -> None:
    """Wait for ever."""
    await anyio.sleep_forever()


async def holds_out(event: tukio.Event) -> None:
    """Wait for ever, also when it is cancelled."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()


TASKS = partial(registered, passes, waits, holds_out, approval=Approval)


# Steps


def test_each_step_is_named_with_its_place_and_what_it_listens_to(backend: str) -> None:
    """In the order in which they began, and the place as the author of the task sees it."""
    run_ids: list[str] = []
    document = flow({"root": ["approval", "waits"]}, names={"root": "passes"}).as_dict()
    document["tasks"][1]["topics"] = ["a", "b"]
    template = tukio.WorkflowTemplate.from_dict(document)

    async def test() -> None:
        async with tukio.Engine() as engine:
            survey: Any = await engine.run_once(template, {})
            run_ids.append(survey.uid)
            await survey.wait()

    with TASKS():
        message = deadlock_of(test, backend)
    assert message.startswith("deadlock: all tasks wait for something that never happens\n")
    where = line_in(Approval.execute, "queue.get")
    topics = "it listens to 'a', 'b', 'approval/17'"
    assert lines_of(message) == [
        f"the test at {line_in(test, 'await survey.wait')}",
        f"run {run_ids[0]} of 'flow', task 'approval' at {where}; {topics}",
        f"run {run_ids[0]} of 'flow', task 'waits' at {line_in(helper, 'sleep_forever')}",
    ]


def test_a_join_tells_which_parents_may_still_come(backend: str) -> None:
    """Its place is a line of tukio, for nobody else has written one."""
    graph = {"root": ["passes", "waits"], "passes": ["all"], "waits": ["all"]}
    document = flow(graph, names={"root": "passes", "all": "join"}).as_dict()
    document["tasks"][3]["config"] = {"wait_for": 2}

    async def test() -> None:
        async with tukio.Engine() as engine:
            await engine.run_once(tukio.WorkflowTemplate.from_dict(document), {})

    with TASKS():
        line = lines_of(deadlock_of(test, backend))[-1]
    assert "task 'all' at " in line
    assert "join.py:" in line
    assert line.endswith("; parents that may still come: waits")


def test_every_topic_is_told_as_that(backend: str) -> None:
    """A task without a list of topics."""
    document = flow("waits").as_dict()
    document["tasks"][0]["topics"] = None

    async def test() -> None:
        async with tukio.Engine() as engine:
            await engine.run_once(tukio.WorkflowTemplate.from_dict(document), {})

    with TASKS():
        assert lines_of(deadlock_of(test, backend))[-1].endswith("; it listens to every topic")


def test_a_step_in_its_clean_up_is_told_as_that(backend: str) -> None:
    """Here it holds out when its time is up; so does the engine that is left."""

    class Cleans(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep_forever()

        async def teardown(self) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep_forever()

    async def test() -> None:
        async with tukio.Engine() as engine:
            cleans: Any = await engine.run_once(flow("Cleans", limits={"Cleans": 1}), {})
            await cleans.wait()

    with registered(Cleans):
        # When it is cancelled for the deadlock, it does not end: patience is lost with it.
        message = deadlock_of(test, backend, patience=0.05)
    where = line_in(Cleans.teardown, "await anyio")
    assert lines_of(message)[-1].endswith(f" of 'flow', task 'Cleans', in its clean-up at {where}")


def test_a_step_that_waits_for_a_thread_is_named_when_patience_is_lost(backend: str) -> None:
    """With the line that waits."""
    gate = threading.Event()

    async def computes(event: tukio.Event) -> None:
        await anyio.to_thread.run_sync(gate.wait, 0.3)

    async def test() -> None:
        async with tukio.Engine() as engine:
            await engine.run_once(flow("computes"), {})

    with registered(computes):
        message = deadlock_of(test, backend, patience=0.05)
    assert "1 thread is at work" in message
    [line] = lines_of(message)
    assert line.endswith(f"task 'computes' at {line_in(computes, 'run_sync')}")


# Runs


def test_runs_that_are_suspended_are_told_with_what_is_to_be_run_again(backend: str) -> None:
    """They have no step at work."""

    async def test() -> None:
        async with tukio.Engine() as engine:
            template = flow({"root": ["waits", "approval"]}, names={"root": "passes"})
            survey: Any = await engine.run_once(template, {})
            await anyio.sleep(1)
            survey.suspend()
            await survey.wait()

    with TASKS():
        [_, line] = lines_of(deadlock_of(test, backend))
    said = " of 'flow' is suspended, and waits to be resumed; to be run again: "
    assert line.partition(said)[2] in {"waits, approval", "approval, waits"}


def test_runs_that_wait_for_others_to_end_are_told_behind_those(backend: str) -> None:
    """Here the other one does not end, though it is cancelled."""

    async def test() -> None:
        async with tukio.Engine() as engine:
            await engine.load(flow("holds_out", policy="abort-running"))
            await engine.trigger("flow", {})
            await anyio.sleep(1)
            await engine.trigger("flow", {})
            await anyio.sleep_forever()

    with TASKS():
        message = deadlock_of(test, backend, patience=0.05)
    # The first verdict is that of the test; the second, which is told, that of the engine.
    assert "nothing" in message.splitlines()[0]
    [line] = lines_of(message)
    assert line.endswith(f"task 'holds_out' at {line_in(holds_out, 'sleep_forever')}")

    async def looks() -> None:
        async with tukio.Engine() as engine:
            await engine.load(flow("holds_out", policy="abort-running"))
            await engine.trigger("flow", {})
            await anyio.sleep(1)
            await engine.trigger("flow", {})
            told.append(who_waits())

    told: list[str] = []
    with TASKS():
        deadlock_of(looks, backend, patience=0.05)
    first, second = lines_of(told[0])
    assert "task 'holds_out' at" in first
    assert second.endswith(" of 'flow' is not started, and waits for other runs to end")


def test_a_run_that_is_about_to_begin_is_told_by_its_phase(backend: str) -> None:
    """No driver has begun."""

    async def looks() -> str:
        async with tukio.Engine() as engine:
            await engine.run_once(flow("passes"), {})
            return who_waits()

    with TASKS():
        [line] = lines_of(run(looks, backend=backend))
    assert line.endswith(" of 'flow' is running")


def test_runs_of_all_engines_here_are_told_and_of_no_other(backend: str) -> None:
    """Neither those that are over, nor those of a loop in another thread."""
    texts: dict[str, str] = {}
    entered, looked_at = threading.Event(), threading.Event()

    async def look(name: str) -> None:
        async with tukio.Engine() as outer, tukio.Engine() as inner:
            await (await inner.run_once(flow("passes"), {})).wait()
            for engine in (outer, inner):
                await engine.run_once(flow("waits", id=name), {})
            await anyio.sleep(1)
            if name == "theirs":
                entered.set()
                looked_at.wait()
            texts[name] = who_waits()
            for engine in (outer, inner):
                engine.stop(force=True)

    with TASKS():
        thread = threading.Thread(target=partial(run, look, "theirs", backend=backend))
        thread.start()
        entered.wait()
        run(look, "ours", backend=backend)
        looked_at.set()
        thread.join()
    for name, text in texts.items():
        assert len(lines_of(text)) == text.count(f"of '{name}', task 'waits' at") == 2


@LOOPS
def test_loose_runs_are_told_with_an_engine_and_without(backend: str) -> None:
    """As 1.x has them."""
    loop = new_loop(backend, patience=0.05)
    engine = tukio.Engine(loop=loop)

    async def start() -> None:
        await engine.run_once(flow("waits", id="with"), {})
        tukio.Workflow(flow("waits", id="without")).run({})
        await asyncio.sleep(1)

    async def wait() -> None:
        await engine.stop()

    try:
        with TASKS():
            loop.run_until_complete(start())
            with pytest.raises(Deadlock, match="nothing queued, no timer") as caught:
                loop.run_until_complete(wait())
        assert "of 'with', task 'waits' at" in str(caught.value)
        assert "of 'without', task 'waits' at" in str(caught.value)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(1))
        loop.close()


# Whatever they are


def test_only_some_of_very_many_are_told(backend: str) -> None:
    """And how many there are beside them."""

    async def test() -> None:
        async with tukio.Engine() as engine:
            for _ in range(1000):
                await engine.run_once(flow("waits"), {})

    with TASKS():
        lines = lines_of(deadlock_of(test, backend))
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and 981 more"


def test_odd_ids_are_told_in_one_line_each(backend: str) -> None:
    """They are bounded, and say nothing to a terminal."""
    odd = "a\n  run forged\x1b[31m" + "x" * 10_000

    async def test() -> None:
        async with tukio.Engine() as engine:
            document = flow("waits").as_dict() | {"id": odd}
            document["tasks"][0] |= {"id": odd, "topics": [odd] * 3}
            document["graph"] = {odd: []}
            survey: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(document), {})
            survey._run._uid = odd
            await survey.wait()

    with TASKS():
        lines = lines_of(deadlock_of(test, backend))
    assert len(lines) == 2
    assert all(line.isprintable() and len(line) < LONGEST_LINE for line in lines)


def test_a_deadlock_is_told_though_a_run_cannot_be(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told of runs comes second."""

    def fails(*args: object) -> Any:
        raise LookupError

    monkeypatch.setattr("tukio.testing.waiting._runs_here", fails)
    message = deadlock_of(anyio.sleep_forever, backend)
    assert message == "deadlock: all tasks wait for something that never happens"


def test_an_engine_needs_no_hash(backend: str) -> None:
    """It is found all the same."""

    class Odd(tukio.Engine):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise LookupError

    async def test() -> None:
        async with Odd() as engine:
            await engine.run_once(flow("waits"), {})

    with TASKS():
        assert "task 'waits' at" in deadlock_of(test, backend)
