"""What tukio 1.1.2 tells while it runs is kept, event by event, and where 2.0 tells more.

Each scenario is listened to on `EXEC_TOPIC` and on the topic of the run itself, and the topics and
sources of all its events are looked at, whatever else it is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from support.stories import IN, QUICK, Ears, failing, told
from tukio.broker import workflow_exec_topics
from tukio.task import TukioTaskError
from tukio.utils import SkipTask
from tukio.workflow import WorkflowRootTaskError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.flow import Tasks
    from support.stories import Told

CANCELLED = tukio.FutureState.cancelled


A = {"in": 0, "a": 1}
B = {"in": 0, "a": 1, "b": 1}


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
