"""Done callbacks: in order, each as often as it was added, removed from wherever they are."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from tukio._step.callbacks import Callbacks


class Odd:
    """A function without a hash, equal to others with its number."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.number == self.number

    def __call__(self, step: Any) -> None:
        """Do nothing."""


FUNCTIONS: list[Any] = [print, repr, str.upper, [].append, Odd(1), Odd(1), Odd(2)]

actions = st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.sampled_from(range(7))))


@given(actions)
def test_they_are_a_list_of_which_all_equal_ones_are_removed(story: list[tuple[str, int]]) -> None:
    """As those of asyncio are."""
    callbacks, model = Callbacks(), list[Any]()
    for deed, number in story:
        function = FUNCTIONS[number]
        if deed == "add":
            callbacks.add(function)
            model.append(function)
        else:
            rest = [other for other in model if other != function]
            assert callbacks.remove(function) == len(model) - len(rest)
            model = rest
        assert bool(callbacks) is bool(model)
    assert callbacks.take() == model
    assert callbacks.take() == []
