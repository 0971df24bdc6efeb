"""Mapped tasks: what the model tells of simple ones, by hand, and tight cases on the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_engine_is_model import check
from .test_model import play, told

if TYPE_CHECKING:
    from tukio.testing import Action

    from .parts import Data

RETRY = {"attempts": 2, "initial": 3, "jitter": "none"}
GOES_ON = {"attempts": None, "within": 20, "initial": 3, "jitter": "none"}


def mapped(config: Data, words: Data, *, limit: float | None = None, **keys: Any) -> Data:
    """Return a template of a mapped task with a behaviour, and one that gets what it passes on.

    Args:
        config: The behaviour.
        words: What the `map` says, beside where its list is.
        limit: The limit of the whole run.
        keys: What else the task says.
    """
    each = {"id": "each", "name": "actor", "config": config, "map": {"over": "$.items", **words}}
    tasks = [each | keys, {"id": "end", "name": "actor"}]
    graph = {"each": ["end"], "end": []}
    return {
        "id": "mapped",
        "policy": "start-new",
        "tasks": tasks,
        "graph": graph,
        "timeout": limit,
    }


def played(template: Data, *orders: Any) -> list[str]:
    """Return what the model tells of items, with the instants."""
    outcome = play(template, *orders, data={"items": [{"n": 0}, 1]})
    return [line.replace("task-", "") for line in told(outcome) if "each" in line]


def test_items_are_run_in_their_order_as_many_at_once_as_may_be() -> None:
    """The next one begins at the instant at which one is over."""
    assert played(mapped({"seconds": 2}, {"limit": 1})) == [
        *("0 begin each", "0 begin each[0]", "2 end each[0]"),
        *("2 begin each[1]", "4 end each[1]", "4 end each"),
    ]


def test_a_task_passes_on_what_its_items_come_to() -> None:
    """With what it was given."""
    items = [{"n": 0}, 1]
    outcome = play(mapped({"ends": "none"}, {"into": "found"}), data={"items": items})

    assert outcome.outputs["each"] == {"items": items, "found": [{"n": 0}, {"item": 1}]}
    assert outcome.tasks["end"]["inputs"] == outcome.outputs["each"]


@pytest.mark.parametrize(("tolerate", "begun"), [(0, 1), ("50%", 2), (1, 2)])
def test_after_one_failure_too_many_no_item_begins(tolerate: int | str, begun: int) -> None:
    """The task has failed then."""
    lines = played(mapped({"seconds": 2, "ends": "error"}, {"limit": 1, "tolerate": tolerate}))
    assert len([line for line in lines if "begin each[" in line]) == begun
    assert "error each" in lines[-1]


def test_a_task_that_is_cut_is_over_when_its_items_have_unwound() -> None:
    """Those that have not begun never do."""
    template = mapped({"seconds": 9, "shields": 3}, {"limit": 1}, timeout=2)
    assert played(template)[1:] == ["0 begin each[0]", "5 cancel each[0]", "5 timeout each"]


def test_an_item_keeps_its_place_while_it_waits_for_its_next_attempt() -> None:
    """So the next one does not begin."""
    template = mapped({"ends": "error"}, {"limit": 1, "tolerate": "all"}, retry=RETRY)
    assert played(template)[1:] == [
        *("0 begin each[0]", "0 retry each[0]", "3 begin each[0]", "3 error each[0]"),
        *("3 begin each[1]", "3 retry each[1]", "6 begin each[1]", "6 error each[1]", "6 end each"),
    ]


def test_what_is_over_is_not_run_again_after_a_suspension() -> None:
    """What was at work is."""
    orders = [(3.5, "suspend", None), (7.5, "resume", None)]
    assert played(mapped({"seconds": 2}, {"limit": 1}), *orders)[4:] == [
        *("7.5 begin each", "7.5 begin each[1]", "9.5 end each[1]", "9.5 end each"),
    ]


def test_an_interrupted_item_that_is_never_resumed_is_over_before_its_task() -> None:
    """Its begin was told, so its end is."""
    orders = [(1.5, "suspend", None), (4.5, "cancel", None)]
    assert played(mapped({"seconds": 2}, {"limit": 1}), *orders)[2:] == [
        *("4.5 cancel each[0]", "4.5 cancel each"),
    ]


@pytest.mark.parametrize("data", [{}, {"items": "ab"}, {"items": {"a": 1}}], ids=str)
def test_what_is_no_list_fails_the_task(data: Data) -> None:
    """No item begins."""
    outcome = play(mapped({}, {"tolerate": "all"}), data=data)
    assert outcome.errors == {"each": ["NoItems"]}
    assert outcome.tasks["end"] is None


ALL: Data = {"over": "$.items"}
SLOW: Data = {"seconds": 9, "shields": 2}

TIGHT: dict[str, tuple[Data, list[Action]]] = {
    "too many fail as the task reaches its limit": (
        mapped({"seconds": 2, "ends": "error", "teardown": "error"}, {}, timeout=2),
        [],
    ),
    "too many have failed, and the others unwind past the limit of the task": (
        mapped({"seconds": 1, "ends": "error", "shields": 4}, {}, timeout=3),
        [],
    ),
    "the run is suspended while items wait for their next attempts": (
        mapped({"ends": "error"}, {"limit": 2, "tolerate": 1}, retry=GOES_ON),
        [(1.5, "suspend", None), (7.5, "resume", None)],
    ),
    "and is resumed before these are due": (
        mapped({"ends": "error"}, {"limit": 2, "tolerate": 1}, retry=GOES_ON),
        [(0.5, "suspend", None), (1.5, "resume", None)],
    ),
    "an item fails while it unwinds from a suspension, and is tried again": (
        mapped(SLOW | {"when_cut": "error"}, {"limit": 2}, retry=GOES_ON),
        [(0.5, "suspend", None), (3.5, "resume", None)],
    ),
    "so many do that no other one begins": (
        mapped(SLOW | {"when_cut": "error"}, {"limit": 2}),
        [(0.5, "suspend", None), (3.5, "resume", None)],
    ),
    "the task is cancelled while its items unwind from a suspension": (
        mapped(SLOW, {"limit": 2}),
        [(0.5, "suspend", None), (1.5, "cancel task", 0), (5.5, "resume", None)],
    ),
    "a task aborts the run, and a join waits for one of whose items none has begun": (
        {
            "id": "aborted",
            "policy": "start-new",
            "on_error": "abort",
            "tasks": [
                {"id": "a", "name": "actor"},
                {"id": "b", "name": "actor", "map": ALL},
                {"id": "c", "name": "actor", "config": {"ends": "task error"}, "map": ALL},
                {"id": "d", "name": "join", "config": {"wait_for": 2}},
            ],
            "graph": {"a": ["d", "c", "b"], "b": ["d"], "c": [], "d": []},
        },
        [],
    ),
    "a run is suspended as one join leads to another, neither of which knows of that": (
        {
            "id": "joins",
            "policy": "start-new",
            "tasks": [
                {"id": "a", "name": "actor", "config": {"seconds": 2}},
                {
                    "id": "b",
                    "name": "actor",
                    "map": {**ALL, "limit": 2},
                    "config": {"seconds": 9, "when_cut": "dict"},
                    "retry": {"attempts": None, "jitter": "none", "within": 1.25},
                },
                {"id": "c", "name": "actor"},
                {"id": "d", "name": "actor"},
                {"id": "e", "name": "join", "config": {"wait_for": 2}},
                {"id": "f", "name": "join", "config": {"wait_for": 3}},
            ],
            "graph": {"a": ["b", "e", "f"], "b": ["c", "f"], "c": ["d", "e"], "e": ["f"]},
        },
        [(3.5, "resume", None), (4.5, "suspend", None)],
    ),
    "an item has cancelled itself just before the run is suspended": (
        mapped({"seconds": 1, "cancels": True}, {"limit": 1}),
        [(1, "suspend", None), (1, "resume", None)],
    ),
    "the task is cancelled while its items wait, and the run is suspended then": (
        mapped({"ends": "error"}, {}, retry=GOES_ON),
        [(0.5, "cancel task", 0), (0.5, "suspend", None), (1.5, "resume", None)],
    ),
    "an item returns, though the limit of the run has cut it": (
        mapped({"seconds": 3, "when_cut": "none"}, {"limit": 2}) | {"timeout": 6},
        [],
    ),
    "the run is suspended while items unwind from their limit": (
        mapped(SLOW, {"limit": 2, "timeout": 1}),
        [(1.5, "suspend", None), (5.5, "resume", None)],
    ),
    "the task is cut while an item is cleaned up after that would be tried again": (
        mapped(
            {"seconds": 9, "cleans": 3},
            {"timeout": 1},
            timeout=2,
            on_timeout="retry",
            retry=RETRY,
        ),
        [],
    ),
    "the run is cut while an item is cleaned up after that would be tried again": (
        mapped(
            {"seconds": 9, "cleans": 3}, {"timeout": 1}, limit=2, on_timeout="retry", retry=RETRY
        ),
        [],
    ),
    "the run is suspended and resumed at once": (
        mapped({"seconds": 2}, {"limit": 1}),
        [(1.5, "suspend", None), (1.5, "resume", None)],
    ),
    "the run is cancelled after it was resumed, before the task begins again": (
        mapped({"seconds": 2}, {"limit": 1}),
        [(0.5, "suspend", None), (1.5, "resume", None), (1.5, "cancel", None)],
    ),
    "items cancel themselves": (
        mapped({"seconds": 1, "cancels": True, "shields": 1}, {"limit": 1, "tolerate": 1}),
        [],
    ),
    "a failure of the task leads to a handler": (
        mapped({"ends": "error"}, {"tolerate": 1}, retry=RETRY, on_error={"to": ["end"]}),
        [],
    ),
}


@pytest.mark.parametrize(("template", "history"), TIGHT.values(), ids=TIGHT)
def test_a_tight_case_is_what_the_model_says(
    backend: str, template: Data, history: list[Action]
) -> None:
    """Two things meet that are seldom drawn together."""
    check(backend, template, history)
