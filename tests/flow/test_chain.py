"""Chains are values: what `>>` means, and what is no chain."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tukio.flow import Chain, flow, named

if TYPE_CHECKING:
    import tukio

A, B, C, D, E = (named(name) for name in "abcde")


def graph(*chains: Chain[Any, Any]) -> dict[str, list[str]]:
    """Return the graph that chains make up; those without successors are left out."""
    found = flow("x", *chains).as_dict()["graph"]
    return {uid: downs for uid, downs in found.items() if downs}


SAID: dict[str, dict[str, list[str]]] = {
    "A": {},
    "A >> B >> C": {"a": ["b"], "b": ["c"]},
    "A >> (B >> C)": {"a": ["b"], "b": ["c"]},
    "A >> (B, C) >> D": {"a": ["b", "c"], "b": ["d"], "c": ["d"]},
    "A >> [C, B] >> D": {"a": ["c", "b"], "c": ["d"], "b": ["d"]},
    "A >> ((B, C) >> D)": {"a": ["b", "c"], "b": ["d"], "c": ["d"]},
    "A >> ([C, B] >> D)": {"a": ["c", "b"], "c": ["d"], "b": ["d"]},
    "A >> (B, C) >> (D, E)": {"a": ["b", "c"], "b": ["d", "e"], "c": ["d", "e"]},
    "A >> (B >> C, D) >> E": {"a": ["b", "d"], "b": ["c"], "c": ["e"], "d": ["e"]},
    "A >> B >> D, A >> C >> D": {"a": ["b", "c"], "b": ["d"], "c": ["d"]},
    "A >> B >> C, A >> C": {"a": ["b", "c"], "b": ["c"]},
    "A >> B, A >> B": {"a": ["b"]},
    "A >> (B, B)": {"a": ["b"]},
    "(A, A) >> B, A": {"a": ["b"]},
}


@pytest.mark.parametrize("said", SAID)
def test_what_leads_to_what(said: str) -> None:
    """Each task that the left side ends with, to each that the right side begins with."""
    chains = eval(f"[{said}]")  # noqa: S307 - so that the test is named as what it says
    assert graph(*chains) == SAID[said]
    # The order of a task's successors is that in which they are said.
    assert [*graph(*chains).items()] == [*SAID[said].items()]


def test_a_chain_may_be_a_part_of_several_others() -> None:
    """It is not changed by any of them."""
    middle = B >> C
    assert graph(A >> middle) == {"a": ["b"], "b": ["c"]}
    assert graph(A >> middle >> D) == {"a": ["b"], "b": ["c"], "c": ["d"]}
    assert graph(middle) == {"b": ["c"]}


def test_a_chain_does_not_change() -> None:
    """Nothing of it can be set or deleted."""
    with pytest.raises(AttributeError, match="a chain does not change: 'heads'"):
        A.heads = ()
    with pytest.raises(AttributeError, match="a chain does not change"):
        del A.heads


def test_a_chain_is_its_own_copy() -> None:
    """And cannot be pickled: a flow can."""
    assert copy.copy(A) is copy.deepcopy(A) is A
    with pytest.raises(TypeError, match="a chain cannot be pickled - make a flow of it"):
        pickle.dumps(A >> B)


def lines_for(tasks: int) -> int:
    """Return how many lines are executed to make a flow of so many tasks."""
    chain: Chain[Any, Any] = named("0")
    for number in range(1, tasks):
        chain = chain >> named(str(number))
    count = 0

    def trace(frame: object, event: str, arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        flow("x", chain)
    finally:
        sys.settrace(before)
    return count


def test_the_cost_of_a_task_does_not_grow_with_all_others() -> None:
    """Twice as many take twice as long."""
    assert lines_for(800) < 2.2 * lines_for(400)


def test_a_chain_that_is_used_twice_each_time_costs_no_more() -> None:
    """Two to the power of sixty ways through it are walked in a moment."""
    chain: Chain[Any, Any] = A
    for number in range(60):
        left, right, end = (named(f"{side}{number}") for side in "lre")
        chain = (chain >> (left, right)) >> end
        assert len(chain.tails) == 1
    assert len([*chain.walk()]) == 1 + 3 * 60 + 4 * 60
    twice = A >> B
    for _ in range(60):
        twice = A >> (twice, twice)
    assert len([*twice.walk()]) < 300


def test_a_long_chain_is_no_recursion() -> None:
    """As long as a program makes it."""
    chain: Chain[Any, Any] = named("0")
    for number in range(1, 5_000):
        chain = chain >> named(str(number))
    assert len([*chain.walk()]) == 5_000 + 4_999
    assert repr(chain).startswith("<Chain of '0', '1', '2'")
    assert len(repr(chain)) < 300


async def work(event: tukio.Event) -> None:
    """Be a function that nobody has decorated."""


REFUSED: dict[str, str] = {
    "A >> 'b'": r"expected a task, not 'b' - write named('b')",
    "A >> work": "test_chain.work - decorate it with @task",
    "work >> A": "test_chain.work - decorate it with @task",
    "A >> (B, work)": "test_chain.work - decorate it with @task",
    "A >> 3": "expected a task, not 3 - only tasks can follow each other",
    "None >> A": "expected a task, not None",
    "A >> ()": "an empty list of tasks leads nowhere - leave it out",
    "A >> [B, [C, D]]": "a list of tasks cannot have another one in it",
    "flow('x')": "a flow has at least one task - write flow('id', first >> second)",
    "flow('x', work)": "expected a chain of tasks, not",
    "flow('x', (A, B))": "expected a chain of tasks, not",
    "flow('', A)": "the id of a flow is a text that is not empty",
    "named(3)": "a task by the name of 3 needs an id - named(..., id='...')",
    "named('a', timout=3)": "named() got an unknown key 'timout' - did you mean 'timeout'?",
    "named('a', extra={'timeout': 3})": "named() got 'timeout' in 'extra' - give it as a key",
    "named('a', extra=3)": "named() got 3 as 'extra' - give a dict of keys of your own",
    "named('')": "a task by the name of '' needs an id",
    "named('a', id='')": "the id of a task is a text that is not empty, not ''",
    "named('a', id=[])": "the id of a task is a text that is not empty, not []",
    "flow('x', A, polcy='skip')": "flow() got an unknown key 'polcy' - did you mean 'policy'?",
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_refused(said: str) -> None:
    """With what was given, and with a way out."""
    with pytest.raises(TypeError) as caught:
        eval(said)  # noqa: S307 - so that the test is named as what it says
    assert REFUSED[said] in str(caught.value)


def test_a_name_need_not_be_a_text() -> None:
    """As in a template; then the task needs an id."""
    key = ("pages", 2)
    [task] = flow("x", named(key, id="a")).tasks
    assert (task.name, task.uid) == (key, "a")


def test_all_keys_of_a_task_can_be_said() -> None:
    """The words are those of templates; own keys go into `extra`."""
    chain = named(
        "a",
        id="b",
        config={"n": [1]},
        timeout=3,
        on_timeout="continue",
        topics=("red", "blue"),
        extra={"colour": "red"},
    )
    [task] = flow("x", chain).as_dict()["tasks"]
    assert task == {
        "id": "b",
        "name": "a",
        "config": {"n": [1]},
        "timeout": 3,
        "on_timeout": "continue",
        "topics": ["red", "blue"],
        "colour": "red",
    }


def test_data_is_copied_when_it_is_said() -> None:
    """What becomes of it later changes no chain."""
    config = {"n": [1]}
    chain = named("a", config=config)
    config["n"].append(2)
    assert flow("x", chain).as_dict()["tasks"][0]["config"] == {"n": [1]}
