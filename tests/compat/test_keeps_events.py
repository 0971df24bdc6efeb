"""What tukio 1.1.2 tells while it runs is kept, event by event, and where 2.0 tells more.

Each scenario is listened to on `EXEC_TOPIC` and on the topic of the run itself, and the topics and
sources of all its events are looked at, whatever else it is about.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.broker import workflow_exec_topics
from tukio.task import TukioTaskError
from tukio.testing.clock import settle
from tukio.utils import SkipTask
from tukio.workflow import WorkflowRootTaskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from support.flow import Tasks

    Told = tuple[str, str | None, Any]

FINISHED = tukio.FutureState.finished
CANCELLED = tukio.FutureState.cancelled
as_in_1_x = pytest.mark.backends("asyncio", "uvloop")

QUICK = dict.fromkeys("abcjk", "quick")
IN = {"in": 0}
A = {"in": 0, "a": 1}
B = {"in": 0, "a": 1, "b": 1}


class Ears:
    """Hear the events of one run, twice: as one of all runs, and on the topic of its own.

    Args:
        engine: Whose broker to listen to.
        uid: Id of the run.
    """

    def __init__(self, engine: tukio.Engine, uid: str) -> None:
        self.uid = uid
        self._all: list[tukio.Event] = []
        self._own: list[tukio.Event] = []
        engine.broker.register(self._all.append, tukio.EXEC_TOPIC)
        engine.broker.register(self._own.append, f"__exec_topic__/{uid}")

    def story(self, run: Any) -> list[Told]:
        """Return what was told, after a look at all that comes with it."""
        all_of_it = [self._checked(event, run) for event in self._all]
        assert [self._checked(event, run) for event in self._own] == all_of_it
        return all_of_it

    def _checked(self, event: Any, run: Any) -> Told:
        assert list(event.data) == ["type", "content"]
        assert event.topic == ("__exec_topic__", f"__exec_topic__/{self.uid}")
        source = event.source.as_dict()
        task, execution = source["task_template_id"], source["task_exec_id"]
        assert source == {
            "workflow_template_id": run.template.uid,
            "workflow_exec_id": run.uid,
            "task_template_id": task,
            "task_exec_id": execution,
        }
        assert (task is None) is (execution is None) is event.data["type"].startswith("workflow-")
        return event.data["type"], task, plain(event.data["content"])


def plain(content: Any) -> Any:
    """Return some content in which errors are compared by what they are and say."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    return (type(content), content.args) if isinstance(content, Exception) else content


async def told(
    template: tukio.WorkflowTemplate,
    *orders: tuple[float, Callable[[Any], object]],
    data: dict[str, Any] = IN,
) -> list[Told]:
    """Run a template and return its story.

    Args:
        template: What to run.
        orders: What to do to the run: seconds to wait first, and what to call then.
        data: What to start it with.
    """
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        ears = Ears(engine, run.uid)
        for seconds, order in orders:
            await anyio.sleep(seconds)
            order(run)
        await run.wait()
    return ears.story(run)


def cancel(run: Any) -> None:
    """Cancel a run."""
    run.cancel()


def suspend(run: Any) -> None:
    """Suspend a run."""
    run.suspend()


def resume(run: Any) -> None:
    """Resume a run."""
    run.resume()


def time_out(run: Any) -> None:
    """Cancel a run as if it had reached its limit."""
    run.timeout()


def failing(task: Tasks, error: BaseException) -> None:
    """Register `fails`, which raises that."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise error


# The table of event sequences ---------------------------------------------------------------------


async def test_a_run_that_succeeds(ran: list[str]) -> None:
    """A begin and an end for each task, with what it was given and what it returned."""
    assert await told(flow("a b", names=QUICK)) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-end", "a", A),
        ("task-begin", "b", A),
        ("task-end", "b", B),
        ("workflow-end", None, None),
    ]


async def test_a_root_that_raises(task: Tasks, ran: list[str]) -> None:
    """The run ends as ever."""
    failing(task, KeyError("boom"))
    assert await told(flow("a b", names=QUICK | {"a": "fails"})) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-error", "a", {"exception": (KeyError, ("boom",))}),
        ("workflow-end", None, None),
    ]


async def test_another_task_that_raises(task: Tasks, ran: list[str]) -> None:
    """Its siblings are told of as ever."""
    failing(task, KeyError("boom"))
    assert await told(flow({"a": ["b", "c"]}, names=QUICK | {"b": "fails"})) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-end", "a", A),
        ("task-begin", "b", A),
        ("task-error", "b", {"exception": (KeyError, ("boom",))}),
        ("task-begin", "c", A),
        ("task-end", "c", {**A, "c": 1}),
        ("workflow-end", None, None),
    ]


async def test_the_exception_in_an_event_is_the_one_that_was_raised(task: Tasks) -> None:
    """Not a copy, and not its name."""
    error = KeyError("boom")
    failing(task, error)
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("fails"), {})
        await run.wait()

    assert list(story[2][2]) == ["exception"]
    assert story[2][2]["exception"] is error


@pytest.mark.parametrize("output", [{"code": 3}, "text", None], ids=repr)
async def test_a_task_that_raises_a_task_error(task: Tasks, ran: list[str], output: Any) -> None:
    """The content is its output."""
    failing(task, TukioTaskError(output))
    assert await told(flow("a b", names=QUICK | {"a": "fails"})) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-error", "a", output),
        ("workflow-end", None, None),
    ]


async def test_a_task_that_is_skipped(task: Tasks, ran: list[str]) -> None:
    """The next one begins with its inputs."""
    failing(task, SkipTask("why"))
    story = await told(flow("a b c", names=QUICK | {"b": "fails"}))
    assert story[:3] == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-end", "a", A),
    ]
    (kind, uid, content), skipped = story[4], SkipTask("why")
    assert (kind, uid, content) == ("task-skip", "b", {"exception": (SkipTask, skipped.args)})
    assert story[3] == ("task-begin", "b", A)
    assert story[5:] == [
        ("task-begin", "c", A),
        ("task-end", "c", {**A, "c": 1}),
        ("workflow-end", None, None),
    ]


async def test_a_task_that_reaches_its_limit(task: Tasks, ran: list[str]) -> None:
    """The next one begins with what its `teardown` returned."""

    @task
    class Partial(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(60)

        def teardown(self) -> dict[str, int]:
            return {"partial": 1}

    assert await told(flow("a b", names=QUICK | {"a": "Partial"}, limits={"a": 1})) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-timeout", "a", {"partial": 1}),
        ("task-begin", "b", {"partial": 1}),
        ("task-end", "b", {"partial": 1, "b": 1}),
        ("workflow-end", None, None),
    ]


async def test_a_task_that_returns_none(task: Tasks, ran: list[str]) -> None:
    """The next one begins with its inputs."""

    @task
    async def none(event: tukio.Event) -> None:
        pass

    assert await told(flow("a b c", names=QUICK | {"b": "none"})) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-end", "a", A),
        ("task-begin", "b", A),
        ("task-end", "b", None),
        ("task-begin", "c", A),
        ("task-end", "c", {**A, "c": 1}),
        ("workflow-end", None, None),
    ]


async def test_a_run_that_is_cancelled(ran: list[str]) -> None:
    """As in 1.1.2 but for `task-cancel`: there a task that was cut was not told of."""
    template = flow("a b", names=QUICK | {"a": "slow"})
    assert await told(template, (1, cancel)) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-cancel", "a", None),
        ("workflow-end", None, {"cancel": True}),
    ]


@pytest.mark.parametrize("by", ["limit", "call"])
async def test_a_run_that_reaches_its_limit(ran: list[str], by: str) -> None:
    """As in 1.1.2 but for `task-cancel` and `timeout`: there it looked like a cancellation."""
    template = flow("a b", names=QUICK | {"a": "slow"}, timeout=1 if by == "limit" else None)
    orders: list[Any] = [(1, time_out)] if by == "call" else []
    assert await told(template, *orders) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-cancel", "a", None),
        ("workflow-end", None, {"cancel": True, "timeout": True}),
    ]


async def test_a_single_task_that_is_cancelled(ran: list[str]) -> None:
    """1.1.2 told nothing of it; now there is `task-cancel`, and the run goes on as it did."""

    def cancel_b(run: Any) -> None:
        (step,) = [step for step in run.tasks if step.template.uid == "b"]
        step.cancel()

    template = flow({"a": ["b", "c"], "b": ["k"]}, names=QUICK | {"b": "slow"})
    assert await told(template, (1, cancel_b)) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-end", "a", A),
        ("task-begin", "b", A),
        ("task-begin", "c", A),
        ("task-end", "c", {**A, "c": 1}),
        ("task-cancel", "b", None),
        ("workflow-end", None, None),
    ]


@pytest.mark.parametrize("error", [TypeError, ValueError, AttributeError])
async def test_a_task_that_cannot_be_created(
    task: Tasks, ran: list[str], error: type[Exception]
) -> None:
    """1.1.2 ended the run by `workflow-error` and cut its siblings; now it is a failed task."""

    @task
    class Broken(tukio.TaskHolder):
        def __init__(self, config: Any) -> None:
            raise error("v")

        async def execute(self, event: tukio.Event) -> None:
            pass

    assert await told(flow({"a": ["b", "c"]}, names=QUICK | {"b": "Broken"})) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("task-end", "a", A),
        ("task-begin", "b", A),
        ("task-error", "b", {"exception": (error, ("v",))}),
        ("task-begin", "c", A),
        ("task-end", "c", {**A, "c": 1}),
        ("workflow-end", None, None),
    ]


async def test_a_root_that_cannot_be_created(task: Tasks) -> None:
    """1.1.2 ended the run by `workflow-error`; now it is a failed task."""

    @task
    class Broken(tukio.TaskHolder):
        def __init__(self, config: Any) -> None:
            raise ValueError("v")

        async def execute(self, event: tukio.Event) -> None:
            pass

    assert await told(flow("a", names={"a": "Broken"}), data={}) == [
        ("workflow-begin", None, {}),
        ("task-begin", "a", {}),
        ("task-error", "a", {"exception": (ValueError, ("v",))}),
        ("workflow-end", None, None),
    ]


@pytest.mark.parametrize(
    ("template", "error"),
    [
        (lambda: flow("unheard_of"), tukio.UnknownTaskName),
        (lambda: flow("a b", names={"a": "quick", "b": "unheard_of"}), tukio.UnknownTaskName),
        (lambda: flow({"a": [], "b": []}, names=QUICK), WorkflowRootTaskError),
    ],
    ids=["unknown root", "unknown task", "several roots"],
)
async def test_a_template_that_cannot_be_run(
    ran: list[str], template: Any, error: type[Exception]
) -> None:
    """1.1.2 told of it by `workflow-error`; now the call raises that error, and tells nothing."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        with pytest.raises(error):
            await engine.run_once(template(), {})

    assert story == []


async def test_a_run_that_fails_as_a_whole(task: Tasks, ran: list[str]) -> None:
    """The content of `workflow-error` is the exception itself, as in 1.1.2."""
    failing(task, KeyError("boom"))
    template = flow({"a": ["b", "c"]}, names=QUICK | {"b": "slow", "c": "fails"}, on_error="abort")
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template, IN)
        assert await run.wait() is tukio.FutureState.exception

    assert kinds(story) == [
        "workflow-begin",
        "task-begin a",
        "task-end a",
        "task-begin b",
        "task-begin c",
        "task-error c",
        "task-cancel b",
        "workflow-error",
    ]
    assert isinstance(story[-1][2], tukio.WorkflowFailed)
    assert story[-1][2].exceptions == (story[-3][2]["exception"],)


async def test_a_run_that_is_suspended_and_resumed(ran: list[str]) -> None:
    """The task begins once more, before the resumption is told."""
    template = flow("a b", names=QUICK | {"a": "slow"})
    orders = (1, suspend), (1, resume)
    assert await told(template, *orders) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("workflow-suspend", None, None),
        ("task-begin", "a", IN),
        ("workflow-resume", None, None),
        ("task-end", "a", A),
        ("task-begin", "b", A),
        ("task-end", "b", B),
        ("workflow-end", None, None),
    ]


@pytest.mark.parametrize("done", [0, 1])
async def test_a_run_that_is_rescued(ran: list[str], done: int) -> None:
    """Tasks begin before the run does; 1.1.2 needed a `resume()` to go on, with its event."""
    template = flow("a b", names=QUICK | {"ab"[done]: "slow"})
    async with tukio.Engine() as engine:
        first: Any = await engine.run_once(template, IN)
        await anyio.sleep(1)
        report = first.report()
        first.cancel()
    async with tukio.Engine() as engine:
        ears = Ears(engine, report["exec"]["id"])
        run: Any = await engine.rescue(template, report)
        await run.wait()

    assert (
        ears.story(run)
        == [
            [
                ("task-begin", "a", IN),
                ("workflow-begin", None, None),
                ("task-end", "a", A),
                ("task-begin", "b", A),
                ("task-end", "b", B),
                ("workflow-end", None, None),
            ],
            [
                ("task-begin", "b", A),
                ("workflow-begin", None, None),
                ("task-end", "b", B),
                ("workflow-end", None, None),
            ],
        ][done]
    )


def joining(**fields: Any) -> tukio.WorkflowTemplate:
    """Return a -> b, c -> join j -> k, where `c` is `slow`."""
    graph = {"a": ["b", "c"], "b": ["j"], "c": ["j"], "j": ["k"]}
    template = flow(graph, names=QUICK | {"c": "slow", "j": "join"}, **fields)
    template.tasks[3].config = {"wait_for": 2}
    return template


def without_times(story: Iterable[Told]) -> list[Told]:
    """Return a story in which the parents of a join are their ids."""
    return [
        (kind, uid, {**content, "tasks": [parent["id"] for parent in content["tasks"]]})
        if kind == "task-progress"
        else (kind, uid, content)
        for kind, uid, content in story
    ]


async def test_a_join(ran: list[str]) -> None:
    """Progress with each parent and at the end; in 1.1.2 all three shared the last content."""
    assert without_times(await told(joining()))[3:] == [
        ("task-begin", "b", A),
        ("task-end", "b", B),
        ("task-begin", "c", A),
        ("task-begin", "j", B),
        ("task-progress", "j", {"tasks": ["b"], "status": "running"}),
        ("task-end", "c", {**A, "c": 1}),
        ("task-progress", "j", {"tasks": ["b", "c"], "status": "running"}),
        ("task-progress", "j", {"tasks": ["b", "c"], "status": "done"}),
        ("task-end", "j", B),
        ("task-begin", "k", B),
        ("task-end", "k", {**B, "k": 1}),
        ("workflow-end", None, None),
    ]


async def test_a_join_that_reaches_its_limit(ran: list[str]) -> None:
    """It tells so, and what it passes on."""
    assert without_times(await told(joining(limits={"j": 1})))[6:] == [
        ("task-begin", "j", B),
        ("task-progress", "j", {"tasks": ["b"], "status": "running"}),
        ("task-progress", "j", {"tasks": ["b"], "status": "timeout"}),
        ("task-timeout", "j", B),
        ("task-begin", "k", B),
        ("task-end", "k", {**B, "k": 1}),
        ("task-end", "c", {**A, "c": 1}),
        ("workflow-end", None, None),
    ]


async def test_a_suspended_run_that_is_cancelled(ran: list[str]) -> None:
    """1.1.2 told its end as if it had succeeded; now as that of any other that was cancelled."""
    template = flow("a b", names=QUICK | {"a": "slow"})
    orders = (1, suspend), (1, cancel)
    assert await told(template, *orders) == [
        ("workflow-begin", None, IN),
        ("task-begin", "a", IN),
        ("workflow-suspend", None, None),
        ("task-cancel", "a", None),
        ("workflow-end", None, {"cancel": True}),
    ]


async def test_a_run_that_is_cancelled_before_it_began(ran: list[str]) -> None:
    """1.1.2 told its end as if it had succeeded; now as that of any other that was cancelled."""
    template = flow("a b", names=QUICK)
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, IN)
        ears = Ears(engine, run.uid)
        run.cancel()
        assert await run.wait() is CANCELLED

    assert ears.story(run) == [("workflow-end", None, {"cancel": True})]


async def test_a_replacement_that_is_cancelled_before_it_began(ran: list[str]) -> None:
    """Likewise, when the policy made it wait for another run."""
    async with tukio.Engine() as engine:
        await engine.load(flow("a", names={"a": "slow"}, policy="abort-running"))
        await engine.trigger("flow", {})
        await anyio.sleep(1)
        run: Any = await engine.trigger("flow", {})
        ears: list[Any] = []
        topic = f"{tukio.EXEC_TOPIC}/{run.uid}"
        engine.broker.register(lambda event: ears.append(event.data), topic)
        run.cancel()
        assert await run.wait() is CANCELLED

    assert ears == [{"type": "workflow-end", "content": {"cancel": True}}]


# Topics and sources -------------------------------------------------------------------------------


async def test_events_name_the_executions_they_are_from(ran: list[str]) -> None:
    """By four ids those of a task, by two those of the run."""
    heard: list[Any] = []
    async with tukio.Engine() as engine:
        engine.broker.register(heard.append, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("a b", names=QUICK), {})
        await run.wait()

    ids = {step.template.uid: step.uid for step in run.tasks}
    of_tasks: list[str | None] = [None, "a", "a", "b", "b", None]
    assert [event.source.as_dict() for event in heard] == [
        {
            "workflow_template_id": "flow",
            "workflow_exec_id": run.uid,
            "task_template_id": uid,
            "task_exec_id": uid and ids[uid],
        }
        for uid in of_tasks
    ]
    assert {event.topic for event in heard} == {workflow_exec_topics(run.uid)}


async def test_each_run_of_several_has_its_own_topic(ran: list[str]) -> None:
    """Whoever listens to one hears nothing of the others, and may come when it has begun."""
    uids = ("first", "second")
    heard: dict[str, list[str]] = {uid: [] for uid in uids}
    async with tukio.Engine() as engine:
        story = listen(engine)
        for uid in uids:
            run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}, id=uid), {})
            await anyio.sleep(1)

            def note(event: Any, uid: str = uid) -> None:
                assert event.source.as_dict()["workflow_template_id"] == uid
                heard[uid].append(event.data["type"])

            engine.broker.register(note, f"{tukio.EXEC_TOPIC}/{run.uid}")

    rest = ["task-end", "task-begin", "task-end", "workflow-end"]
    assert heard == {"first": rest, "second": rest}
    assert len(story) == 12


async def test_a_handler_of_both_topics_hears_each_event_once(ran: list[str]) -> None:
    """It is one handler."""
    heard: list[str] = []

    def note(event: tukio.Event) -> None:
        heard.append(event.data["type"])

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names=QUICK), {})
        for topic in workflow_exec_topics(run.uid):
            engine.broker.register(note, topic)
        await run.wait()

    assert heard == ["workflow-begin", "task-begin", "task-end", "workflow-end"]


async def test_a_handler_may_leave_at_the_end(ran: list[str]) -> None:
    """As the handler of one run does when that is over; the other handlers hear it, too."""
    heard: list[tuple[str, str]] = []
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names=QUICK), {})
        topic = f"{tukio.EXEC_TOPIC}/{run.uid}"

        def leaves(event: tukio.Event) -> None:
            heard.append(("leaves", event.data["type"]))
            if event.data["type"] == "workflow-end":
                engine.broker.unregister(leaves, topic)

        engine.broker.register(leaves, topic)
        engine.broker.register(lambda event: heard.append(("stays", event.data["type"])), topic)
        await run.wait()
        with pytest.raises(KeyError):
            engine.broker.unregister(leaves, topic)

    assert heard[-2:] == [("leaves", "workflow-end"), ("stays", "workflow-end")]
    assert len(heard) == 8


# One ending ---------------------------------------------------------------------------------------


async def _succeed(engine: tukio.Engine) -> Any:
    return await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})


async def _fail(engine: tukio.Engine) -> Any:
    return await engine.run_once(flow("a b", names=QUICK | {"b": "fails"}), {})


async def _abort(engine: tukio.Engine) -> Any:
    names = {"a": "quick", "b": "slow", "c": "fails"}
    return await engine.run_once(flow({"a": ["b", "c"]}, names=names, on_error="abort"), {})


async def _limit(engine: tukio.Engine) -> Any:
    return await engine.run_once(flow("a", names={"a": "slow"}, timeout=1), {})


async def _cancel(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})
    await anyio.sleep(1)
    run.cancel()
    run.cancel()
    return run


async def _cancel_at_once(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a", names=QUICK), {})
    run.cancel()
    return run


async def _suspend(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})
    await anyio.sleep(1)
    run.suspend()
    await settle()
    return run


async def _stop(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})
    await anyio.sleep(1)
    engine.stop(force=True)
    return run


ENDINGS: dict[str, tuple[Callable[[tukio.Engine], Awaitable[Any]], str, Any]] = {
    "success": (_succeed, "workflow-end", None),
    "failed task": (_fail, "workflow-end", None),
    "abort": (_abort, "workflow-error", tukio.WorkflowFailed),
    "limit": (_limit, "workflow-end", {"cancel": True, "timeout": True}),
    "cancel": (_cancel, "workflow-end", {"cancel": True}),
    "cancel at once": (_cancel_at_once, "workflow-end", {"cancel": True}),
    "cancel suspended": (_suspend, "workflow-end", {"cancel": True}),
    "stop": (_stop, "workflow-end", {"cancel": True}),
}


@pytest.mark.parametrize(("start", "kind", "content"), ENDINGS.values(), ids=ENDINGS)
async def test_g2_a_run_has_one_ending_before_anyone_who_waits_goes_on(
    task: Tasks, ran: list[str], start: Any, kind: str, content: Any
) -> None:
    """It is the last event, and handlers of both topics know it before any waiter does.

    In 1.1.2 it came a turn or two later, or not at all.
    """
    failing(task, KeyError("boom"))
    order: list[str] = []

    async def wait(run: Any) -> None:
        await run.wait()
        order.append("waiter")

    def note(event: tukio.Event) -> None:
        if event.data["type"] in {"workflow-end", "workflow-error"}:
            order.append("handler")

    def note_own(event: tukio.Event) -> None:
        note(event)

    async with tukio.Engine() as engine:
        story = listen(engine)
        engine.broker.register(note, tukio.EXEC_TOPIC)
        run: Any = await start(engine)
        engine.broker.register(note_own, f"{tukio.EXEC_TOPIC}/{run.uid}")
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait, run)
            await settle()
            if run.state is tukio.FutureState.suspended:
                run.cancel()  # it ends here and now
        await anyio.sleep(60)

    terminal = [event for event in story if event[0] in {"workflow-end", "workflow-error"}]
    assert story[-1:] == terminal
    assert terminal[0][:2] == (kind, None)
    told = terminal[0][2]
    assert (type(told) if isinstance(content, type) else told) == content
    assert order == ["handler", "handler", "waiter", "waiter", "waiter"]


@as_in_1_x
@pytest.mark.parametrize("start", [_succeed, _cancel, _abort])
async def test_g2_the_ending_is_known_before_a_future_is_done(
    task: Tasks, ran: list[str], start: Any
) -> None:
    """To those who await the run as such, or have it call them back."""
    failing(task, KeyError("boom"))
    order: list[str] = []

    def note(event: tukio.Event) -> None:
        if event.data["type"] in {"workflow-end", "workflow-error"}:
            order.append("handler")

    def call_back(run: object) -> None:
        order.append("callback")

    async with tukio.Engine() as engine:
        engine.broker.register(note, tukio.EXEC_TOPIC)
        run: Any = await start(engine)
        run.add_done_callback(call_back)
        await asyncio.wait([run])
        order.append("waiter")
        await settle()

    assert order[0] == "handler"
    assert sorted(order[1:]) == ["callback", "waiter"]


async def test_g2_a_stream_has_the_ending_before_anyone_who_waits_goes_on(
    ran: list[str],
) -> None:
    """It can be read at once, without any time or turn in between."""
    async with tukio.Engine() as engine, engine.subscribe(tukio.EXEC_TOPIC) as events:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        await run.wait()
        start = anyio.current_time()
        heard = [(await anext(events)).data["type"] for _ in range(4)]
        assert anyio.current_time() == start

    assert heard == ["workflow-begin", "task-begin", "task-end", "workflow-end"]


# Progress -----------------------------------------------------------------------------------------

THING = object()


@pytest.mark.parametrize(
    "content",
    [{"percent": 10}, {}, "words", "", 5, 0, None, False, [1], (1, 2), THING],
    ids=lambda content: "object" if content is THING else repr(content),
)
async def test_progress_may_be_anything(task: Tasks, content: Any) -> None:
    """Its event is between those of the begin and the end of its task."""

    @task
    async def tells(event: tukio.Event) -> None:
        tukio.current_task().dispatch_progress(content)

    assert await told(flow("tells"), data={}) == [
        ("workflow-begin", None, {}),
        ("task-begin", "tells", {}),
        ("task-progress", "tells", content),
        ("task-end", "tells", None),
        ("workflow-end", None, None),
    ]


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        (None, "task-progress"),
        ("contact-progress", "contact-progress"),
        ("anything at all", "anything at all"),
        ("task-end", "task-end"),
        ("", ""),
    ],
)
async def test_progress_may_have_a_type_of_its_own(
    task: Tasks, kind: str | None, heard: str
) -> None:
    """Given in its place or by its name; only None is the usual one."""

    @task
    async def tells(event: tukio.Event) -> None:
        tukio.current_task().dispatch_progress({"n": 1}, kind)
        await anyio.sleep(1)
        tukio.current_task().dispatch_progress({"n": 2}, event_type=kind)

    assert (await told(flow("tells")))[2:4] == [
        (heard, "tells", {"n": 1}),
        (heard, "tells", {"n": 2}),
    ]


async def test_progress_is_told_in_the_order_it_was_made(task: Tasks, ran: list[str]) -> None:
    """Sub-tasks and functions that a task calls tell it for their task."""

    @task
    async def tells(event: tukio.Event) -> None:
        def tell(number: int) -> None:
            tukio.current_task().dispatch_progress(number, "count")

        async def later(number: int) -> None:
            await anyio.sleep(number)
            tell(number)

        tell(0)
        async with anyio.create_task_group() as group:
            for number in (3, 1, 2):
                group.start_soon(later, number)
        tell(4)

    story = await told(flow("tells"))
    assert story[2:-2] == [("count", "tells", number) for number in range(5)]


async def test_what_progress_is_told_by_does_not_change_afterwards(task: Tasks) -> None:
    """Each who hears it has a dict of its own; in 1.1.2 all shared that of the task."""
    content = {"n": 1}

    @task
    async def tells(event: tukio.Event) -> None:
        tukio.current_task().dispatch_progress(content)
        content["n"] = 2

    heard: list[Any] = []

    def spoil(event: tukio.Event) -> None:
        if event.data["type"] == "task-progress":
            event.data["content"]["spoilt"] = True

    async with tukio.Engine() as engine:
        engine.broker.register(spoil, tukio.EXEC_TOPIC)
        engine.broker.register(lambda event: heard.append(event.data), tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("tells"), {})
        await run.wait()

    assert heard[2] == {"type": "task-progress", "content": {"n": 1}}
    assert content == {"n": 2}


@as_in_1_x
async def test_progress_is_told_by_the_current_task_of_asyncio(task: Tasks) -> None:
    """As code written for 1.x does."""

    @task
    async def tells(event: tukio.Event) -> None:
        current: Any = asyncio.current_task()
        current.dispatch_progress({"n": 1}, event_type="contact-progress")

    assert (await told(flow("tells")))[2] == ("contact-progress", "tells", {"n": 1})
