"""Faults of tukio 1.1.2, B27-B30, B51, B53, B54: runs that were cut, and what others saw of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

CANCELLED = tukio.FutureState.cancelled
FINISHED = tukio.FutureState.finished
PENDING = tukio.FutureState.pending
TIMEOUT = tukio.FutureState.timeout

CUTS: dict[str, Callable[[Any, Any], object]] = {
    "cancel": lambda engine, run: run.cancel(),
    "timeout": lambda engine, run: run.timeout(),
    "stop": lambda engine, run: engine.stop(force=True),
}
cut_in_any_way = pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)


@pytest.fixture
def story(task: Tasks) -> list[str]:
    """Register `Careful` (10 s, and 2 s to unwind) and `Clumsy`, whose `teardown()` fails.

    They note here what is done to them.
    """
    noted: list[str] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            uid = tukio.current_task().template.uid
            noted.append(f"{uid} begins")
            try:
                await anyio.sleep(10)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(2)
                noted.append(f"{uid} has unwound")

        def teardown(self) -> None:
            noted.append(f"{tukio.current_task().template.uid} is torn down")

    @task
    class Clumsy(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            noted.append(f"{tukio.current_task().template.uid} begins")
            await anyio.sleep(10)

        def teardown(self) -> None:
            raise LookupError("teardown")

    return noted


# Replacements -------------------------------------------------------------------------------------


async def test_b27_a_burst_leaves_one_replacement_the_latest(story: list[str]) -> None:
    """In 1.1.2 all replacements ran in parallel, and the old run was torn down once for each."""
    async with tukio.Engine() as engine:
        await engine.load(flow("a", names={"a": "Careful"}, policy="abort-running"))
        runs: list[Any] = [await engine.trigger("flow", {"n": 0})]
        await anyio.sleep(1)
        runs += [await engine.trigger("flow", {"n": n}) for n in (1, 2, 3)]

    assert [run.state for run in runs] == [CANCELLED, CANCELLED, CANCELLED, FINISHED]
    assert [step.inputs for run in runs for step in run.tasks] == [{"n": 0}, {"n": 3}]
    once = ["a begins", "a has unwound"]
    assert story == [*once, "a is torn down", *once]
    assert anyio.current_time() == 1 + 2 + 12


async def test_b27_a_replacement_that_waits_is_known_to_the_engine(story: list[str]) -> None:
    """In 1.1.2 it was not among the instances, and "suspended" though it had never run."""
    async with tukio.Engine() as engine:
        await engine.load(flow("a", names={"a": "Careful"}, policy="abort-running"))
        old: Any = await engine.trigger("flow", {})
        await anyio.sleep(1)
        new: Any = await engine.trigger("flow", {})
        assert engine.instances == [old, new]
        assert engine.get(new.uid) is new
        assert new.state is PENDING
        execution = new.report()["exec"]
        assert (execution["start"], execution["state"]) == (None, "pending")
        await old.wait()
        assert engine.instances == [new]


@pytest.mark.parametrize("force", [True, False], ids=["force", "no force"])
async def test_b27_stop_covers_a_replacement_that_waits(story: list[str], force: bool) -> None:
    """In 1.1.2 the engine was done, and then the replacement started."""
    async with tukio.Engine() as engine:
        await engine.load(flow("a", names={"a": "Careful"}, policy="abort-running"))
        await engine.trigger("flow", {})
        await anyio.sleep(1)
        new: Any = await engine.trigger("flow", {})
        await engine.stop(force=force)
        assert engine.done()
        assert new.state is (CANCELLED if force else FINISHED)
        before = list(story)
        await anyio.sleep(60)

    assert story == before
    assert story.count("a begins") == (1 if force else 2)


# Clean-up -----------------------------------------------------------------------------------------


@cut_in_any_way
async def test_b28_teardown_comes_once_and_after_the_task_has_unwound(
    story: list[str], cut: Callable[[Any, Any], object]
) -> None:
    """In 1.1.2 it came before, and once more with each further `cancel()`."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "Careful"}), {})
        for _ in range(2):
            await anyio.sleep(1)
            cut(engine, run)
            cut(engine, run)
        await run.wait()
        assert anyio.current_time() == 3
        cut(engine, run)

    assert story == ["a begins", "a has unwound", "a is torn down"]


async def test_b28_a_teardown_that_fails_keeps_no_other_task_from_being_cancelled(
    ran: list[str], story: list[str]
) -> None:
    """In 1.1.2 `cancel()` raised its error, and the tasks after it went on to their end."""
    names = {"a": "quick", "b": "slow", "c": "Clumsy", "d": "slow", "e": "Careful"}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"a": ["b", "c", "d", "e"]}, names=names), {})
        await anyio.sleep(1)
        assert run.cancel()
        assert await run.wait() is CANCELLED
        assert anyio.current_time() == 3

    states = [task.state for task in run.tasks]
    assert states == [FINISHED, CANCELLED, CANCELLED, CANCELLED, CANCELLED]
    assert story == ["c begins", "e begins", "e has unwound", "e is torn down"]
    assert list(run.errors) == ["c"]
    assert isinstance(run.errors["c"], LookupError)


async def test_b28_a_teardown_that_fails_keeps_no_other_workflow_from_being_stopped(
    ran: list[str], story: list[str]
) -> None:
    """In 1.1.2 `stop(force=True)` raised its error, and the workflows after it went on."""
    async with tukio.Engine() as engine:
        runs: list[Any] = [
            await engine.run_once(flow("a", names={"a": name}), {})
            for name in ("slow", "Clumsy", "slow")
        ]
        await anyio.sleep(1)
        await engine.stop(force=True)
        assert anyio.current_time() == 1

    assert [run.state for run in runs] == [CANCELLED] * 3
    assert [list(run.errors) for run in runs] == [[], ["a"], []]


# Endings ------------------------------------------------------------------------------------------


def ends_once(events: list[tuple[str, str | None, Any]], run: Any) -> bool:
    """Say whether there is one terminal event, the last one, and each task that began has ended."""
    begun = {uid for kind, uid, _ in events if kind == "task-begin"}
    ended = [uid for kind, uid, _ in events if kind in {"task-end", "task-cancel"}]
    execution = run.report()["exec"]
    return (
        [kind for kind, _, _ in events].count("workflow-end") == 1
        and events[-1] == ("workflow-end", None, {"cancel": True})
        and (len(ended), set(ended)) == (len(begun), begun)
        and execution["end"] is not None
        and execution["state"] == "cancelled"
    )


@pytest.mark.parametrize("turns", range(10))
async def test_b29_a_run_that_is_cancelled_in_any_turn_ends_with_one_event(
    task: Tasks, ran: list[str], turns: int
) -> None:
    """In 1.1.2 there was no event, and no end, between one task and the next."""

    @task
    async def brief(event: tukio.Event) -> None:
        ran.append(tukio.current_task().template.uid)
        await anyio.lowlevel.checkpoint()

    names = {"a": "brief", "b": "brief", "c": "quick", "d": "slow"}
    async with tukio.Engine() as engine:
        events = listen(engine)
        run: Any = await engine.run_once(flow("a b c d", names=names), {})
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        run.cancel()
        assert await run.wait() is CANCELLED
        assert engine.instances == []
        begun = list(ran)
        await anyio.sleep(60)

    assert ends_once(events, run)
    assert ran == begun


MOMENTS = ["workflow-begin", "task-begin a", "task-end a", "task-begin b"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_b29_a_run_that_is_cancelled_at_any_event_ends_with_one_event(
    ran: list[str], moment: str
) -> None:
    """The end of a task is the moment that 1.1.2 could not bear."""
    async with tukio.Engine() as engine:
        events = listen(engine)

        def cancel(_: tukio.Event) -> None:
            if kinds(events)[-1] == moment:
                engine.instances[0].cancel()

        engine.broker.register(cancel, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("a b", names={"a": "quick", "b": "slow"}), {})
        assert await run.wait() is CANCELLED
        assert anyio.current_time() == 0

    assert ends_once(events, run)
    begun = [kind for kind in kinds(events) if "begin" in kind]
    assert begun == [kind for kind in MOMENTS[: MOMENTS.index(moment) + 1] if "begin" in kind]


@pytest.mark.parametrize(
    ("cut", "ending", "content"),
    [
        ("cancel", CANCELLED, {"cancel": True}),
        ("stop", CANCELLED, {"cancel": True}),
        ("timeout", TIMEOUT, {"cancel": True, "timeout": True}),
    ],
)
async def test_b30_the_events_tell_of_cancelled_tasks_and_why(
    ran: list[str], cut: str, ending: tukio.FutureState, content: dict[str, bool]
) -> None:
    """In 1.1.2 there was none for a task, and the last one was the same for cancel and timeout."""
    async with tukio.Engine() as engine:
        events = listen(engine)
        names = {"a": "quick", "b": "slow", "c": "slow"}
        limit = 5 if cut == "timeout" else None
        template = flow({"a": ["b", "c"]}, names=names, timeout=limit)
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(5)
        if limit is None:
            CUTS[cut](engine, run)
        assert await run.wait() is ending

    assert kinds(events)[:5] == [*MOMENTS, "task-begin c"]
    # Trio unwinds in any order.
    assert sorted(events[5:7]) == [("task-cancel", "b", None), ("task-cancel", "c", None)]
    assert events[7:] == [("workflow-end", None, content)]
    assert run.timed_out is (ending is TIMEOUT)


async def test_b30_a_task_that_is_cancelled_by_itself_is_told_and_has_an_end(
    ran: list[str],
) -> None:
    """In 1.1.2 nothing told of it, and its end stayed None."""
    names = {"a": "quick", "b": "slow", "c": "slow"}
    async with tukio.Engine() as engine:
        events = listen(engine)
        run: Any = await engine.run_once(flow({"a": ["b", "c"]}, names=names), {})
        await anyio.sleep(1)
        next(step for step in run.tasks if step.template.uid == "b").cancel()
        assert await run.wait() is FINISHED

    assert kinds(events)[4:] == ["task-begin c", "task-cancel b", "task-end c", "workflow-end"]
    execution = run.report()["tasks"][1]["exec"]
    assert execution["state"] == "cancelled"
    assert (execution["end"] - execution["start"]).total_seconds() == 1


# Tasks that swallow their cancellation ------------------------------------------------------------


@pytest.fixture
def swallowed(task: Tasks) -> list[float]:
    """Register `stubborn`, which swallows three cancellations: here are their instants.

    And `deaf` (60 s), which cannot be reached at all.
    """
    instants: list[float] = []

    @task
    async def stubborn(event: tukio.Event) -> None:
        for _ in range(3):
            try:
                await anyio.sleep(10)
            except BaseException:  # noqa: ASYNC103, BLE001 - that is the fault
                instants.append(anyio.current_time())
        await anyio.sleep(10)

    @task
    async def deaf(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)

    return instants


@cut_in_any_way
async def test_b51_a_task_that_swallows_its_cancellation_is_cancelled_again(
    swallowed: list[float], cut: Callable[[Any, Any], object]
) -> None:
    """In 1.1.2 to swallow it once defeated it: the task went on, for 30 seconds here."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("stubborn"), {})
        await anyio.sleep(1)
        cut(engine, run)
        await run.wait()
        assert anyio.current_time() == 1

    assert swallowed == [1, 1, 1]
    assert run.state is (TIMEOUT if cut is CUTS["timeout"] else CANCELLED)
    assert [step.state for step in run.tasks] == [CANCELLED]


async def test_b51_a_task_that_swallows_its_timeout_is_cancelled_again(
    ran: list[str], swallowed: list[float]
) -> None:
    """In 1.1.2 its limit was over with the first try, and it ended "finished"."""
    template = flow("stubborn b", limits={"stubborn": 1}, names={"b": "quick"})
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": 0})
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 1

    assert swallowed == [1, 1, 1]
    assert [step.state for step in run.tasks] == [TIMEOUT, FINISHED]
    assert run.outputs == {"stubborn": {"in": 0}, "b": {"in": 0, "b": 1}}


async def test_b51_a_task_that_returns_all_the_same_is_reported_as_a_whole(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 its state was "finished", but its end and its outputs were None."""

    @task
    async def saves(event: tukio.Event) -> dict[str, bool]:
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            return {"saved": True}  # noqa: ASYNC103 - that is the fault
        return {"saved": False}

    async with tukio.Engine() as engine:
        events = listen(engine)
        run: Any = await engine.run_once(flow("saves b", names={"b": "quick"}), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED

    assert ran == []
    assert events[2:] == [
        ("task-end", "saves", {"saved": True}),
        ("workflow-end", None, {"cancel": True}),
    ]
    execution = run.report()["tasks"][0]["exec"]
    assert (execution["state"], execution["outputs"]) == ("finished", {"saved": True})
    assert (execution["end"] - execution["start"]).total_seconds() == 1


async def test_b51_a_task_that_cannot_be_reached_is_named(swallowed: list[float]) -> None:
    """In 1.1.2 nothing told why a run did not end; the state is right when it does, now."""
    async with tukio.Engine() as engine:
        events = listen(engine)
        run: Any = await engine.run_once(flow("deaf b", names={"b": "deaf"}), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED
        assert anyio.current_time() == 60

    assert kinds(events)[2:] == ["task-stuck deaf", "task-end deaf", "workflow-end"]


# Selectors, and who learns first ------------------------------------------------------------------


class SlowSelector:
    """A selector of the user's own that takes its time, unless the topic is "hurry"."""

    def __init__(self, *templates: tukio.WorkflowTemplate) -> None:
        self.templates = templates

    async def select(self, topic: str | None) -> tuple[tukio.WorkflowTemplate, ...]:
        """Return all of them."""
        await anyio.sleep(0 if topic == "hurry" else 10)
        return self.templates

    async def get(self, template_id: str) -> tukio.WorkflowTemplate | None:
        """Return the one with an id."""
        await anyio.sleep(10)
        return next((one for one in self.templates if one.uid == template_id), None)


@pytest.mark.parametrize(("policy", "started"), [("start-new", 8), ("skip", 1)])
async def test_b53_calls_that_wait_for_a_slow_selector_do_not_wait_for_each_other(
    ran: list[str], policy: str, started: int
) -> None:
    """In 1.1.2 each waited for the ones before, 80 seconds here; the policies are as exact now."""
    runs: list[Any] = []
    template = flow("a", names={"a": "slow"}, policy=policy)
    async with tukio.Engine(selector=SlowSelector(template)) as engine:

        async def receive() -> None:
            runs.extend(await engine.data_received({}, "t"))

        async def trigger() -> None:
            runs.append(await engine.trigger("flow", {}))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(receive)
                group.start_soon(trigger)
        assert anyio.current_time() == 10
        assert len(engine.instances) == len([run for run in runs if run]) == started


async def test_b53_a_call_overtakes_one_that_waits_for_a_slow_selector(ran: list[str]) -> None:
    """In 1.1.2 it had to wait for that one first."""
    async with tukio.Engine(selector=SlowSelector(flow("a", names={"a": "quick"}))) as engine:
        async with anyio.create_task_group() as group:
            group.start_soon(engine.trigger, "flow", {})
            await anyio.sleep(1)
            assert len(await engine.data_received({}, "hurry")) == 1
            await anyio.sleep(1)
            assert ran == ["a"]
        assert anyio.current_time() == 10

    assert ran == ["a", "a"]


OUTCOMES: dict[str, tuple[dict[str, Any], str]] = {
    "finished": ({}, "workflow-end"),
    "cancelled": ({}, "workflow-end"),
    "timeout": ({"timeout": 5}, "workflow-end"),
    "exception": ({"on_error": "abort"}, "workflow-error"),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_b54_subscribers_learn_of_the_end_before_those_who_wait(
    task: Tasks, ran: list[str], outcome: str
) -> None:
    """In 1.1.2 who had awaited the workflow woke up first, some turns before the event."""

    @task
    async def fails(event: tukio.Event) -> None:
        await anyio.sleep(10)
        raise KeyError("a")

    fields, terminal = OUTCOMES[outcome]
    template = flow("a", names={"a": "fails" if outcome == "exception" else "slow"}, **fields)
    order: list[str] = []

    async def wait(who: str, until: Callable[[], Awaitable[object]]) -> None:
        await until()
        order.append(who)

    async with tukio.Engine() as engine, engine.subscribe(tukio.EXEC_TOPIC, buffer=1) as events:
        engine.broker.register(lambda event: order.append(event.data["type"]), tukio.EXEC_TOPIC)
        told = listen(engine)
        run: Any = await engine.run_once(template, {})
        async with anyio.create_task_group() as group:
            group.start_soon(wait, "wait", run.wait)
            await anyio.sleep(1)
            group.start_soon(wait, "stop", engine.stop)
            if outcome == "cancelled":
                run.cancel()
            await run.wait()
            # Each of them is in the stream, or was dropped for the next one.
            assert events.dropped == len(told) - 1
            assert (await anext(events)).data["type"] == terminal

    assert run.state.value == outcome
    assert order[:2] == ["workflow-begin", "task-begin"]
    assert order.index(terminal) == len(order) - 3
    assert sorted(order[-2:]) == ["stop", "wait"]


@pytest.mark.backends("asyncio", "uvloop")
async def test_b54_also_before_those_who_use_it_as_a_future(ran: list[str]) -> None:
    """By `await`, by a callback, and by looking whether it is done."""
    order: list[str] = []
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})

        def note(event: tukio.Event) -> None:
            order.append(f"{event.data['type']}, {'' if run.done() else 'not '}done")

        engine.broker.register(note, tukio.EXEC_TOPIC)

        def called_back(_: object) -> None:
            order.append("callback")

        run.add_done_callback(called_back)
        await run
        order.append("await")

    assert order == [
        "workflow-begin, not done",
        "task-begin, not done",
        "task-end, not done",
        "workflow-end, not done",
        "callback",
        "await",
    ]
