"""Where a value is in nested data."""

from __future__ import annotations

from typing import Any

from tukio._model.location import CONTAINERS, Location


def test_containers_are_found_among_the_values_and_the_keys() -> None:
    """Only those: a key that is a number or a text, or the index of a list, holds nothing."""
    data: dict[Any, Any] = {5: [1], "a": 2, (1, 2): {}, "b": frozenset(), 1.5: "text"}
    found = [(part.value, part.key, part.depth) for part in Location(data).inner(CONTAINERS)]
    assert found == [([1], 5, 1), ({}, (1, 2), 1), ((1, 2), (1, 2), 1), (frozenset(), "b", 1)]
    assert [part.path() for part in Location([[], 5, ()]).inner(CONTAINERS)] == ["[0]", "[2]"]


def test_values_of_a_kind_are_found_in_each_place() -> None:
    """With the path that leads to them."""
    outer = next(Location({"a": [0, {"b": 1}]}).inner((list,)))
    [inner] = outer.inner((dict,))
    assert inner.path() == "a[1]"
    assert inner.path("tasks[3].config") == "tasks[3].config.a[1]"
    assert [part.path() for part in inner.inner((int,))] == ["a[1].b"]
    assert [part.value for part in Location([7, "x"]).inner((int,))] == [7]
