"""`run.events()`: what has happened, what happens, and an end; numbers and times; taps."""

from __future__ import annotations

import contextlib
import pickle
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GRAPH = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}
WHOLE = [
    "workflow-begin",
    *("task-begin a", "task-end a", "task-begin b", "task-begin c", "task-end b"),
    *("task-begin d", "task-end c", "task-end d", "workflow-end"),
]


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register a task for each id; each takes as long as it says."""
    for uid, seconds in {"a": 1, "b": 2, "c": 3, "d": 4}.items():
        register(task, uid, seconds)


def register(task: Tasks, uid: str, seconds: float) -> None:
    """Register a task that tells half of the time how it goes, and then ends."""

    async def work(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(seconds)
        if uid == "c":
            tukio.current_task().dispatch_progress({"done": 1})
            await anyio.sleep(1)
            tukio.current_task().dispatch_progress({"done": 2})
            await anyio.sleep(1)
        return {"by": uid}

    work.__name__ = uid
    task(work)


def word(event: tukio.Event) -> str:
    """Return an event as a word or two."""
    assert event.source is not None
    kind, uid = event.data["type"], event.source.task_template_id
    return f"{kind} {uid}" if uid else kind


async def all_of(events: AsyncIterator[tukio.Event]) -> list[tukio.Event]:
    """Read to the end."""
    return [event async for event in events]


def check(events: list[tukio.Event], run: tukio.Workflow) -> None:
    """Make sure that numbers rise, times do not fall, and all is of one run."""
    numbers = [event.seq or 0 for event in events]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1
    times = [event.time for event in events]
    assert all(isinstance(time, datetime) and time.tzinfo is UTC for time in times)
    assert {event.source.workflow_exec_id for event in events if event.source} == {run.uid}
    shown = {task["id"]: task["exec"] for task in run.report()["tasks"]}
    for event in events:
        kind, _, uid = word(event).partition(" ")
        if kind in ("task-begin", "task-end"):
            assert event.time == shown[uid]["start" if kind == "task-begin" else "end"]
            assert event.data["content"] == shown[uid]["inputs" if "begin" in kind else "outputs"]


async def test_items_at_work_are_told_later_too(task: Tasks) -> None:
    """Each with its attempts; those that are over are in the results of their task."""

    @task
    async def item(event: tukio.Event) -> None:
        await anyio.sleep(event.data["takes"])
        if event.data.get("fails", 0) >= tukio.current_task().attempt:
            raise ValueError

    retry = {"attempts": 2, "jitter": "none", "initial": 1}
    keys = {"retry": retry, "map": {"over": "$.list", "limit": 2}}
    document = {"id": "m", "tasks": [{"id": "each", "name": "item", **keys}]}
    items = [{"takes": 1}, {"takes": 1, "fails": 1}, {"takes": 4}]
    async with tukio.Engine() as engine:
        run = await engine.start(document, {"list": items})
        await anyio.sleep(2.5)
        told = await all_of(run.events())
    check([event for event in told if "[" not in word(event)], run)
    instants = [event.time for event in told if event.time]
    after = [(instant - instants[0]).total_seconds() for instant in instants]
    assert [f"{at:g} {word(event)}" for at, event in zip(after, told, strict=True)] == [
        "0 workflow-begin",
        "0 task-begin each",
        "0 task-begin each[1]",
        "1 task-retry each[1]",
        "1 task-begin each[2]",
        "2 task-begin each[1]",
        "3 task-end each[1]",
        "5 task-end each[2]",
        "5 task-end each",
        "5 workflow-end",
    ]


@pytest.mark.parametrize("at", [0, 0.5, 2, 4.5, 9, 20])
async def test_whenever_one_begins_to_look(at: float) -> None:
    """The whole is told: made up as far as it has happened, and then live, to the end."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow(GRAPH), {"n": 1})
        await anyio.sleep(at)
        events = await all_of(run.events())
    words = [word(event) for event in events]
    progress = [event.data["content"] for event in events if "progress" in word(event)]
    if at:
        assert [one for one in words if "progress" not in one] == WHOLE
    # At the very first it has not begun, and so begins before it is looked at.
    assert words[-1] == "workflow-end"
    assert progress[-1] == {"done": 2}
    check(events, run)


async def test_of_a_run_that_is_over() -> None:
    """The newest progress of each task is among what is made up."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow(GRAPH), {"n": 1})
    events = await all_of(run.events())
    words = [word(event) for event in events]
    assert words.count("task-progress c") == 1
    assert [one for one in words if one != "task-progress c"] == WHOLE
    assert events[0].data["content"] == {"n": 1}
    check(events, run)


@pytest.mark.parametrize("waits", [False, True])
async def test_of_a_run_that_never_began(*, waits: bool) -> None:
    """Its end is all there is, for a reader before and after; as for subscribers (G2)."""
    async with tukio.Engine() as engine:
        if waits:
            await engine.start(flow(GRAPH), {})
            await anyio.sleep(1)
        run = await engine.start(flow(GRAPH), {}, policy="abort-running")
        before = run.events()
        run.cancel("no more")
        await run.wait()
    for events in (await all_of(before), await all_of(run.events())):
        assert [word(event) for event in events] == ["workflow-end"]
        assert events[0].data["content"] == {"cancel": True, "reason": "no more"}
        check(events, run)


async def test_ends_of_all_kinds(task: Tasks) -> None:
    """What is made up is what subscribers were told."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise LookupError

    @task
    async def skips(event: tukio.Event) -> None:
        raise tukio.SkipTask

    @task
    async def coded(event: tukio.Event) -> None:
        error = tukio.TukioTaskError()
        error.task_outputs = {"code": 5}
        raise error

    @task
    async def stays(event: tukio.Event) -> None:
        await anyio.sleep(9)

    graph = {"a": ["fails", "skips", "coded", "slow", "stays"]}
    told: list[tukio.Event] = []
    async with tukio.Engine() as engine:
        engine.broker.register(told.append, tukio.EXEC_TOPIC)
        template = flow(graph, names={"slow": "stays"}, limits={"slow": 2})
        run = await engine.start(template, {})
        await anyio.sleep(4)
        run.cancel("enough")
    made_up = await all_of(run.events())
    ours = sorted((word(event), repr(event.data["content"]), event.time) for event in made_up)
    theirs = sorted((word(event), repr(event.data["content"]), event.time) for event in told)
    assert ours == theirs


async def test_a_reader_that_leaves_hears_no_more() -> None:
    """`aclose` unsubscribes; the iteration is over."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow(GRAPH), {})
        async with contextlib.aclosing(run.events()) as events:
            async for event in events:
                if word(event) == "task-begin b":
                    break
            assert engine.broker.has_listeners
        assert not engine.broker.has_listeners
        assert await all_of(events) == []


async def test_a_slow_reader_loses_the_oldest() -> None:
    """And is told how many; what is made up is not dropped."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow(GRAPH), {})
        await anyio.sleep(0.5)
        events = run.events(buffer=2)
        first = await anext(events)
        await run.wait()
        rest = [word(event) async for event in events]
    assert word(first) == "workflow-begin"
    assert rest == ["task-begin a", "task-end d", "workflow-end"]
    assert events.dropped > 0
    with pytest.raises(ValueError, match="buffer must be a positive number"):
        run.events(buffer=0)


async def test_a_reader_may_be_cut_at_each_event() -> None:
    """No event is lost, and each call is a checkpoint."""
    seen: list[str] = []
    async with tukio.Engine() as engine:
        run = await engine.start(flow(GRAPH), {})
        events = run.events()
        while True:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(events)
            assert scope.cancelled_caught
            try:
                seen.append(word(await anext(events)))
            except StopAsyncIteration:
                break
    assert [one for one in seen if "progress" not in one][-len(WHOLE) + 1 :] == WHOLE[1:]


async def test_a_run_of_a_broken_engine_ends_its_readers() -> None:
    """Whoever reads is not left behind when the engine is left by an error."""
    words: list[str] = []

    async def read(run: tukio.Workflow) -> None:
        words.extend([word(event) async for event in run.events()])

    async with anyio.create_task_group() as group:
        with pytest.raises(LookupError):
            async with tukio.Engine() as engine:
                run = await engine.start(flow(GRAPH), {})
                group.start_soon(read, run)
                await anyio.sleep(2)
                raise LookupError
    assert words[-1] == "workflow-end"


@pytest.mark.parametrize("late", [False, True])
async def test_a_run_that_was_rescued_begins_once(*, late: bool) -> None:
    """Its subscribers are told once more, after its tasks have begun; a reader knows it already."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow(GRAPH), {"n": 1})
        await anyio.sleep(2)
        report = run.report()
        run.cancel()
        await run.wait()
        again = await engine.rescue(flow(GRAPH), report)
        assert isinstance(again, tukio.Workflow)
        if late:
            await anyio.sleep(0.5)
        events = await all_of(again.events())
    words = [word(event) for event in events if "progress" not in word(event)]
    assert sorted(words) == sorted(WHOLE)
    assert (words[0], words[-1]) == (WHOLE[0], WHOLE[-1])
    check(events, again)


async def test_words_of_a_task_do_not_end_the_run(task: Tasks) -> None:
    """A task may send events of any type, those of runs among them."""

    @task
    async def sends(event: tukio.Event) -> None:
        for kind in ("workflow-begin", "workflow-end", "workflow-error", "b"):
            tukio.current_task().dispatch_progress({}, kind)
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        run = await engine.start(flow("sends"), {})
        words = [word(event) async for event in run.events()]
    assert words[-6:] == [
        *("workflow-begin sends", "workflow-end sends", "workflow-error sends", "b sends"),
        *("task-end sends", "workflow-end"),
    ]


@pytest.mark.parametrize("data", [{"n": 1}, {"type": []}, {"type": "workflow-end"}])
async def test_what_others_dispatch_in_the_topic_of_a_run_is_no_event_of_it(
    data: dict[str, Any],
) -> None:
    """Whatever it is: it has no number, and harms neither its sender nor the reader."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow(GRAPH), {})
        events = run.events()
        first = await anext(events)
        engine.broker.dispatch(data, f"{tukio.EXEC_TOPIC}/{run.uid}")
        check([first, *await all_of(events)], run)


# Numbers and times --------------------------------------------------------------------------------


async def test_execution_events_have_a_number_and_a_time() -> None:
    """Copies and pickles, too; other events have none."""
    told: list[tukio.Event] = []
    async with tukio.Engine() as engine:
        engine.broker.register(told.append, tukio.EXEC_TOPIC)
        runs = [await engine.start(flow(GRAPH, id=uid), {}) for uid in "xy"]
    for run in runs:
        own = [event for event in told if event.source and event.source.workflow_exec_id == run.uid]
        assert [event.seq for event in own] == list(range(1, len(own) + 1))
        check(own, run)
    event = told[3]
    for other in (copy(event), pickle.loads(pickle.dumps(event))):  # noqa: S301 - our own
        assert (other.seq, other.time) == (event.seq, event.time)
    plain = tukio.Event({"n": 1})
    assert (plain.seq, plain.time) == (None, None)
    assert event.data.keys() == {"type", "content"}


# Taps ---------------------------------------------------------------------------------------------


async def test_a_tap_is_called_in_place() -> None:
    """With each execution event that is told, and no event is made."""
    heard: list[tuple[str, Any, Any, Any]] = []

    def tap(kind: str, run: tukio.Workflow, task: tukio.TaskRun | None, content: Any) -> None:
        heard.append((kind, run, task and task.template.uid, content))

    async with tukio.Engine() as engine:
        with engine.tap(tap):
            run = await engine.start(flow("a"), {"n": 1})
            await run.wait()
        assert not engine.broker.has_listeners
        await (await engine.start(flow("a"), {})).wait()
    assert heard == [
        ("workflow-begin", run, None, {"n": 1}),
        ("task-begin", run, "a", {"n": 1}),
        ("task-end", run, "a", {"by": "a"}),
        ("workflow-end", run, None, None),
    ]


async def test_a_tap_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Not by what it raises, and not by what it changes (G9)."""

    def raises(*args: Any) -> None:
        raise LookupError("tap")

    def changes(kind: str, run: Any, task: Any, content: Any) -> None:
        if isinstance(content, dict):
            content["by"] = "tap"

    async with tukio.Engine() as engine:
        engine.tap(raises)
        engine.tap(changes)
        run = await engine.start(flow("a"), {"n": 1})
    assert run.ok
    assert run.output == {"a": {"by": "a"}}
    assert "tap" in caplog.text
    assert "failed on 'task-begin'" in caplog.text


async def test_what_is_no_function_is_no_tap() -> None:
    """It is refused at once, as is what could not be awaited."""

    async def waits(*args: Any) -> None:
        """Never called."""

    async with tukio.Engine() as engine:
        with pytest.raises(TypeError, match="is not callable"):
            engine.tap(5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is async, and a tap is called in place"):
            engine.tap(waits)
        assert not engine.broker.has_listeners


@pytest.mark.parametrize("closes", [0, 1])
async def test_a_tap_that_is_closed_is_not_called(closes: int) -> None:
    """Not even with the event at which another tap, or it itself, closes it."""
    heard: list[tuple[int, str]] = []
    taps: list[Any] = []

    def closing(kind: str, *_: Any) -> None:
        heard.append((0, kind))
        if kind == "task-begin":
            taps[closes].close()

    async with tukio.Engine() as engine:
        taps.append(engine.tap(closing))
        taps.append(engine.tap(lambda kind, *_: heard.append((1, kind))))
        await engine.start(flow("a"), {})
    told = [[kind for tap, kind in heard if tap == number] for number in (0, 1)]
    assert told[closes] == ["workflow-begin", "task-begin"][: 2 - closes]
    assert told[1 - closes] == ["workflow-begin", "task-begin", "task-end", "workflow-end"]


async def test_a_tap_finds_its_engine_around_itself() -> None:
    """Wherever the run was started from."""
    found: list[bool] = []
    opened, engines = anyio.Event(), list[tukio.Engine]()

    async def start() -> None:
        await opened.wait()
        await engines[0].start(flow("a"), {})

    async with anyio.create_task_group() as group:
        # Its context is one outside of the block.
        group.start_soon(start)
        async with tukio.Engine() as engine:
            engines.append(engine)
            engine.tap(lambda *_: found.append(tukio.current_engine() is engine))
            opened.set()
            await anyio.sleep(2)
    assert found == [True] * 4


@pytest.mark.backends("trio")
@pytest.mark.parametrize("at", WHOLE)
async def test_a_tap_that_ends_the_program_keeps_nothing_from_others(at: str) -> None:
    """Other taps, handlers and readers are told what it was told (G2)."""
    heard: dict[str, list[str]] = {"tap": [], "handler": [], "reader": []}

    def ends(kind: str, run: Any, task: Any, content: Any) -> None:
        if " ".join(filter(None, [kind, task and task.template.uid])) == at:
            raise SystemExit

    async def read(run: tukio.Workflow) -> None:
        heard["reader"] += [event.data["type"] async for event in run.events()]

    async def main() -> None:
        async with anyio.create_task_group() as group, tukio.Engine() as engine:
            engine.tap(ends)
            engine.tap(lambda kind, *_: heard["tap"].append(kind))
            engine.broker.register(
                lambda event: heard["handler"].append(event.data["type"]), tukio.EXEC_TOPIC
            )
            group.start_soon(read, await engine.start(flow(GRAPH), {}))
            await anyio.sleep(20)

    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True):
        await main()
    assert heard["tap"] == heard["handler"]
    assert heard["tap"][-1] == "workflow-end"
    assert at.split(maxsplit=1)[0] in heard["tap"]


@pytest.mark.backends("asyncio", "uvloop")
async def test_a_tap_of_a_loose_engine() -> None:
    """It is there before the engine is bound to a loop, and ends with the engine."""
    heard: list[str] = []
    first, second = tukio.Engine(), tukio.Engine()
    tap = first.tap(lambda kind, *_: heard.append(kind))
    await (await first.start(flow("a"), {})).wait()
    assert heard == ["workflow-begin", "task-begin", "task-end", "workflow-end"]
    await first.stop()
    await (await second.start(flow("a"), {})).wait()
    assert len(heard) == 4
    assert not second.broker.has_listeners
    tap.close()
    first.tap(lambda kind, *_: heard.append(kind))
    await (await second.start(flow("a"), {})).wait()
    await second.stop()
    assert len(heard) == 4
