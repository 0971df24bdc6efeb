"""Facts: their form as data, and the plan that they lead to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.flow import flow
from support.strategies import json_values
from tukio._model.attempts import Attempt
from tukio._model.facts import (
    KINDS,
    Fact,
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
from tukio._model.plan import Plan
from tukio._model.replay import Contradiction, replay
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio._model.step import Step

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FINISHED, FAILED, CANCELLED = FutureState.finished, FutureState.exception, FutureState.cancelled
SKIPPED, TIMED_OUT = FutureState.skipped, FutureState.timeout

DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}

states = st.sampled_from(FutureState)
texts = st.text(max_size=5)
times = st.datetimes(timezones=st.just(UTC))
# What a task returned may look like a part of the facts themselves.
values: SearchStrategy[Any] = json_values | states | st.tuples(json_values) | times
some = st.just(()) | st.tuples(values)

facts: SearchStrategy[Fact] = st.one_of(
    st.builds(RunStarted, texts, times, values),
    st.builds(
        StepEnded,
        task=texts,
        state=states,
        output=values,
        chosen=st.none() | st.lists(texts, max_size=3).map(tuple),
        error=st.none() | st.tuples(texts, texts),
        start=st.none() | times,
        end=st.none() | times,
        uid=st.none() | texts,
        inputs=some,
        reporting=some,
        overran=st.floats(0, 1e9),
    ),
    st.builds(
        StepDue,
        texts,
        values,
        st.booleans(),
        child=st.none() | st.dictionaries(texts, values, max_size=2),
    ),
    st.just(RunSuspended()),
    st.just(RunResumed()),
    st.builds(RunStopped, states, st.booleans()),
    st.builds(RunEnded, states, times),
)


def over(task: str, state: FutureState = FINISHED, output: Any = None, **more: Any) -> StepEnded:
    """Return the fact that a task is over."""
    return StepEnded(task, state, output, **more)


def started(data: Any = None) -> RunStarted:
    """Return the fact that a run started."""
    return RunStarted("run", NOW, {"in": 0} if data is None else data)


def led(graph: Any, *told: Fact) -> Plan[Step]:
    """Return a new plan, led to where facts say."""
    template = flow(graph, tasks=[{"id": uid, "name": uid} for uid in graph])
    plan: Plan[Step] = Plan(shape_of(template), Step)
    replay(plan, [started(), *told])
    return plan


def step(plan: Plan[Step], uid: str) -> Step:
    """Return the step of a task that was reached."""
    (found,) = [step for step in plan.reached() if step.template.uid == uid]
    return found


def ready(plan: Plan[Step]) -> list[str]:
    """Return the ids of what is ready."""
    return [step.template.uid for step in plan.ready]


# As data ------------------------------------------------------------------------------------------


@given(facts)
def test_a_fact_goes_through_its_body_unchanged(fact: Fact) -> None:
    """Of every kind, and whatever a task returned: a state as its output is no state of it."""
    body = to_body(fact)
    again = from_body(body)
    assert type(again) is type(fact)
    # NaN is equal to itself only as the same object, which it is.
    assert list(again) == list(fact)
    assert from_body({**body}) == again


@given(facts)
def test_a_body_has_lists_for_tuples_as_json_does(fact: Fact) -> None:
    """The tuples of a fact come back; data of the user's is the affair of who stores it."""
    body = to_body(fact)
    if isinstance(fact, StepEnded):
        for name in ("chosen", "error", "inputs", "reporting"):
            body[name] = body[name] and list(body[name])
    assert from_body(body) == fact


def test_every_kind_of_fact_has_a_name_and_its_fields_in_its_body() -> None:
    """They are stored: neither may change without a word."""
    assert {name: kind.__name__ for name, kind in KINDS.items()} == {
        "run-started": "RunStarted",
        "step-ended": "StepEnded",
        "step-due": "StepDue",
        "item-ended": "ItemEnded",
        "item-due": "ItemDue",
        "run-suspended": "RunSuspended",
        "run-resumed": "RunResumed",
        "run-stopped": "RunStopped",
        "run-closing": "RunClosing",
        "run-ended": "RunEnded",
    }
    assert to_body(over("a", SKIPPED, chosen=("b",))) == {
        "kind": "step-ended",
        "task": "a",
        "state": "skipped",
        "output": None,
        "chosen": ("b",),
        "error": None,
        "start": None,
        "end": None,
        "uid": None,
        "inputs": (),
        "reporting": (),
        "overran": 0.0,
        "attempts": [],
        "handled": False,
        "child": None,
    }
    assert to_body(RunStopped(CANCELLED, final=False)) == {
        "kind": "run-stopped",
        "ending": "cancelled",
        "final": False,
    }
    json.dumps(to_body(StepDue("a", {"in": 0}, begun=True)))


def test_the_report_of_a_child_is_data_in_a_body() -> None:
    """And comes back; what is none is refused."""
    due = StepDue("a", {}, begun=True, child={"exec": {"id": "x"}})
    body = to_body(due)
    assert body["child"] == {"exec": {"id": "x"}}
    assert from_body(body) == due
    with pytest.raises(ValueError, match="has not the child of a step-due"):
        from_body({**body, "child": [1]})


def test_attempts_are_data_in_a_body() -> None:
    """And come back; what is none is refused."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = Attempt(now, now, {"type": "OSError", "message": "no"}, 1.0)
    due = StepDue("a", {"in": 0}, begun=True, attempts=(made,), due=now, tried=2.0)
    body = to_body(due)
    assert body["attempts"] == [
        {"start": now, "end": now, "error": {"type": "OSError", "message": "no"}, "delay": 1.0}
    ]
    assert from_body(body) == due
    spoilt: list[Any] = [[{}], "text", [{**body["attempts"][0], "start": None}]]
    for wrong in spoilt:
        with pytest.raises(ValueError, match="has not the attempts of a step-due"):
            from_body({**body, "attempts": wrong})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "None is no kind of fact - known: run-started, step-ended"),
        ({"kind": "run-paused"}, "'run-paused' is no kind of fact"),
        ({"kind": 5}, "5 is no kind of fact"),
        ({"kind": ["run-ended"]}, r"\['run-ended'\] is no kind of fact"),
        (
            {"kind": "run-stopped", "ending": "cancelled"},
            "has not the fields of a run-stopped.*final",
        ),
        ({"kind": "run-suspended", "why": 1}, "has not the fields of a run-suspended.*why"),
        ({"kind": "run-ended", "ending": "odd", "end": None}, "'odd' is not a valid FutureState"),
        ({"kind": "step-ended", "task": "a", "state": [], "output": 1}, r"\[\] is not a valid"),
        ({"kind": "run-suspended", 5: 6}, "has not the fields of a run-suspended"),
        (None, "None is not the body of a fact"),
        ("run-suspended", "'run-suspended' is not the body of a fact"),
        ([["kind", "run-suspended"]], "is not the body of a fact"),
    ],
)
def test_what_is_no_fact_is_refused_by_name(body: Any, words: str) -> None:
    """It comes from a file, and may be anything."""
    with pytest.raises(ValueError, match=words):
        from_body(body)


# What they lead to --------------------------------------------------------------------------------


def test_no_facts_lead_nowhere() -> None:
    """A run that has not started has nothing ready."""
    plan: Plan[Step] = Plan(shape_of(flow("a b")), Step)
    replay(plan, [])
    assert plan.reached() == []


@pytest.mark.parametrize("state", FutureState)
def test_an_end_leads_on_or_stops_the_branch(state: FutureState) -> None:
    """An error and a cancellation stop it; the step is over in any case, and never ready again."""
    plan = led({"a": ["b"], "b": []}, over("a", state, {"out": 1}))
    assert step(plan, "a").state is state
    assert step(plan, "a").ended_at is not None
    assert ready(plan) == ([] if state in {FAILED, CANCELLED} else ["b"])


@pytest.mark.parametrize(
    ("fact", "data"),
    [
        (over("a", FINISHED, {"out": 1}), {"out": 1}),
        (over("a", FINISHED, None), {"in": 0}),
        (over("a", SKIPPED, None), {"in": 0}),
        (over("a", SKIPPED, {"out": 1}), {"in": 0}),
        (over("a", TIMED_OUT, {"out": 1}), {"out": 1}),
        (over("a", TIMED_OUT, None), {"in": 0}),
        (over("a", TIMED_OUT, "text"), {"in": 0}),
        (over("a", FINISHED, None, inputs=({"told": 1},)), {"told": 1}),
    ],
    ids=str,
)
def test_an_end_passes_on_what_it_did_in_the_live_run(fact: StepEnded, data: Any) -> None:
    """A skip its inputs, a time limit what `teardown()` returned if that could be passed on."""
    plan = led({"a": ["b"], "b": []}, fact)
    assert step(plan, "b").input_data == data
    assert step(plan, "a").output_data == fact.output


def test_the_order_of_the_facts_decides_who_came_first() -> None:
    """Not what their clocks say, which may have been set back."""
    for first, second in ("bc", "cb"):
        late, early = NOW, NOW - timedelta(days=1)
        plan = led(
            DIAMOND,
            over("a"),
            over(first, output={"from": first}, start=late, end=late),
            over(second, output={"from": second}, start=early, end=early),
        )
        d = step(plan, "d")
        assert (d.parent, d.input_data) == (step(plan, first), {"from": first})
        assert d.late == [({"from": second}, step(plan, second))]
        assert ready(plan) == ["d"]


def test_a_parent_that_ended_after_its_successor_was_too_late() -> None:
    """As in the live run: it is nobody's."""
    plan = led(DIAMOND, over("a"), over("b"), over("d"), over("c", output={"from": "c"}))
    assert step(plan, "d").late == ()
    assert ready(plan) == []


def test_a_choice_leads_only_to_the_chosen() -> None:
    """An empty one to nobody."""
    assert ready(led(DIAMOND, over("a", chosen=("c",)))) == ["c"]
    assert ready(led(DIAMOND, over("a", chosen=()))) == []
    # A branch that stops needs no data to pass on.
    assert ready(led(DIAMOND, over("a", output="text", chosen=()))) == []


def test_what_was_reached_and_is_not_over_is_ready_with_what_it_was_given() -> None:
    """Whether or not it had begun; what a fact says of its inputs counts."""
    given = {"told": 1}
    plan = led(
        DIAMOND, over("a"), StepDue("c", given, begun=True), StepDue("b", given, begun=False)
    )
    assert ready(plan) == ["b", "c"]
    assert step(plan, "b").input_data == step(plan, "c").input_data == given


def test_of_parents_that_ended_at_once_a_due_step_keeps_the_right_one() -> None:
    """The order that a report gives by instants may be wrong; its inputs are not."""
    plan = led(
        DIAMOND,
        over("a"),
        over("b", output={"from": "b"}),
        over("c", output={"from": "c"}),
        StepDue("d", {"from": "c"}, begun=True),
    )
    d = step(plan, "d")
    assert (d.input_data, d.parent) == ({"from": "c"}, step(plan, "c"))
    assert d.late == [({"from": "b"}, step(plan, "b"))]


def test_a_step_that_was_due_and_ended_later_is_over() -> None:
    """A run that was rescued goes on, and the facts with it."""
    plan = led({"a": ["b"], "b": []}, StepDue("a", {"in": 0}, begun=True), over("a"))
    assert step(plan, "a").ended_at is not None
    assert ready(plan) == ["b"]


def test_what_is_told_of_the_run_changes_no_step() -> None:
    """Suspended, resumed, stopped: a rescue goes on with it."""
    told = RunSuspended(), RunResumed(), RunStopped(CANCELLED, final=True), RunEnded(FINISHED, NOW)
    plan = led({"a": ["b"], "b": []}, over("a"), *told)
    assert ready(plan) == ["b"]


# What cannot be -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([over("x")], "not in the template: x"),
        ([StepDue("x", {}, begun=True)], "not in the template: x"),
        ([over("b")], "nothing led to task 'b', which has an outcome"),
        ([StepDue("d", {}, begun=True)], "nothing led to task 'd', which was begun"),
        ([StepDue("d", {}, begun=False)], "nothing led to task 'd', which was due"),
        ([over("a", FAILED), over("b")], "nothing led to task 'b'"),
        ([over("a", CANCELLED), over("b")], "nothing led to task 'b'"),
        ([over("a", chosen=("b",)), over("c")], "nothing led to task 'c'"),
        ([over("a"), over("a")], "task 'a' has an outcome after it was over"),
        ([over("a"), StepDue("a", {}, begun=True)], "task 'a' was begun after it was over"),
        ([over("a", chosen=("d",))], r"its routing does not fit the template: .*'d'.* successors"),
        ([over("a", chosen="b")], "its routing does not fit the template: .*string"),
        ([over("a", chosen=(5,))], "its routing does not fit the template"),
        ([over("a", output="text")], "'a' ended with a str: nothing to pass on"),
        ([over("a", SKIPPED, inputs=(5,))], "'a' ended with a int: nothing to pass on"),
        ([over("a"), started()], "it started more than once"),
    ],
)
def test_facts_that_cannot_be_are_contradicted_by_name(told: Any, words: str) -> None:
    """The template was changed, or the facts are not those of this run, or not in order."""
    with pytest.raises(Contradiction, match=words):
        led(DIAMOND, *told)


def test_facts_without_a_start_are_contradicted() -> None:
    """Nothing led to the root."""
    plan: Plan[Step] = Plan(shape_of(flow("a b")), Step)
    with pytest.raises(Contradiction, match="nothing led to task 'a'"):
        replay(plan, [over("a")])
