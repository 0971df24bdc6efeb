"""What a report is read as, and each reason for which it is refused."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.flow import flow
from support.reports import at, execution, ready, report_on, restored
from support.strategies import json_values
from tukio._model.record import read
from tukio._model.report_json import Lost
from tukio.errors import RescueError

if TYPE_CHECKING:
    from tukio._model.template import WorkflowTemplate


def refusal(report: Any, template: WorkflowTemplate) -> RescueError:
    """Return why a report is refused."""
    with pytest.raises(RescueError) as caught:
        restored(template, report)
    return caught.value


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


def test_what_a_later_release_adds_to_a_report_is_ignored() -> None:
    """At each place where there are keys; what is known is read as ever."""
    report = report_on(flow("a b"), a=execution())
    known = read(report, flow("a b"))
    for place in (report, report["exec"], report["tasks"][0], report["tasks"][0]["exec"]):
        place["added later"] = {"by": "3.0"}
    assert read(report, flow("a b")) == known


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
