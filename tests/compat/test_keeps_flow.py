"""How data flows in tukio 1.1.2 is kept: triggers, topics, policies, results, diamonds, joins."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.task import TukioTaskError
from tukio.testing.clock import settle
from tukio.utils import SkipTask

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
as_in_1_x = pytest.mark.backends("asyncio", "uvloop")

QUICK = dict.fromkeys("abcdejk", "quick")
FORK = {"a": ["b", "c"]}
DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}


def one(name: str, uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one task, `a`."""
    return flow("a", names={"a": name}, id=uid, **fields)


def states(run: Any) -> dict[str, str | None]:
    """Return the state of each task, from the report; None for one that was never due."""
    return {task["id"]: task["exec"] and task["exec"]["state"] for task in run.report()["tasks"]}


def execution(run: Any, uid: str) -> Any:
    """Return what the report says of one task."""
    (found,) = [task["exec"] for task in run.report()["tasks"] if task["id"] == uid]
    return found


def step_of(run: Any, uid: str) -> Any:
    """Return the execution of one task."""
    (found,) = [step for step in run.tasks if step.template.uid == uid]
    return found


# Triggering ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "triggered"),
    [
        (None, ["none"]),
        ("", ["none"]),
        ("zz", ["none"]),
        ("empty", ["none"]),
        ("a", ["ab", "none"]),
        ("b", ["ab", "none"]),
    ],
)
async def test_a_topic_triggers_who_listens_to_it_or_to_everything(
    ran: list[str], topic: str | None, triggered: list[str]
) -> None:
    """Topics None are everything, [] nothing: only `trigger` starts that one."""
    async with tukio.Engine() as engine:
        await engine.load(one("quick", "none", topics=None))
        await engine.load(one("quick", "empty", topics=[]))
        await engine.load(one("quick", "ab", topics=["a", "b"]))
        runs = await engine.data_received({}, topic)
        assert sorted(run.template.uid for run in runs) == triggered
        for uid in ("none", "empty", "ab"):
            run: Any = await engine.trigger(uid, {})
            assert run.template.uid == uid


async def test_data_goes_to_running_tasks_before_it_starts_runs(reader: list[Any]) -> None:
    """A run does not get what started it in a queue; one that listens already does."""
    template = one("reader", topics=["a"])
    template.tasks[0].topics = ["a"]
    async with tukio.Engine() as engine:
        await engine.load(template)
        await engine.data_received({"n": 1}, "a")
        await anyio.sleep(1)
        await engine.data_received({"n": 2}, "a")

    assert reader == [[({"n": 2}, "a")], []]


async def test_all_who_listen_are_started_by_one_event(ran: list[str]) -> None:
    """Each root gets its data and its topic."""
    async with tukio.Engine() as engine:
        for uid in ("w1", "w2", "w3"):
            await engine.load(one("quick", uid, topics=["a"]))
        runs: list[Any] = await engine.data_received(tukio.Event({"n": 1}), "a")

    assert [run.outputs for run in runs] == [{"a": {"n": 1, "a": 1}}] * 3


async def test_a_selector_may_be_async(ran: list[str]) -> None:
    """Templates may be made anew for each event: policies know them by their ids."""

    class Store:
        async def select(self, topic: str | None) -> list[Any]:
            await anyio.sleep(1)
            return [one("slow", f"by {topic}", policy="skip")]

        async def get(self, uid: str) -> Any:
            await anyio.sleep(1)
            return one("slow", uid, policy="skip")

    start = anyio.current_time()
    async with tukio.Engine(selector=Store()) as engine:
        (run,) = await engine.data_received({}, "a")
        assert run.template.uid == "by a"
        assert not await engine.trigger("by a", {})
        assert await engine.trigger("other", {})
        assert anyio.current_time() - start == 3


async def test_data_feeds_running_tasks_while_the_engine_stops(reader: list[Any]) -> None:
    """It starts nothing any more."""
    template = one("reader")
    template.tasks[0].topics = ["a"]
    async with tukio.Engine() as engine:
        await engine.load(template)
        await engine.data_received({})
        await anyio.sleep(1)
        engine.stop()
        assert not await engine.data_received({"n": 1}, "a")

    assert reader == [[({"n": 1}, "a")]]


# Topics of tasks ----------------------------------------------------------------------------------


@pytest.fixture
def reader(task: Tasks) -> list[Any]:
    """Register `reader`: after 10 s it notes (data, topic) of all that is in its queue."""
    read: list[Any] = []

    class reader(tukio.TaskHolder):  # noqa: N801 - named as it is registered
        async def execute(self, event: tukio.Event) -> None:
            queue: Any = self.queue
            assert queue is tukio.current_task().queue
            await anyio.sleep(10)
            events = [queue.get_nowait() for _ in range(queue.qsize())]
            read.append([(event.data, event.topic) for event in events])

    task(reader)
    return read


@pytest.mark.parametrize(
    ("topics", "numbers"),
    [(None, [1, 2, 3]), ([], []), ("absent", []), (["a"], [1]), (["a", "b"], [1, 2])],
    ids=["everything", "nothing", "absent", "a", "a and b"],
)
async def test_the_topics_of_a_task_fill_its_queue(
    reader: list[Any], topics: Any, numbers: list[int]
) -> None:
    """With data to topics `a`, `b` and none; a task that names no topics gets nothing."""
    sent = [({"n": 1}, "a"), ({"n": 2}, "b"), ({"n": 3}, None)]
    document: dict[str, Any] = {"id": "a", "name": "reader"}
    if topics != "absent":
        document["topics"] = topics
    template = tukio.WorkflowTemplate.from_dict({"id": "flow", "tasks": [document]})
    async with tukio.Engine() as engine:
        await engine.run_once(template, {})
        await anyio.sleep(1)
        for data, topic in sent:
            await engine.data_received(data, topic)

    assert reader == [[(data, topic) for data, topic in sent if data["n"] in numbers]]


async def test_a_task_that_is_over_receives_nothing(reader: list[Any], ran: list[str]) -> None:
    """Its handlers are gone with it, though its run goes on."""
    template = flow("a b", names={"a": "reader", "b": "slow"})
    template.tasks[0].topics = ["x"]
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received({}, "x")
        await settle()
        assert step_of(run, "a").queue.qsize() == 1
        await anyio.sleep(10)
        await engine.data_received({}, "x")
        await settle()
        assert step_of(run, "a").queue.qsize() == 0
        assert run.state is tukio.FutureState.pending


# Overrun policies ---------------------------------------------------------------------------------


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


async def test_skip_is_exact_under_concurrency(ran: list[str]) -> None:
    """Five calls at once: one starts a run, the others none."""
    counts: list[int] = []
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="skip"))

        async def send() -> None:
            counts.append(len(await engine.data_received({})))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(send)

    assert sorted(counts) == [0, 0, 0, 0, 1]
    assert ran == ["a"]


async def test_start_new_starts_runs_side_by_side(ran: list[str]) -> None:
    """Both take their ten seconds at the same time."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="start-new"))
        first, second = [await engine.trigger("flow", {}) for _ in range(2)]
        assert engine.instances == [first, second]

    assert anyio.current_time() - start == 10
    assert ran == ["a", "a"]


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


async def test_the_end_of_a_locked_run_lets_the_next_one_start(ran: list[str]) -> None:
    """Nobody has to unlock it."""
    async with tukio.Engine() as engine:
        await engine.load(one("slow", policy="skip-until-unlock"))
        first: Any = await engine.trigger("flow", {})
        assert not await engine.trigger("flow", {})
        await first.wait()
        assert await engine.trigger("flow", {})


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
        await engine.load(one("stubborn", policy="abort-running"))
        first: Any = await engine.trigger("flow", {})
        await anyio.sleep(1)
        second: Any = await engine.trigger("flow", {})
        assert second is not first
        assert second.report()["exec"]["start"] is None
        assert await first.wait() is tukio.FutureState.cancelled
        assert anyio.current_time() - start == 1 + seconds
        assert second.report()["exec"]["start"] is not None
        assert await second.wait() is FINISHED

    assert ran == ["stubborn", "stubborn"]
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


async def test_tasks_may_call_the_engine(task: Tasks, ran: list[str]) -> None:
    """Without a deadlock; the policy of their own template holds for them, too."""
    refused: list[Any] = []

    @task
    async def calls(event: tukio.Event) -> None:
        refused.append(await engine.trigger("flow", {}))
        await engine.load(one("quick", "inner", topics=["inner"]))
        (inner,) = await engine.data_received({}, "inner")
        await inner.wait()
        assert (await engine.unload("inner")).uid == "inner"

    async with tukio.Engine() as engine:
        await engine.load(one("calls", policy="skip"))
        run: Any = await engine.trigger("flow", {})
        assert await run.wait() is FINISHED

    assert run.errors == {}
    assert [bool(answer) for answer in refused] == [False]
    assert ran == ["a"]


# Data ---------------------------------------------------------------------------------------------


async def test_a_result_goes_to_each_successor_as_an_event_of_its_own(task: Tasks) -> None:
    """From the parent, by its four ids; no topic; copied one level deep."""
    got: dict[str, Any] = {}
    output: dict[str, Any] = {"nested": []}

    @task
    async def a(event: tukio.Event) -> Any:
        return output

    async def keeps(event: tukio.Event) -> None:
        got[tukio.current_task().template.uid] = event

    task(keeps)
    async with tukio.Engine() as engine:
        template = flow(FORK, names={"b": "keeps", "c": "keeps"})
        run: Any = await engine.run_once(template, {})
        await run.wait()

    assert {uid: (event.data, event.topic) for uid, event in got.items()} == {
        "b": (output, None),
        "c": (output, None),
    }
    assert (
        got["b"].source.as_dict()
        == got["c"].source.as_dict()
        == {
            "workflow_template_id": "flow",
            "workflow_exec_id": run.uid,
            "task_template_id": "a",
            "task_exec_id": step_of(run, "a").uid,
        }
    )
    assert got["b"] is not got["c"]
    assert got["b"].data is not got["c"].data
    assert got["b"].data["nested"] is got["c"].data["nested"] is output["nested"]


async def test_of_an_event_that_is_returned_only_the_data_goes_on(task: Tasks) -> None:
    """Its topic and source are dropped."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> tukio.Event:
        return tukio.Event({"n": 1}, "topic", tukio.EventSource("w"))

    @task
    async def b(event: tukio.Event) -> None:
        got.append((event.data, event.topic, event.source and event.source.as_dict()))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a b"), {})
        await run.wait()

    assert got == [({"n": 1}, None, step_of(run, "a").source.as_dict())]
    assert run.outputs["a"] == {"n": 1}


async def test_a_task_that_returns_none_passes_its_inputs_on(task: Tasks, ran: list[str]) -> None:
    """Its own outputs stay None."""

    @task
    async def none(event: tukio.Event) -> None:
        event.data["changed"] = True

    async with tukio.Engine() as engine:
        names = {"a": "quick", "b": "none", "c": "quick"}
        run: Any = await engine.run_once(flow("a b c", names=names), {})
        await run.wait()

    assert execution(run, "b")["outputs"] is None
    assert execution(run, "c")["inputs"] == {"a": 1}
    assert states(run) == dict.fromkeys("abc", "finished")


@pytest.mark.parametrize("result", ["text", 5, [1], ("x",), False], ids=repr)
async def test_a_leaf_may_return_anything(task: Tasks, result: Any) -> None:
    """It is in the report and in the event."""

    @task
    async def leaf(event: tukio.Event) -> Any:
        return result

    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("leaf"), {})
        assert await run.wait() is FINISHED

    assert execution(run, "leaf")["outputs"] == result
    assert story[-2] == ("task-end", "leaf", result)


async def test_a_skipped_task_passes_its_inputs_on(task: Tasks, ran: list[str]) -> None:
    """Its state is `skipped`, and it has no outputs."""

    @task
    async def skips(event: tukio.Event) -> None:
        raise SkipTask("why")

    async with tukio.Engine() as engine:
        names = {"a": "quick", "b": "skips", "c": "quick"}
        run: Any = await engine.run_once(flow("a b c", names=names), {})
        assert await run.wait() is FINISHED

    assert states(run) == {"a": "finished", "b": "skipped", "c": "finished"}
    assert execution(run, "b")["outputs"] is None
    assert execution(run, "c")["inputs"] == {"a": 1}


@pytest.mark.parametrize(
    ("error", "outputs"),
    [
        (TukioTaskError({"code": 3}), {"code": 3}),
        (TukioTaskError("text"), "text"),
        (KeyError("boom"), None),
    ],
    ids=["data", "text", "error"],
)
async def test_an_error_stops_its_branch_and_no_other(
    task: Tasks, ran: list[str], error: Exception, outputs: Any
) -> None:
    """The run ends `finished`; a task error has an output."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise error

    graph = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(graph, names=QUICK | {"b": "fails"}), {})
        assert await run.wait() is FINISHED

    assert states(run) == {
        "a": "finished",
        "b": "exception",
        "c": "finished",
        "d": None,
        "e": "finished",
    }
    assert execution(run, "b")["outputs"] == outputs
    assert ran == ["a", "c", "e"]


@as_in_1_x
async def test_a_workflow_is_a_future_of_its_tasks(task: Tasks, ran: list[str]) -> None:
    """Errors of tasks are not its own: only the tasks have them."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise KeyError("boom")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(FORK, names=QUICK | {"b": "fails"}), {})
        steps = await run

    assert steps == set(run.tasks)
    assert run.result() is steps
    assert run.exception() is None
    errors = {step.template.uid: type(step.exception()) for step in steps}
    assert errors == {"a": type(None), "b": KeyError, "c": type(None)}


async def test_a_cancelled_task_stops_its_branch_and_no_other(ran: list[str]) -> None:
    """The run goes on and ends `finished`."""
    graph = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(graph, names=QUICK | {"b": "slow"}), {})
        await anyio.sleep(1)
        step_of(run, "b").cancel()
        assert await run.wait() is FINISHED

    assert states(run) == {
        "a": "finished",
        "b": "cancelled",
        "c": "finished",
        "d": None,
        "e": "finished",
    }


@as_in_1_x
async def test_a_task_that_raises_cancelled_error_is_cancelled(task: Tasks, ran: list[str]) -> None:
    """It is no error; its branch stops."""

    @task
    async def gives_up(event: tukio.Event) -> None:
        raise asyncio.CancelledError

    async with tukio.Engine() as engine:
        names = QUICK | {"b": "gives_up"}
        run: Any = await engine.run_once(flow({"a": ["b", "c"], "b": ["d"]}, names=names), {})
        assert await run.wait() is FINISHED

    assert states(run) == {"a": "finished", "b": "cancelled", "c": "finished", "d": None}
    assert run.errors == {}


# Routing ------------------------------------------------------------------------------------------

CHOICES: dict[str, tuple[list[Any], list[str]]] = {
    "some": ([["c"]], ["c"]),
    "in another order": ([["d", "b"]], ["b", "d"]),
    "one twice": ([["c", "c"]], ["c"]),
    "none": ([[]], []),
    "the last counts": ([["b"], [], ["c", "d"]], ["c", "d"]),
    "another iterable": ([("b",)], ["b"]),
}


@pytest.mark.parametrize(("choices", "led_to"), CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("skips", [False, True])
async def test_a_task_chooses_where_it_leads_to(
    task: Tasks, ran: list[str], choices: list[Any], led_to: list[str], skips: bool
) -> None:
    """Also if it is skipped afterwards; the order is the declared one."""

    @task
    async def router(event: tukio.Event) -> None:
        for choice in choices:
            tukio.current_workflow().set_next_tasks(choice)
        if skips:
            raise SkipTask

    async with tukio.Engine() as engine:
        template = flow({"a": ["b", "c", "d"]}, names=QUICK | {"a": "router"})
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert ran == led_to


async def test_a_choice_is_made_from_within_the_run(ran: list[str]) -> None:
    """Anybody else gets a RuntimeError."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(one("slow"), {})
        with pytest.raises(RuntimeError, match="not"):
            run.set_next_tasks([])


async def test_to_choose_a_task_that_does_not_follow_changes_nothing(
    task: Tasks, ran: list[str]
) -> None:
    """1.1.2 logged such ids and used the others; now the call raises and the choice stays."""
    caught: list[type[Exception]] = []

    @task
    async def router(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks(["c"])
        for ids in (["b", "d"], ["zz"], "b"):
            try:
                tukio.current_workflow().set_next_tasks(ids)
            except (LookupError, TypeError) as error:
                caught.append(type(error))

    async with tukio.Engine() as engine:
        names = QUICK | {"a": "router"}
        run: Any = await engine.run_once(flow({"a": ["b", "c"], "b": ["d"]}, names=names), {})
        assert await run.wait() is FINISHED

    assert caught == [LookupError, LookupError, TypeError]
    assert ran == ["c"]


async def test_leaves_may_be_left_out_of_the_graph(ran: list[str]) -> None:
    """They have no successors."""
    document = {
        "id": "flow",
        "tasks": [{"id": uid, "name": "quick"} for uid in "abc"],
        "graph": {"a": ["b", "c"]},
    }
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(document), {})
        assert await run.wait() is FINISHED

    assert ran == ["a", "b", "c"]
    assert run.report()["graph"] == {"a": ["b", "c"], "b": [], "c": []}


# Diamonds without a join --------------------------------------------------------------------------


@pytest.fixture
def merge(task: Tasks, ran: list[str]) -> dict[str, Any]:
    """Register `merge`, whose times to take are the config's, and say what it got."""
    got: dict[str, Any] = {"begun": []}

    class merge(tukio.TaskHolder):  # noqa: N801 - named as it is registered
        async def execute(self, event: tukio.Event) -> None:
            got["begun"].append(event.data)
            await anyio.sleep(self.config["takes"])
            queue: Any = self.queue
            events = [queue.get_nowait() for _ in range(queue.qsize())]
            got["late"] = [
                (late.data, late.source.as_dict()["task_template_id"]) for late in events
            ]

    task(merge)
    return got


def merging(takes: float, graph: Any = None, **names: str) -> tukio.WorkflowTemplate:
    """Return a diamond to task `d`, a `merge`."""
    template = flow(graph or DIAMOND, names=QUICK | {"d": "merge"} | names)
    (end,) = [task for task in template.tasks if task.uid == "d"]
    end.config = {"takes": takes}
    return template


async def test_a_task_with_two_parents_starts_with_the_first(merge: dict[str, Any]) -> None:
    """It runs once; the data of the other lands in its queue, with its source."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(merging(20, b="slow"), {})
        await anyio.sleep(11)
        assert step_of(run, "d").queue.qsize() == 1
        assert await run.wait() is FINISHED

    assert merge["begun"] == [{"a": 1, "c": 1}]
    assert merge["late"] == [({"a": 1, "b": 1}, "b")]
    assert anyio.current_time() - start == 20


async def test_a_parent_that_is_too_late_is_dropped(merge: dict[str, Any]) -> None:
    """Its task is over: nobody runs it again."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(merging(1, b="slow"), {})
        assert await run.wait() is FINISHED

    assert merge["begun"] == [{"a": 1, "c": 1}]
    assert merge["late"] == []
    assert step_of(run, "d").queue.qsize() == 0


async def test_a_shortcut_starts_its_task_at_once(merge: dict[str, Any]) -> None:
    """A to D as well as A to B to D."""
    async with tukio.Engine() as engine:
        template = merging(20, {"a": ["b", "d"], "b": ["d"]}, b="slow")
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert merge["begun"] == [{"a": 1}]
    assert merge["late"] == [({"a": 1, "b": 1}, "b")]


@pytest.mark.parametrize("name", ["quick", "slow"])
async def test_parents_that_end_together_lead_to_one_task(merge: dict[str, Any], name: str) -> None:
    """The other one is in its queue."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(merging(1, b=name, c=name), {})
        assert await run.wait() is FINISHED

    # Of two sleeps that end at the same instant, either may be the first on trio.
    first, late = ("b", "c") if {"b": 1}.items() <= merge["begun"][0].items() else ("c", "b")
    assert merge["begun"] == [{"a": 1, first: 1}]
    assert merge["late"] == [({"a": 1, late: 1}, late)]


# Joins --------------------------------------------------------------------------------------------

JOINED = {"a": ["b", "c"], "b": ["j"], "c": ["j"], "j": ["k"]}


def joining(wait_for: Any, graph: Any = None, **names: str) -> tukio.WorkflowTemplate:
    """Return a -> b, c -> join j -> k."""
    template = flow(graph or JOINED, names=QUICK | {"j": "join"} | names)
    (join,) = [task for task in template.tasks if task.uid == "j"]
    join.config = {"wait_for": wait_for}
    return template


@pytest.mark.parametrize("wait_for", [2, ["b", "c"], ["c", "b"]], ids=repr)
async def test_a_join_passes_on_what_came_first(ran: list[str], wait_for: Any) -> None:
    """Whatever the order in the list; it is its input, its output and what follows from it."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(joining(wait_for, b="slow"), {})
        await anyio.sleep(1)
        begun = execution(run, "j")
        assert (begun["state"], begun["inputs"]) == ("pending", {"a": 1, "c": 1})
        assert begun["reporting"]["status"] == "running"
        assert [parent["id"] for parent in begun["reporting"]["tasks"]] == ["c"]
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 10
    assert execution(run, "j")["outputs"] == {"a": 1, "c": 1}
    assert execution(run, "k")["inputs"] == {"a": 1, "c": 1}


async def test_a_join_reports_who_has_come_and_when(ran: list[str]) -> None:
    """As aware times; its config stays what it is in the template."""
    template = joining(["b", "c"], b="slow")
    described = template.as_dict()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()

    reporting = execution(run, "j")["reporting"]
    assert list(reporting) == ["tasks", "status"]
    assert [list(parent) for parent in reporting["tasks"]] == [["id", "end_time"]] * 2
    first, second = (parent["end_time"] for parent in reporting["tasks"])
    assert first.tzinfo is second.tzinfo is UTC
    assert (second - first).total_seconds() == 10
    assert [parent["id"] for parent in reporting["tasks"]] == ["c", "b"]
    assert reporting["status"] == "done"
    assert template.as_dict() == described


async def test_a_join_of_two_ignores_the_third(ran: list[str]) -> None:
    """It goes on after the second."""
    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(joining(2, graph, d="slow"), {})
        await anyio.sleep(1)
        assert ran == ["a", "b", "c", "d", "k"]
        assert await run.wait() is FINISHED

    assert ran == ["a", "b", "c", "d", "k"]
    parents = execution(run, "j")["reporting"]["tasks"]
    assert [parent["id"] for parent in parents] == ["b", "c"]


@pytest.mark.parametrize("how", ["skipped", "timeout", "finished"])
@pytest.mark.parametrize("wait_for", [2, ["b", "c"]], ids=repr)
async def test_a_parent_without_a_result_counts_as_joined(
    task: Tasks, ran: list[str], how: str, wait_for: Any
) -> None:
    """If it was skipped, reached its limit, or returned None."""

    @task
    async def ends(event: tukio.Event) -> None:
        if how == "skipped":
            raise SkipTask("why")
        if how == "timeout":
            await anyio.sleep(60)

    template = joining(wait_for, c="ends")
    template.tasks[2].timeout = 5
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert states(run)["c"] == how
    parents = execution(run, "j")["reporting"]["tasks"]
    assert [parent["id"] for parent in parents] in (["b", "c"], ["c", "b"])
    assert states(run)["j"] == states(run)["k"] == "finished"


async def test_a_join_past_its_limit_passes_on_what_came_first(ran: list[str]) -> None:
    """Its state is `timeout`, and a parent that comes later changes nothing."""
    template = joining(2, c="slow")
    template.tasks[3].timeout = 5
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert states(run) == dict.fromkeys(["a", "b", "c", "k"], "finished") | {"j": "timeout"}
    assert execution(run, "k")["inputs"] == {"a": 1, "b": 1}
    reporting = execution(run, "j")["reporting"]
    assert ([parent["id"] for parent in reporting["tasks"]], reporting["status"]) == (
        ["b"],
        "timeout",
    )
    assert kinds(story).index("task-end k") < kinds(story).index("task-end c")
