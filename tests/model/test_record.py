"""A run as data: what a report shares with it, what is refused, and the plan that comes back."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.flow import flow
from support.strategies import graphs, json_values
from tukio._model.detach import described, detached
from tukio._model.plan import Plan, Step
from tukio._model.record import read
from tukio._model.report_json import Lost
from tukio._model.rescue import restore
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio.errors import RecordedError, RescueError, TukioTaskError

if TYPE_CHECKING:
    from support.strategies import Graph
    from tukio._model.template import WorkflowTemplate

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a moment of the run."""
    return START + timedelta(seconds=seconds)


def execution(state: str = "finished", end: float | None = 1, **fields: Any) -> dict[str, Any]:
    """Return what a report says of one execution."""
    return {
        "id": "step",
        "start": START,
        "end": None if end is None else at(end),
        "state": state,
        "inputs": {"in": 0},
        "outputs": None,
    } | fields


def report_on(template: WorkflowTemplate, **executions: Any) -> dict[str, Any]:
    """Return a report in which these tasks were due, and no others."""
    document = template.as_dict()
    for task in document["tasks"]:
        task["exec"] = executions.get(task["id"])
    return document | {"exec": {"id": "run", "start": START, "end": None, "state": "pending"}}


def restored(template: WorkflowTemplate, report: Any) -> Plan[Step]:
    """Return the plan of a run as a report says that it was."""
    plan: Plan[Step] = Plan(shape_of(template), Step)
    restore(plan, read(report, template))
    return plan


def ready(plan: Plan[Step]) -> list[tuple[str, Any]]:
    """Return the tasks that are to be run next, each with its inputs."""
    return [(step.template.uid, step.input_data) for step in plan.ready]


def state_of(plan: Plan[Step]) -> dict[str, Any]:
    """Return how each task stands."""
    return {
        task.uid: step and (step.state, step.input_data, step.output_data)
        for task, step in zip(plan.shape.tasks, plan.steps, strict=True)
    }


def refusal(report: Any, template: WorkflowTemplate) -> RescueError:
    """Return why a report is refused."""
    with pytest.raises(RescueError) as caught:
        restored(template, report)
    return caught.value


# What a report shares with its run ---------------------------------------------------------------


def test_detached_data_has_containers_of_its_own_at_every_depth() -> None:
    """Whatever a task goes on to do to its data, a report does not change."""
    thing = object()
    data: dict[Any, Any] = {"a": [1, {"b": ({2}, [3])}], "thing": thing, 4: (5,)}
    own = detached(data)
    assert own == data
    assert own["thing"] is thing
    data["a"][1]["b"][0].add(9)
    data["a"][1]["b"][1].append(9)
    data["a"][1]["c"] = 9
    data["a"].append(9)
    data["d"] = 9

    assert own == {"a": [1, {"b": ({2}, [3])}], "thing": thing, 4: (5,)}


def test_detached_data_keeps_its_types_and_its_order() -> None:
    """Kinds of dict of the user's own are objects like others: nobody knows how to copy them."""

    class Mine(dict[str, int]):
        pass

    mine = Mine(a=1)
    data = {"z": (1, [2]), "a": frozenset({(3,)}), "mine": mine, "many": {4, 5}}

    assert repr(detached(data)) == repr(data)
    assert detached(data)["mine"] is mine
    assert detached(mine) is mine


def test_detached_data_may_contain_itself() -> None:
    """It has the same shape then, and shares nothing with the original."""
    data: dict[str, Any] = {"list": []}
    data["list"] += [data, (data["list"],)]
    own = detached(data)

    assert own["list"][0] is own
    assert own["list"][1][0] is own["list"]
    assert own is not data
    assert own["list"] is not data["list"]


def test_what_occurs_often_in_detached_data_is_copied_once() -> None:
    """Or this one would be a copy of 2**64 tuples."""
    data: Any = []
    for _ in range(64):
        data = (data, data)

    own = detached(data)
    assert own[0] is own[1]
    assert own is not data


@given(json_values)
def test_detached_data_is_equal(data: Any) -> None:
    """Nothing is left out."""
    assert json.dumps(detached(data)) == json.dumps(data)


class Silent(Exception):
    """Raises when someone wants to show it."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("why"), "ValueError", "why"),
        (KeyError("a"), "KeyError", "'a'"),
        (TukioTaskError({"code": 3}), "TukioTaskError", "{'code': 3}"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (RecordedError("Other", "what it said"), "Other", "what it said"),
        (Silent(), "Silent", "<a Silent that cannot be shown>"),
    ],
)
def test_an_error_is_its_type_and_its_message(
    error: BaseException, kind: str, message: str
) -> None:
    """One that was recorded before is described as the error it stands for."""
    assert described(error) == {"type": kind, "message": message}


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "report",
    [None, [], "report", {}, {"exec": None}, {"exec": "run"}, {"exec": {}}, {"exec": {"id": 5}}],
)
def test_what_is_no_report_of_a_run_is_refused(report: Any) -> None:
    """Anything may come from a store."""
    error = refusal(report, flow("a"))

    assert error.uid is None
    assert error.reason == "it is not the report of a run: there is no 'exec.id'"
    assert str(error) == f"cannot rescue workflow None from its report: {error.reason}"


DELETED = object()


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("exec.start", DELETED, "KeyError('start')"),
        ("exec.start", 5, "TypeError("),
        ("exec.start", "today", "ValueError("),
        ("exec.start", "0001-01-01T00:00:00", "ValueError("),
        ("tasks.0.exec.start", "0001-01-01T09:00:00+23:59", "ValueError("),
        ("tasks.0.exec.end", "9999-12-31T23:59:59.999999", "ValueError("),
        ("exec.end", DELETED, "KeyError('end')"),
        ("exec.state", DELETED, "KeyError('state')"),
        ("exec.state", "x", "ValueError("),
        ("exec.state", [], "TypeError('expected a text, not []')"),
        ("exec.elapsed", "x", "ValueError("),
        ("exec.elapsed", math.nan, "ValueError('exec.elapsed is not a number')"),
        ("exec.elapsed", 10**400, "OverflowError("),
        ("tasks", DELETED, "KeyError('tasks')"),
        ("tasks", 5, "TypeError("),
        ("tasks", [5], "TypeError("),
        ("tasks.0.id", DELETED, "KeyError('id')"),
        ("tasks.0.id", [], "TypeError("),
        ("tasks.0.id", 5, "TypeError('expected a text, not 5')"),
        ("tasks.1", {"id": "a", "exec": execution()}, "ValueError(\"task 'a' is in it twice\")"),
        ("tasks.0.exec", DELETED, "KeyError('exec')"),
        ("tasks.0.exec", "x", "AttributeError("),
        ("tasks.0.exec.id", DELETED, "KeyError('id')"),
        ("tasks.0.exec.start", DELETED, "KeyError('start')"),
        ("tasks.0.exec.end", DELETED, "KeyError('end')"),
        ("tasks.0.exec.end", None, "ValueError('an execution that is finished has no end')"),
        ("tasks.0.exec.state", "x", "ValueError("),
        ("tasks.0.exec.inputs", DELETED, "KeyError('inputs')"),
        ("tasks.0.exec.outputs", DELETED, "KeyError('outputs')"),
        ("tasks.0.exec.chosen", 5, "TypeError("),
        ("tasks.0.exec.error", {"type": "x"}, "KeyError('message')"),
        ("tasks.0.exec.error", "x", "TypeError("),
    ],
)
def test_a_report_that_is_not_whole_is_refused(path: str, value: Any, why: str) -> None:
    """Whatever is missing or of another kind, it is the one error that callers look for."""
    report = report_on(flow("a"), a=execution())
    report["tasks"].append({"id": "b", "exec": None})
    place: Any = report
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys:
        place = place[key]
    if value is DELETED:
        del place[last]
    else:
        place[last] = value
    error = refusal(report, flow("a"))

    assert error.uid == "run"
    # What Python says there differs between its versions.
    assert error.reason.startswith(f"it is not a whole report ({why}")
    assert error.__cause__ is not None


def test_data_that_is_nested_too_deeply_is_refused() -> None:
    """Nothing else is raised."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    error = refusal(report_on(flow("a"), a=execution(inputs=deep)), flow("a"))

    assert "RecursionError" in error.reason


@pytest.mark.parametrize(
    ("graph", "changes", "reason"),
    [
        ("a", {"exec": {"start": None}}, "it never started - start the workflow anew"),
        ("a", {"id": "other"}, "it is about template 'other', not 'flow'"),
        ("a", {"id": ["flow"]}, "it is about template ['flow'], not 'flow'"),
        ("b", {}, "executed tasks are not in the template: a"),
        ("a", {"tasks": []}, "its root task was never due - start the workflow anew"),
        ("x a", {}, "its root task was never due - start the workflow anew"),
    ],
)
def test_a_report_about_something_else_is_refused(
    graph: str, changes: dict[str, Any], reason: str
) -> None:
    """The words say what it is about, or that there is nothing to continue."""
    report = report_on(flow("a"), a=execution())
    report |= changes | {"exec": report["exec"] | changes.get("exec", {})}
    error = refusal(report, flow(graph))

    assert (error.uid, error.reason) == ("run", reason)


@pytest.mark.parametrize("uid", ["flow", None])
def test_a_report_need_not_name_its_template(uid: str | None) -> None:
    """What 1.x users have stored may be only the parts that matter."""
    report = report_on(flow("a"), a=execution())
    report["id"] = uid
    assert ready(restored(flow("a b"), report)) == [("b", {"in": 0})]
    del report["id"]
    assert ready(restored(flow("a b"), report)) == [("b", {"in": 0})]


LIMIT = "its time limit of 10 s is used up - raise it first"


@pytest.mark.parametrize(
    ("known", "end", "steps", "reason"),
    [
        ({"elapsed": 9.75}, None, {"a": execution(end=20)}, None),
        ({"elapsed": 10.0}, None, {"a": execution()}, LIMIT),
        ({"elapsed": math.inf}, None, {"a": execution()}, LIMIT),
        ({}, 9.75, {"a": execution()}, None),
        ({}, 10, {"a": execution()}, LIMIT),
        # From 1.x, while it ran: at least as long as its latest news.
        ({}, None, {"a": execution(end=9.75)}, None),
        ({}, None, {"a": execution(end=10)}, LIMIT),
        ({}, None, {"a": execution(end=1), "b": execution("pending", None, start=at(10))}, LIMIT),
        ({}, None, {"a": execution("pending", None)}, None),
    ],
)
def test_a_run_that_used_up_its_time_limit_is_refused(
    known: dict[str, Any], end: float | None, steps: dict[str, Any], reason: str | None
) -> None:
    """A rescue gives it what is left of its limit; with nothing left it would only be cancelled."""
    report = report_on(flow("a b"), **steps)
    report["exec"] |= known | {"end": None if end is None else at(end)}
    assert read(report, flow("a b")).uid == "run"
    if reason is None:
        assert read(report, flow("a b", timeout=10)).elapsed < 10
    else:
        assert refusal(report, flow("a b", timeout=10)).reason == reason


@pytest.mark.parametrize(
    ("graph", "steps", "reason"),
    [
        (
            "a b c",
            {"a": execution(), "c": execution()},
            "nothing led to task 'c', which has an outcome",
        ),
        (
            "a b c",
            {"a": execution(), "c": execution("pending", None)},
            "nothing led to task 'c', which was begun",
        ),
        (
            "a b",
            {"a": execution("pending", None), "b": execution()},
            "nothing led to task 'b', which has an outcome",
        ),
        (
            "a b",
            {"a": execution("exception"), "b": execution()},
            "nothing led to task 'b', which has an outcome",
        ),
        (
            "a b",
            {"a": execution(chosen=[]), "b": execution("pending", None)},
            "nothing led to task 'b', which was begun",
        ),
        (
            "a b",
            {"a": execution(chosen=["b", "c"])},
            "its routing does not fit the template: ['c'] not among the successors of 'a': b",
        ),
        (
            "a b",
            {"a": execution(chosen=[5])},
            "its routing does not fit the template: expected a list of task ids, not [5]",
        ),
        ("a b", {"a": execution(outputs="x")}, "'a' ended with a str: nothing to pass on"),
        ("a b", {"a": execution(inputs=5)}, "'a' ended with a int: nothing to pass on"),
        (
            "a b",
            {"a": execution(outputs=Lost("<x>"))},
            "'a' ended with a Lost: nothing to pass on",
        ),
        (
            "a",
            {"a": execution("pending", None, inputs=Lost("<x>"))},
            "a.inputs was lost on its way through JSON",
        ),
        (
            "a b",
            {"a": execution(outputs={"x": [Lost("<x>")]})},
            "b.inputs.x[0] was lost on its way through JSON",
        ),
        (
            {"a": ["b", "c"], "b": ["d"], "c": ["d"]},
            {
                "a": execution(),
                "b": execution(end=2, outputs={"x": 1}),
                "c": execution(end=3, outputs={"x": (Lost("<x>"),)}),
                "d": execution("pending", None, inputs={"x": 1}),
            },
            "c.outputs.x[0] was lost on its way through JSON",
        ),
    ],
)
def test_a_report_that_cannot_be_honoured_is_refused(
    graph: Any, steps: dict[str, Any], reason: str
) -> None:
    """It contradicts the graph, or lacks data that would have to be passed on."""
    template = flow(graph)
    error = refusal(report_on(template, **steps), template)

    assert (error.uid, error.reason) == ("run", reason)


@given(
    st.sampled_from(
        [
            "id exec tasks",
            "exec.id exec.start exec.end exec.state exec.elapsed",
            "tasks.0 tasks.1 tasks.0.id tasks.1.id tasks.0.exec tasks.1.exec",
            "tasks.0.exec.start tasks.0.exec.end tasks.0.exec.state tasks.0.exec.inputs",
            "tasks.0.exec.outputs tasks.0.exec.chosen tasks.0.exec.error tasks.1.exec.error",
        ]
    ).flatmap(lambda paths: st.sampled_from(paths.split())),
    json_values,
)
def test_reading_a_report_raises_nothing_else(path: str, value: Any) -> None:
    """Whatever stands in a place of it: a run to go on with, or a `RescueError`."""
    template = flow("a b", timeout=10)
    report = report_on(
        template, a=execution(chosen=["b"], error=None), b=execution("pending", None)
    )
    place: Any = report
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys:
        place = place[key]
    place[last] = value
    before = json.dumps(report, default=str)
    with suppress(RescueError):
        restored(template, report)
    assert json.dumps(report, default=str) == before


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
