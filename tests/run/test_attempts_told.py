"""Attempts that another one followed, in `run.events()` of those who begin to look later."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow
from support.keeping import KeepingEngine
from tukio._model.facts import StepDue, StepEnded
from tukio._model.gathering import plan_for
from tukio._model.replay import replay
from tukio._model.shape import shape_of
from tukio.errors import RecordedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Word = tuple[str, str | None, Any]


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register `first` (1 s), `flaky` (2 s, well at the third attempt), and `last`."""

    @task
    async def first(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(event.data.get("takes", 1))
        return {"from": "first"}

    @task
    async def flaky(event: tukio.Event) -> None:
        me = tukio.current_task()
        await anyio.sleep(2 if event.data.get("takes") is None else 0)
        if me.attempt < 3:
            raise OSError(me.attempt)

    @task
    async def last(event: tukio.Event) -> None: ...


def template_of(wait: float = 1, jitter: str = "none") -> tukio.WorkflowTemplate:
    """Return a chain whose second task is tried again after a second, or other."""
    template = flow("first flaky last")
    retry = {"initial": wait, "factor": 1, "jitter": jitter}
    template.tasks[1].retry = retry
    return template


def words(events: Sequence[tukio.Event]) -> list[Word]:
    """Return what events tell, without what differs between an error and what is kept of it."""
    found: list[Word] = []
    for event in events:
        assert event.source is not None
        content = event.data["content"]
        if isinstance(content, dict) and "exception" in content:
            error = content["exception"]
            is_kept = isinstance(error, RecordedError)
            told = (error.kind, error.message) if is_kept else (type(error).__name__, str(error))
            content = content | {"exception": told}
        found.append((event.data["type"], event.source.task_exec_id, content))
    return found


def without_ids(told: list[Word]) -> list[Word]:
    """Return words without the ids of executions."""
    return [(kind, None, content) for kind, _, content in told]


async def read(run: Any) -> list[tukio.Event]:
    """Read all events of a run."""
    return [event async for event in run.events()]


@pytest.mark.parametrize("at", [0.5, 2, 3.5, 5, 6.5, 8, 20])
async def test_whenever_one_begins_to_look_each_attempt_is_told(at: float) -> None:
    """Its begin and its end, in order, with their times and the id of each execution."""
    live: list[tukio.Event] = []
    async with tukio.Engine() as engine:
        run = await engine.start(template_of(), {})
        engine.broker.register(live.append, f"__exec_topic__/{run.uid}")
        await anyio.sleep(at)
        events = await read(run)
    assert words(events) == words(live)
    assert [event.time for event in events] == [event.time for event in live]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    kinds = [event.data["type"].removeprefix("task-") for event in events]
    tried = ["begin", "retry", "begin", "retry", "begin", "end"]
    assert kinds == ["workflow-begin", "begin", "end", *tried, "begin", "end", "workflow-end"]


async def test_what_happens_in_one_instant_is_told_in_order() -> None:
    """Nothing takes any time here."""
    async with tukio.Engine() as engine:
        run = await engine.start(template_of(wait=0), {"takes": 0})
        run_events = await read(run)
    live: list[tukio.Event] = []
    async with tukio.Engine() as engine:
        other = await engine.start(template_of(wait=0), {"takes": 0})
        engine.broker.register(live.append, f"__exec_topic__/{other.uid}")
    late = await read(other)
    for events in (run_events, late, live):
        kinds = [event.data["type"].removeprefix("task-") for event in events]
        assert kinds[3:9] == ["begin", "retry", "begin", "retry", "begin", "end"]
        assert [event.data["type"] for event in events] == [event.data["type"] for event in live]


@pytest.mark.parametrize("is_old", [False, True])
async def test_a_rescued_run_tells_of_the_attempts_before(is_old: bool) -> None:
    """From its report, through JSON; one of an old report has lost its id."""
    template = template_of()
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(6.5)
        before = words(await first_of(run, 7))
        report: Any = tukio.report_from_json(tukio.report_to_json(run.report()))
        run.cancel()
    made = report["tasks"][1]["exec"]["attempts"]
    assert [one["id"] for one in made] == [uid for kind, uid, _ in before if kind == "task-retry"]
    if is_old:
        for one in made:
            del one["id"]
    async with tukio.Engine() as engine:
        again: Any = await engine.rescue(template, report)
        await again.wait(check=True)
    told = words(await read(again))
    if is_old:
        uids = {uid for kind, uid, _ in told[3:] if uid is not None and kind != "workflow-end"}
        assert None not in uids
        told, before = without_ids(told), without_ids(before)
    assert told[:7] == before
    assert [kind for kind, *_ in told[7:]] == ["task-begin", "task-end"] * 2 + ["workflow-end"]


async def first_of(run: Any, number: int) -> list[tukio.Event]:
    """Read the first events of a run."""
    async with contextlib.aclosing(run.events()) as events:
        return [await anext(events) for _ in range(number)]


async def test_an_attempt_has_its_id_in_the_report() -> None:
    """As the execution that is at work, or was the last."""
    async with tukio.Engine() as engine:
        run = await engine.start(template_of(), {})
        begun: list[str] = []

        def note(event: tukio.Event) -> None:
            source: Any = event.source
            if event.data["type"] == "task-begin" and source.task_template_id == "flaky":
                begun.append(source.task_exec_id)

        engine.broker.register(note, f"__exec_topic__/{run.uid}")
        await run.wait()
    shown = run.report()["tasks"][1]["exec"]
    assert [*(one["id"] for one in shown["attempts"]), shown["id"]] == begun
    assert len(set(begun)) == 3


# Live facts --------------------------------------------------------------------------------------


async def test_facts_tell_of_each_attempt_as_it_fails() -> None:
    """And of when the next one is due; in the end, of all of them once more."""
    async with KeepingEngine() as engine:
        run: Any = await engine.start(template_of(wait=4), {})
        await anyio.sleep(4)
        report: Any = run.report()
        facts = engine.facts_of(run)
        [due] = [fact for fact in facts if isinstance(fact, StepDue)]
        shown = report["tasks"][1]["exec"]
        assert [one.as_dict() for one in due.attempts] == shown["attempts"]
        assert (due.task, due.begun, due.inputs) == ("flaky", False, {"from": "first"})
        assert due.due == shown["due"]
        assert due.tried == 2
        await run.wait()
        ended = {fact.task: fact for fact in facts if isinstance(fact, StepEnded)}
        assert [one.as_dict() for one in ended["flaky"].attempts] == (
            run.report()["tasks"][1]["exec"]["attempts"]
        )
        assert [len(fact.attempts) for fact in facts if isinstance(fact, StepDue)] == [1, 2]


async def test_facts_and_report_lead_to_the_same_wait() -> None:
    """A run that is brought to where its facts say waits for the same instant."""
    template = template_of(wait=4)
    async with KeepingEngine() as engine:
        run: Any = await engine.start(template, {})
        await anyio.sleep(4)
        facts = list(engine.facts_of(run))
        live = run._steps[1]
        shape = shape_of(template)
        plan: Any = plan_for(shape, run._run.environment.kinds.maker(shape), run._run)
        replay(plan, facts)
        step = plan.steps[1]
        assert [one.number for one in plan.ready] == [1]
        assert step.extras.attempts == live.extras.attempts
        assert step.extras.due == pytest.approx(live.extras.due, abs=1e-5)
        run.cancel()
