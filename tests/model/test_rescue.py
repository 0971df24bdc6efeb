"""The plan that comes back from a report: what is run again, and what comes after."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.flow import flow
from support.reports import START, at, execution, ready, report_on, restored, state_of
from support.strategies import graphs
from tukio._model.plan import Plan
from tukio._model.record import read
from tukio._model.report_json import Lost
from tukio._model.rescue import restore
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio._model.step import Step
from tukio.errors import RescueError

if TYPE_CHECKING:
    from datetime import datetime

    from support.strategies import Graph
    from tukio._model.template import WorkflowTemplate


# The plan that comes back ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "then"),
    [
        (execution(outputs={"a": 1}), [("b", {"a": 1})]),
        (execution(), [("b", {"in": 0})]),
        (execution("skipped", outputs={"a": 1}), [("b", {"in": 0})]),
        (execution("timeout", outputs={"a": 1}), [("b", {"a": 1})]),
        (execution("timeout"), [("b", {"in": 0})]),
        # Its `teardown()` returned a text, which was noted as an error: its inputs went on.
        (execution("timeout", outputs="text"), [("b", {"in": 0})]),
        (execution("exception", outputs={"a": 1}), []),
        (execution(outputs={"a": 1}, chosen=[]), []),
        (execution(outputs={"a": 1}, chosen=["b"]), [("b", {"a": 1})]),
        (execution("pending", None), [("a", {"in": 0})]),
        (execution("suspended", None), [("a", {"in": 0})]),
        (execution("cancelled", None, start=None), [("a", {"in": 0})]),
        (execution("cancelled", 1), [("a", {"in": 0})]),
    ],
)
def test_what_comes_after_a_task(known: dict[str, Any], then: list[tuple[str, Any]]) -> None:
    """It leads on as it did in the run; what was not over is run again, with what it had."""
    template = flow("a b")
    assert ready(restored(template, report_on(template, a=known))) == then


@pytest.mark.parametrize("order", [["a"], ["a", "a"], ["b", "b"], ["a", "b", "a"]])
def test_an_order_of_ends_that_is_not_of_the_tasks_that_are_over_is_refused(
    order: list[str],
) -> None:
    """Each of them is in it, once."""
    template = flow("a b c")
    report = report_on(template, a=execution(), b=execution())
    report["exec"]["order"] = order
    with pytest.raises(RescueError, match=r"exec\.order"):
        restored(template, report)
    report["exec"]["order"] = ["a", "b"]
    assert ready(restored(template, report)) == [("c", {"in": 0})]


def test_a_leaf_may_have_ended_with_anything() -> None:
    """Nobody receives it, so it may even be lost."""
    template = flow("a b")
    for output in ("text", Lost("<x>"), {"x": Lost("<x>")}):
        report = report_on(template, a=execution(), b=execution(end=2, outputs=output))
        plan = restored(template, report)
        assert not plan.ready
        assert state_of(plan)["b"][2] == output


def test_a_task_that_the_template_gained_follows() -> None:
    """After a task that was over already: that is how a run is given more to do."""
    report = report_on(flow("a b"), a=execution(), b=execution(end=2, outputs={"b": 1}))
    plan = restored(flow({"a": ["x", "b"], "b": ["y"]}), report)

    assert ready(plan) == [("x", {"in": 0}), ("y", {"b": 1})]


def test_a_merge_starts_with_the_parent_that_it_started_with() -> None:
    """Of parents that ended at the same time, the data tells; the other one is late."""
    template = flow({"a": ["b", "c"], "b": ["d"], "c": ["d"]})
    parents = {"b": execution(end=2, outputs={"b": 1}), "c": execution(end=2, outputs={"c": 1})}
    for first, second in ("bc", "cb"):
        given = {first: 1}
        report = report_on(
            template, a=execution(), d=execution("pending", None, inputs=given), **parents
        )
        (step,) = restored(template, report).ready
        assert step.parent is not None
        assert (step.parent.template.uid, step.input_data) == (first, given)
        assert [(data, late.template.uid) for data, late in step.late] == [({second: 1}, second)]


def test_a_merge_of_data_that_contains_itself_is_refused() -> None:
    """Which parent it started with cannot be told by comparing such data."""
    template = flow({"a": ["b", "c"], "b": ["d"], "c": ["d"]})
    endless: dict[str, Any] = {}
    endless["a"] = endless
    parents = {uid: execution(end=2, outputs=endless) for uid in "bc"}
    due = execution("pending", None, inputs=endless)
    with pytest.raises(RescueError, match="its data is nested too deeply") as refusal:
        restored(template, report_on(template, a=execution(), d=due, **parents))
    assert refusal.value.uid == "run"


def test_a_parent_that_ended_after_the_merge_is_too_late() -> None:
    """The merge is not run again."""
    template = flow({"a": ["b", "c"], "b": ["d"], "c": ["d"]})
    report = report_on(
        template, a=execution(), b=execution(end=2), d=execution(end=3), c=execution(end=4)
    )

    assert not restored(template, report).ready


def test_what_the_caller_does_to_the_report_later_does_not_matter() -> None:
    """The run has data of its own."""
    template = flow("a b")
    report = report_on(template, a=execution(outputs={"x": [1]}, reporting={"y": [2]}))
    record = read(report, template)
    executed = report["tasks"][0]["exec"]
    executed["outputs"]["x"].append(9)
    executed["inputs"]["in"] = 9
    executed["reporting"]["y"].append(9)
    plan: Plan[Step] = Plan(shape_of(template), Step)
    restore(plan, record)

    assert ready(plan) == [("b", {"x": [1]})]
    assert record.steps["a"].inputs == {"in": 0}
    assert record.steps["a"].extra == {"reporting": {"y": [2]}}


# Any run, at any moment --------------------------------------------------------------------------

HOWS = ("dict", "none", "skip", "timeout", "fail", "some", "stop")


class Story:
    """A run of plain steps that go as they are told to; its time is whatever the clock says."""

    def __init__(self, template: WorkflowTemplate, hows: dict[str, str]) -> None:
        self.hows = hows
        self.plan: Plan[Step] = Plan(shape_of(template), Step)
        self.running: list[Step] = []
        self.ends: dict[str, datetime] = {}

    def begin(self) -> None:
        """Start the step that is ready first."""
        self.running.append(self.plan.ready.popleft())

    def end(self, step: Step, when: datetime) -> None:
        """End a step as it was told to, and go on from there."""
        uid, how = step.template.uid, self.hows[step.template.uid]
        self.ends[uid] = when
        step.ended_at = 0.0
        result: Any = None if how in {"none", "skip"} else {**step.input_data, uid: 1}
        step.output_data, data = self.plan.passed_on(step, result)
        states = {"skip": FutureState.skipped, "timeout": FutureState.timeout}
        step.state = states.get(how, FutureState.finished)
        if how == "fail":
            step.state = FutureState.exception
            self.plan.stop_branch(step)
            return
        if how in {"some", "stop"}:
            successors = [
                self.plan.shape.tasks[number].uid
                for number in self.plan.shape.successors[step.number]
            ]
            self.plan.choose(step, successors[1:] if how == "some" else [])
        self.plan.follow(step, data)

    def finish(self) -> None:
        """Run everything that is left, always the first in declared order."""
        self.running += self.plan.ready
        self.plan.ready.clear()
        while self.running:
            step = min(self.running, key=lambda step: step.number)
            self.running.remove(step)
            self.end(step, START)
            self.running += self.plan.ready
            self.plan.ready.clear()


def report_of(story: Story, template: WorkflowTemplate, unfinished: str) -> dict[str, Any]:
    """Return the report of a run of plain steps at this moment."""
    executions: dict[str, Any] = {}
    for step in story.plan.steps:
        if step is None:
            continue
        over = step.ended_at is not None
        executions[step.template.uid] = execution(
            step.state.value if over else unfinished,
            end=None,
            inputs=step.input_data,
            outputs=step.output_data,
        )
        if over:
            executions[step.template.uid]["end"] = story.ends[step.template.uid]
        if step.chosen is not None:
            chosen = [story.plan.shape.tasks[number].uid for number in step.chosen]
            executions[step.template.uid]["chosen"] = chosen
    return deepcopy(report_on(template, **executions))


@given(graphs(rooted=True), st.data())
def test_any_run_goes_on_from_any_moment_as_it_would_have(
    graph: Graph, data: st.DataObject
) -> None:
    """In the end all is as if nothing had happened, even if the clock tells nonsense."""
    template = flow(graph, tasks=[{"id": uid, "name": uid} for uid in graph])
    story = Story(template, {uid: data.draw(st.sampled_from(HOWS)) for uid in graph})
    story.plan.begin({"in": 0})
    for _ in range(data.draw(st.integers(0, 2 * len(graph)))):
        if story.plan.ready and (not story.running or data.draw(st.booleans())):
            story.begin()
        elif story.running:
            step = data.draw(st.sampled_from(story.running))
            story.running.remove(step)
            story.end(step, at(data.draw(st.integers(0, 2))))
    unfinished = data.draw(st.sampled_from(["pending", "suspended", "cancelled"]))
    report = report_of(story, template, unfinished)

    again = Story(template, story.hows)
    again.plan = restored(template, report)
    due = {step.template.uid: step.input_data for step in (*story.running, *story.plan.ready)}
    assert dict(ready(again.plan)) == due
    assert state_of(again.plan) == state_of(story.plan)

    story.finish()
    again.finish()
    assert state_of(again.plan) == state_of(story.plan)
