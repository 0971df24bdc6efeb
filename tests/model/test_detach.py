"""Data made one's own, and errors as data: what a report shares with its run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from support.strategies import json_values
from tukio._model.detach import detached


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
    """Kinds of dict of the user's own, too, if they can be copied."""

    class Mine(dict[str, Any]):
        def copy(self) -> Mine:
            return Mine(self)

    thing = object()
    mine = Mine(a=[1], b=thing)
    data = {"z": (1, [2]), "a": frozenset({(3,)}), "mine": mine, "many": {4, 5}}

    assert repr(detached(data)) == repr(data)
    for own in (detached(data)["mine"], detached(mine)):
        assert type(own) is Mine
        assert own == mine
        assert own is not mine
        assert own["a"] is not mine["a"]
        assert own["b"] is thing


@pytest.mark.parametrize("returned", [None, 3, "itself", "an error"])
def test_a_kind_of_dict_that_cannot_be_copied_is_detached_as_a_plain_one(returned: object) -> None:
    """Looking never fails, and never hands out what it looks at."""

    class Odd(dict[str, Any]):
        def copy(self) -> Any:
            if returned == "an error":
                raise LookupError
            return self if returned == "itself" else returned

    odd = Odd(a=[1])
    own = detached({"odd": odd})["odd"]
    assert type(own) is dict
    assert own == odd
    assert own["a"] is not odd["a"]


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
