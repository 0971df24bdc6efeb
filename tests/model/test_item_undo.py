"""The ids of what undoes the items of a mapped task, and their templates."""

from __future__ import annotations

from typing import Any

import pytest

import tukio
from tukio._model.closing import Closing
from tukio._model.item_undo import item_in, undone_item
from tukio._model.shape import shape_of
from tukio._model.validation import find_all_faults

HUGE = "9" * 5000


async def work(event: tukio.Event) -> None:
    """Do nothing."""


def document(*others: str, last: tuple[str, ...] = (), undo: Any = "work") -> dict[str, Any]:
    """Return a template of a mapped task, of others by their ids, and of some that come last."""
    each = {"id": "each", "name": "work", "map": {"over": "$.list"}, "compensate": undo}
    tasks = [each, *({"id": uid, "name": "work"} for uid in others)]
    template = tukio.WorkflowTemplate.from_dict(
        {
            "id": "t",
            "tasks": tasks,
            "graph": {"each": [*others]},
            "finally": [{"id": uid, "name": "work"} for uid in last] or None,
        }
    )
    return template.as_dict()


def faults_of(template: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where the faults of a template are, and what they are."""
    found = find_all_faults(template, {"work": (None, work)}, ())
    return [(fault.path, fault.problem) for fault in found]


@pytest.mark.parametrize(
    ("others", "last", "path", "problem"),
    [
        (
            ["each[3].compensate"],
            [],
            "tasks[1].id",
            "'each[3].compensate' is the id of what undoes an item of 'each'",
        ),
        (
            [],
            ["a", "each[0].compensate"],
            "finally[1].id",
            "'each[0].compensate' is the id of what undoes an item of 'each'",
        ),
        ([], ["each[7]"], "finally[0].id", "'each[7]' is the id of an item of 'each'"),
    ],
)
def test_ids_that_are_those_of_items_are_faults(
    others: list[str], last: list[str], path: str, problem: str
) -> None:
    """Before anything is run."""
    assert faults_of(document(*others, last=tuple(last))) == [(path, problem)]


def test_other_ids_are_none() -> None:
    """Those of no item, and those of what is not undone."""
    others = ("each[03].compensate", "each[x].compensate", "a[3].compensate", "each[3]compensate")
    assert faults_of(document(*others, last=("each[-1]", f"each[{HUGE}].compensate"))) == []
    assert faults_of(document("each[3].compensate", undo=None)) == []


def test_the_item_that_an_id_is_of() -> None:
    """The longest number there may be is that of no item; Python would refuse to read it."""
    assert item_in("each[3]") == ("each", 3)
    assert item_in("a[1][2]") == ("a[1]", 2)
    assert undone_item("each[3].compensate") == ("each", 3)
    for uid in ("each", "each.compensate", "each[3]", f"each[{HUGE}].compensate", ""):
        assert undone_item(uid) is None
    for uid in ("", "]", "[", "each[]", "each[3].compensate", f"each[{HUGE}]"):
        assert item_in(uid) is None


def test_what_a_run_may_close_with() -> None:
    """The items of its maps, and no map as a whole."""
    template = document("pay", last=("sweep",))
    template["tasks"][1]["compensate"] = "work"
    words = shape_of(tukio.WorkflowTemplate.from_dict(template)).closing
    assert words is not None
    known = ("pay.compensate", "sweep", "each[3].compensate")
    assert all(map(words.know, known))
    assert not any(map(words.know, ("each.compensate", "pay[3].compensate", "each[3]", "pay")))
    make = words.undo[0].item
    assert make is not None
    one: Any = make(3)
    assert (one.uid, one.name, one.index) == ("each[3].compensate", "work", 3)
    assert str(one) == "<TaskTemplate name=work, uid=each[3].compensate>"
    assert one.as_dict() | {"id": "each.compensate"} == words.undo[0].task.as_dict()


class Counted:
    """A step that counts how often any is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return self is other

    def __hash__(self) -> int:
        return id(self)


def test_another_attempt_takes_its_place_without_a_search() -> None:
    """There may be thousands; those that were over before a rescue stand among them."""
    closing, size = Closing(), 1000
    closing.steps = [Counted() for _ in range(size)]
    closing.due.extend(step for number, step in enumerate(closing.steps) if number % 3)
    while closing.due:
        step = closing.due.popleft()
        place = closing.steps.index(step)
        Counted.compared = 0
        new = Counted()
        closing.replace(step, new)
        assert Counted.compared == 0
        assert closing.steps[place] is new
