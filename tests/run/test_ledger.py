"""What is kept of a run, as it happens, leads to where the run is: one road, live and later."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, strategies as st

import tukio
from support.flow import flow, states
from support.hurry import hurry
from support.keeping import KeepingEngine
from support.maps import LIST
from support.profiles import many
from support.silence import silence
from tukio._model.facts import (
    RunClosing,
    RunEnded,
    RunResumed,
    RunStarted,
    RunStopped,
    RunSuspended,
    StepDue,
    StepEnded,
    from_body,
    to_body,
)
from tukio._model.gathering import plan_for
from tukio._model.record import read
from tukio._model.replay import replay
from tukio._model.rescue import facts_of
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio._model.step import LOOSE, Step
from tukio.testing import actors, play
from tukio.testing.clock import BACKENDS, is_available, run as run_on
from tukio.testing.strategies import histories, workflow_templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from support.flow import Tasks
    from tukio._model.facts import Fact
    from tukio._model.plan import Plan
    from tukio.testing import Action

HERE = [name for name in BACKENDS if is_available(name)]
DATA = {"in": 0, "items": LIST}

FINISHED, CANCELLED = FutureState.finished, FutureState.cancelled
TIMEOUT, EXCEPTION = FutureState.timeout, FutureState.exception


# Any run, at any moment ---------------------------------------------------------------------------


def led(template: tukio.WorkflowTemplate, facts: Iterable[Fact]) -> Plan[Step]:
    """Return a new plan, led to where facts say."""
    plan: Plan[Step] = plan_for(shape_of(template), Step)
    replay(plan, facts)
    return plan


def number_of(step: Any) -> int | None:
    """Return the number of a step; None if there is none."""
    return None if step is None else step.number


def seen(step: Any) -> dict[str, Any] | None:
    """Return what a plan must tell of a step; the data of one that is over is complete."""
    if step is None:
        return None
    found = {
        "over": step.ended_at is not None,
        "inputs": step.input_data,
        "parent": number_of(step.parent),
        "late": [(data, number_of(parent)) for data, parent in step.late],
    }
    if found["over"]:
        found |= {"state": step.state, "output": step.output_data, "chosen": step.chosen}
    return found


def check(workflow: Any, facts: list[Fact]) -> None:
    """Make sure that the facts of a run lead to where it is; those at work are to be run again."""
    facts = [from_body(to_body(fact)) for fact in facts]
    plan = led(workflow.template, facts)
    live: list[Any] = list(workflow._steps)
    stopped = any(isinstance(fact, RunStopped) for fact in facts)
    for number, step in enumerate(live):
        replayed = plan.steps[number]
        if step is None and replayed is not None:
            # While it stops, nothing is led to; a rescue goes on.
            assert stopped
            assert replayed.ended_at is None
        elif stopped and seen(step) != seen(replayed):
            # Likewise, further parents are received no more.
            assert replayed is not None
            assert (seen(step) or {}) | {"late": 0} == (seen(replayed) or {}) | {"late": 0}
            assert len(replayed.late) > len(step.late)
        else:
            assert seen(step) == seen(replayed)
    check_attempts(workflow, facts)
    due = {number for number, step in enumerate(plan.steps) if step and step.ended_at is None}
    assert Counter(step.number for step in plan.ready) == Counter(due)
    # What closes the run is no part of its progress.
    ready = [step.number for step in workflow._run.plan.ready if step.number != LOOSE]
    if not any(isinstance(fact, RunResumed) for fact in facts):
        # In the same order; what was interrupted is run again after what waited already.
        assert [step.number for step in plan.ready if step.number in ready] == ready
    check_report(workflow, plan, facts)


def check_attempts(workflow: Any, facts: list[Fact]) -> None:
    """Make sure that facts tell of each attempt that has failed, and of when the next is due."""
    told: dict[str, StepDue | StepEnded] = {}
    for one in facts:
        if isinstance(one, StepDue | StepEnded):
            told[one.task] = one
    waiting = workflow._run.waiting
    for step in filter(None, workflow._steps):
        last = told.get(step.template.uid)
        made = () if step._extras is None else step._extras.attempts
        assert made == (() if last is None else last.attempts)
        if isinstance(last, StepDue) and step.extras.due is not None:
            assert last.due == workflow._run.backend.wall_time(step.extras.due)
            # What was to come is called off when the run stops.
            assert not waiting or step in waiting.put_off


def ends_in(facts: Iterable[Fact]) -> list[StepEnded]:
    """Return the ends of the tasks in the graph: those before the run closes."""
    before = takewhile(lambda fact: not isinstance(fact, RunClosing), facts)
    return [fact for fact in before if isinstance(fact, StepEnded)]


def check_report(workflow: Any, plan: Plan[Step], facts: list[Fact]) -> None:
    """Make sure that a report, read into facts, leads to the same plan."""
    ends = ends_in(facts)
    if workflow._run.started_at is None or any(fact.state is CANCELLED for fact in ends):
        # What was cancelled is run again by a rescue from a report.
        return
    report = workflow.report()
    report["timeout"] = None
    template = tukio.WorkflowTemplate.from_dict(workflow.template.as_dict() | {"timeout": None})
    told = facts_of(read(report, template), shape_of(template))
    assert [fact.task for fact in ends_in(told)] == [fact.task for fact in ends]
    again = led(template, told)
    for one, other in zip(plan.steps, again.steps, strict=True):
        assert seen(one) == seen(other)
    check_attempts(workflow, told)
    assert [step.number for step in plan.ready] == [step.number for step in again.ready]


async def looked_at(template: Any, history: list[Action], moments: Sequence[float]) -> None:
    """Play a template; look at each run at some moments, and when all is over."""
    hurry()
    problems: list[Exception] = []

    def look() -> None:
        for workflow, facts in engine.kept:
            try:
                check(workflow, facts)
            except Exception as problem:  # noqa: BLE001 - whatever it is, it is raised in the end
                # This is an alarm, whose failure is logged, and no more.
                problems.append(problem)

    class Looking(KeepingEngine):
        async def __aenter__(self) -> Any:
            entered = await super().__aenter__()
            for moment in moments:
                self._binding.backend.alarms.at(anyio.current_time() + moment, look)
            return entered

    engine = Looking()
    await play(template, history, DATA, engine=engine)
    look()
    if problems:
        raise problems[0]
    for workflow, facts in engine.kept:
        check_story(workflow, facts)


def check_story(workflow: Any, facts: list[Fact]) -> None:
    """Make sure that facts come in an order that can be, each once, and end as the run did."""
    if workflow._run.started_at is None:
        assert {type(fact) for fact in facts} <= {RunStopped, RunEnded}
        return
    assert isinstance(facts[0], RunStarted)
    assert facts[-1] == RunEnded(workflow.state, workflow.report()["exec"]["end"])
    kinds = Counter(type(fact) for fact in facts)
    assert kinds[RunStarted] == kinds[RunEnded] == 1
    assert kinds[RunStopped] == (workflow.state is not FINISHED)
    assert kinds[RunSuspended] - kinds[RunResumed] in ({0, 1} if kinds[RunStopped] else {0})
    for fact in facts:
        if isinstance(fact, RunStopped):
            assert fact.ending is workflow.state
    ends = Counter(fact.task for fact in facts if isinstance(fact, StepEnded))
    steps = [*workflow.tasks, *workflow.closing]
    over = {step.template.uid for step in steps if step.ended_at is not None}
    assert ends == dict.fromkeys(over, 1)


@many(150)
@given(
    template=workflow_templates(),
    history=histories(),
    moments=st.lists(st.integers(0, 48).map(lambda n: n / 4), min_size=2, max_size=6),
)
def test_the_facts_of_any_run_lead_to_where_it_is(
    template: Any, history: list[Action], moments: list[float]
) -> None:
    """At any moment and in the end: states, data, choices, who led to whom, what is ready.

    So does a report, by the same road.
    """
    with silence(), actors():
        for backend in HERE:
            run_on(looked_at, template, history, moments, backend=backend)


# Who has stopped a run ----------------------------------------------------------------------------


@pytest.fixture
def steps(task: Tasks) -> None:
    """Register `nap` (5 s) and `fails`."""

    @task
    async def nap(event: tukio.Event) -> None:
        await anyio.sleep(5)

    @task
    async def fails(event: tukio.Event) -> None:
        raise ValueError


def stops(engine: KeepingEngine) -> list[RunStopped]:
    """Return what is kept of the stops of all runs."""
    return [fact for _, facts in engine.kept for fact in facts if isinstance(fact, RunStopped)]


async def waits(engine: KeepingEngine, suspends: bool, template: Any) -> Any:
    """Start a run, and suspend it after a second, or not."""
    run: Any = await engine.run_once(template, {})
    await anyio.sleep(1)
    if suspends:
        run.suspend()
        await anyio.sleep(1)
    return run


def fail() -> None:
    """Raise an error."""
    raise KeyError


suspended_or_not = pytest.mark.parametrize("suspends", [False, True], ids=["at work", "suspended"])


@suspended_or_not
@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("how", "ending"),
    [("cancel", CANCELLED), ("timeout", TIMEOUT), ("limit", TIMEOUT), ("abort", CANCELLED)],
)
async def test_what_ends_the_run_itself_is_kept_as_final(
    how: str, ending: FutureState, suspends: bool
) -> None:
    """It is never to be started anew."""
    async with KeepingEngine() as engine:
        limit = 3 if how == "limit" else None
        template = flow("nap", timeout=limit, policy="abort-running")
        await engine.load(template)
        run = await waits(engine, suspends, template)
        if how == "abort":
            await engine.trigger("flow", {})
        elif how != "limit":
            getattr(run, how)()
        assert await run.wait() is ending
        assert stops(engine) == [RunStopped(ending, final=True)]


@pytest.mark.usefixtures("steps")
async def test_a_run_that_its_error_aborts_is_stopped_for_good() -> None:
    """The error is its own."""
    async with KeepingEngine() as engine:
        run: Any = await engine.run_once(flow({"nap": ["fails"]}, on_error="abort"), {})
        await run.wait()
        assert stops(engine) == [RunStopped(EXCEPTION, final=True)]


@suspended_or_not
@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("how", ["force", "no grace", "grace", "error", "scope"])
async def test_the_end_of_the_engine_is_no_end_of_the_run(how: str, suspends: bool) -> None:
    """It may go on in the next process, or from its report; a grace makes no difference."""
    with anyio.move_on_after(4 if how == "scope" else 100):
        try:
            async with KeepingEngine() as engine:
                run = await waits(engine, suspends, flow("nap", timeout=1000))
                if how == "force":
                    engine.stop(force=True)
                elif how == "no grace":
                    engine.stop(0)
                elif how == "grace":
                    engine.stop(grace=1)
                elif how == "error":
                    fail()
                await run.wait()
        except KeyError:
            pass
    assert run.state is CANCELLED
    assert stops(engine) == [RunStopped(CANCELLED, final=False)]


@suspended_or_not
@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("how", ["force", "grace"])
async def test_a_limit_that_had_passed_before_is_the_end_of_the_run(
    how: str, suspends: bool
) -> None:
    """Whoever stops it next only finds it over: the clock decides, not the timer."""
    async with KeepingEngine() as engine:
        run = await waits(engine, suspends, flow("nap", timeout=3))
        await anyio.sleep(2 - suspends)
        # At the very instant of the limit, whose timer may not have gone off.
        engine.stop(1 if how == "grace" else None, force=how == "force")
        assert await run.wait() is TIMEOUT
        assert stops(engine) == [RunStopped(TIMEOUT, final=True)]


@suspended_or_not
@pytest.mark.backends("asyncio", "uvloop")
@pytest.mark.usefixtures("steps")
async def test_the_end_of_the_program_is_no_end_of_a_loose_run(suspends: bool) -> None:
    """All tasks are cancelled, the one that stands for those that wait among them."""
    engine = KeepingEngine()
    run = await waits(engine, suspends, flow("nap"))
    me = asyncio.current_task()
    if not suspends:
        # One more that has not begun.
        await engine.run_once(flow("nap"), {})
    for task in asyncio.all_tasks():
        if task is not me and task.get_name().startswith("tukio"):
            task.cancel()
    await run.wait()
    await engine.stop()
    if suspends:
        assert stops(engine) == [RunStopped(CANCELLED, final=False)]
    else:
        # A native cancellation of a step at work is that step's.
        assert states(run) == {"nap": "cancelled"}
        assert stops(engine) == [RunStopped(CANCELLED, final=False)]
