"""What a suspension leaves of a step: whether it is run again, when, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.suspensions import pause
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks
    from support.suspensions import Log

FINISHED, EXCEPTION = tukio.FutureState.finished, tukio.FutureState.exception
TIMEOUT, SUSPENDED = tukio.FutureState.timeout, tukio.FutureState.suspended


# What a cut step makes of it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "state", "ending"),
    [
        ("returns", FINISHED, FINISHED),
        ("fails", EXCEPTION, FINISHED),
        ("skips", tukio.FutureState.skipped, FINISHED),
        ("aborts", EXCEPTION, EXCEPTION),
    ],
)
async def test_a_cut_step_that_makes_something_of_it_is_over(
    task: Tasks, log: Log, then: str, state: tukio.FutureState, ending: tukio.FutureState
) -> None:
    """It is not run again; what it leads to waits for the resume."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        begun.append("a")
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            if then == "skips":
                raise tukio.SkipTask("cut") from None
            if then != "returns":
                raise LookupError("cut") from None
        return {"cut": 1}

    on_error = "abort" if then == "aborts" else "continue"
    async with tukio.Engine() as engine:
        template = flow("a b", names={"b": "quick"}, on_error=on_error)
        run: Any = await engine.run_once(template, {"n": 0})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        assert next(iter(run.tasks)).state is state
        assert log == []
        assert run.resume() is (then != "aborts")
        assert await run.wait() is ending

    assert begun == ["a"]
    assert list(run.errors) == (["a"] if state is EXCEPTION else [])
    assert log == ([] if state is EXCEPTION else [(2, "b begins")])
    b = run.outputs.get("b")
    assert b == {"returns": {"cut": 1, "b": 1}, "skips": {"n": 0, "b": 1}}.get(then)


@pytest.mark.parametrize(
    ("calls", "instant"),
    [("s", None), ("sr", 6), ("srs", None), ("srsr", 6), ("s---r", 8)],
    ids=["suspended", "resumed", "suspended again", "resumed again", "resumed later"],
)
@pytest.mark.parametrize("sibling", [False, True], ids=["alone", "with a sibling"])
async def test_a_step_that_takes_long_to_unwind_is_run_again_after_that(
    task: Tasks, calls: str, instant: float | None, sibling: bool
) -> None:
    """Never beside itself: a resume that comes too early takes effect when it has unwound."""
    told: list[tuple[float, str]] = []

    @task
    async def careful(event: tukio.Event) -> None:
        told.append((anyio.current_time(), "begins"))
        try:
            await anyio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            told.append((anyio.current_time(), "unwinds"))

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def other(event: tukio.Event) -> None:
        await anyio.sleep(20)

    graph = {"root": ["careful", "other"] if sibling else ["careful"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(graph), {})
        await anyio.sleep(1)
        for call in calls:
            if call != "-":
                assert (run.suspend if call == "s" else run.resume)()
            await anyio.sleep(7 / 4 if "-" in calls else 1)
        await anyio.sleep(100 - anyio.current_time())
        assert told[:2] == [(0, "begins"), (6, "unwinds")]
        assert [at for at, what in told[2:] if what == "begins"] == ([instant] if instant else [])
        if instant is None:
            run.resume()
        assert await run.wait() is FINISHED

    assert [what for _, what in told] == ["begins", "unwinds"] * 2


async def test_a_resume_does_not_wait_for_a_step_that_still_unwinds(task: Tasks, log: Log) -> None:
    """The others are run again at once, beside it."""

    @task
    async def careful(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)

    names = {"a": "quick", "b": "slow"}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"a": ["careful", "b"]}, names=names), {})
        await anyio.sleep(1)
        await pause(run, 1)
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 6 + 10 + 5

    assert log[1:] == [(0, "b begins"), (1, "b is cut"), (2, "b begins"), (12, "b ends")]


async def test_a_step_that_is_being_cleaned_up_after_is_left_alone(task: Tasks, log: Log) -> None:
    """Its `teardown()` goes on while the run is suspended, and still knows that it timed out."""

    @task
    class a(tukio.TaskHolder):  # noqa: N801
        """Hangs."""

        async def execute(self, event: tukio.Event) -> None:
            """Hang."""
            await anyio.sleep_forever()

        async def teardown(self) -> dict[str, Any]:
            """Take 3 s."""
            await anyio.sleep(3)
            return {"at": anyio.current_time(), "timed out": tukio.current_task().timed_out}

    async with tukio.Engine() as engine:
        template = flow("a b", names={"b": "quick"}, limits={"a": 4})
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(5)
        await pause(run, 5)
        assert await run.wait() is FINISHED

    assert run.outputs["a"] == {"at": 7, "timed out": True}
    assert log == [(10, "b begins")]


async def test_many_quick_steps_do_not_hold_a_suspension_up(task: Tasks) -> None:
    """Steps that never suspend stop where they are, and go on from there."""
    begun: list[str] = []

    @task
    async def quick(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    names = [f"s{number}" for number in range(500)]
    async with tukio.Engine() as engine:
        template = flow({"s0": names[1:]}, names=dict.fromkeys(names, "quick"))
        run: Any = await engine.run_once(template, {})
        while not begun:
            await anyio.lowlevel.checkpoint()
        assert run.suspend()
        count = len(begun)
        await settle()
        assert 0 < len(begun) == count < 500
        assert run.resume()
        assert await run.wait() is FINISHED

    assert begun == names


# What is left of the first execution --------------------------------------------------------------


async def test_the_second_execution_starts_from_scratch(task: Tasks) -> None:
    """Its own id, holder, config, event and choice; `teardown()` is not for suspensions."""
    seen: list[Any] = []

    @task
    class a(tukio.TaskHolder):  # noqa: N801
        """Spoils what it is given."""

        async def execute(self, event: tukio.Event) -> None:
            """Choose a successor only the first time."""
            seen.append((dict(self.config), dict(event.data), event.topic, self.uid))
            self.config["n"] = event.data["n"] = "spoilt"
            if len(seen) == 1:
                tukio.current_workflow().set_next_tasks(["b"])
            await anyio.sleep(10)

        def teardown(self) -> None:
            """Tell that it was called."""
            seen.append("teardown")

    @task
    async def b(event: tukio.Event) -> None:
        seen.append(("b", event.data))

    template = flow({"a": ["b", "c"]}, names={"c": "b"}, topics=["t"])
    template.tasks[0].config = {"n": 1}
    async with tukio.Engine() as engine:
        await engine.load(template)
        (run,) = await engine.data_received({"n": 2}, "t")
        await anyio.sleep(1)
        (first,) = run.tasks
        await pause(run, 1)
        assert await run.wait() is FINISHED

    again = next(iter(run.tasks))
    assert first.uid != again.uid
    assert (first.state, again.state) == (SUSPENDED, FINISHED)
    given = ({"n": 1}, {"n": 2}, "t")
    assert seen == [(*given, first.uid), (*given, again.uid), *[("b", {"n": 2})] * 2]


async def test_the_queue_of_a_suspended_step(task: Tasks) -> None:
    """Late parents are there again, those of the suspension too; events of topics are not."""
    got: list[list[dict[str, Any]]] = []

    async def parent(event: tukio.Event) -> dict[str, str]:
        uid = tukio.current_task().template.uid
        await anyio.sleep({"b": 0, "c": 2, "d": 4}.get(uid, 0))
        return {"from": uid}

    @task
    async def stubborn(event: tukio.Event) -> dict[str, str]:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(6)
        return {"from": "e"}

    @task
    async def reads(event: tukio.Event) -> None:
        got.append([event.data])
        while len(got[-1]) < 5:
            got[-1].append((await tukio.current_task().queue.get()).data)

    task(parent)
    graph = {"a": ["b", "c", "d", "e"], **{uid: ["reads"] for uid in "bcde"}}
    names = dict.fromkeys("abcd", "parent") | {"e": "stubborn"}
    template = flow(graph, names=names)
    template.tasks[5].topics = ["news"]
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received({"from": "news 1"}, "news")
        await anyio.sleep(4)
        assert run.suspend()
        await engine.data_received({"from": "news 2"}, "news")
        await anyio.sleep(5)
        assert run.resume()
        await anyio.sleep(1)
        await engine.data_received({"from": "news 3"}, "news")
        assert await run.wait() is FINISHED

    assert [[data["from"] for data in read] for read in got] == [
        ["b", "news 1", "c", "d"],
        ["b", "c", "d", "e", "news 3"],
    ]


async def test_a_step_that_reached_its_limit_is_not_run_again_for_a_suspension(
    task: Tasks, log: Log
) -> None:
    """G4: it has timed out, however long it takes to unwind; its successors run when resumed."""

    @task
    class careful(tukio.TaskHolder):  # noqa: N801
        """Takes its time to unwind."""

        async def execute(self, event: tukio.Event) -> None:
            """Take 30 s, or else 5 s to unwind."""
            log.append((anyio.current_time(), "careful begins"))
            try:
                await anyio.sleep(30)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(5)

        def teardown(self) -> dict[str, int]:
            """Give what there is."""
            return {"partial": 1}

    async with tukio.Engine() as engine:
        template = flow("careful b", names={"b": "quick"}, limits={"careful": 4})
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(6)
        await pause(run, 10)
        assert await run.wait() is FINISHED

    assert log == [(0, "careful begins"), (16, "b begins")]
    assert run.outputs == {"careful": {"partial": 1}, "b": {"partial": 1, "b": 1}}


# Limits -------------------------------------------------------------------------------------------


async def test_the_limit_of_a_step_starts_anew_on_resume(log: Log) -> None:
    """It does not run while the run is suspended, and what was used up does not count."""
    async with tukio.Engine() as engine:
        names = {"a": "slow", "b": "quick"}
        run: Any = await engine.run_once(flow("a b", names=names, limits={"a": 5}), {})
        await anyio.sleep(3)
        await pause(run, 50)
        assert await run.wait() is FINISHED

    assert log == [
        *((0, "a begins"), (3, "a is cut")),
        *((53, "a begins"), (58, "a is cut")),
        (58, "b begins"),
    ]
    assert next(iter(run.tasks)).state is TIMEOUT


async def test_the_limit_of_a_run_counts_its_suspensions(log: Log) -> None:
    """Before, in and after them; a step that began anew is cut at the same instant."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}, timeout=12), {})
        await anyio.sleep(3)
        await pause(run, 4)
        assert await run.wait() is TIMEOUT

    assert log == [(0, "a begins"), (3, "a is cut"), (7, "a begins"), (12, "a is cut")]
    assert run.report()["exec"]["elapsed"] == 12
