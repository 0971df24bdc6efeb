"""Predicates: plain functions that answer by true or false, by the names that templates have.

Owns:   what can be a predicate, the reasons for which a function is refused, and how one is asked.
Knows:  nothing of what a predicate is asked about.

A template comes from outside, and has no code in it: it names a predicate that the program has
registered.
"""

from __future__ import annotations

import inspect
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple

from .candidate import place_of
from .changes import exact
from .display import nearest, shown
from .guard import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_ARGUMENTS = 2
"""The largest number of arguments that a predicate is given: an error, and a number of attempts."""


class Predicate(NamedTuple):
    """A function that was registered as a predicate.

    Attributes:
        function: The function.
        fewest: The number of arguments that it needs, 1 or 2.
        most: The number of arguments that it takes, 1 or 2.
    """

    function: Callable[..., Any]
    fewest: int
    most: int

    def ask(self, *about: Any) -> bool:
        """Return the answer to a question about some things, of which it is given what it takes.

        Raises:
            TypeError: It has answered with something that is to be awaited.
            BaseException: What the function raises; or the method of its answer that says whether
                that is true.
        """
        answer = self.function(*about[: self.most])
        if hasattr(type(answer), "__await__"):
            if type(answer) is CoroutineType:
                answer.close()
            advice = "a predicate is called between two steps, and awaits nothing"
            msg = f"{place_of(self.function)} has answered with what is to be awaited - {advice}"
            raise TypeError(msg)
        return bool(answer)


class Predicates:
    """The predicates of one registry, by name.

    Attributes:
        changes: The number of times that one was added or removed.
    """

    def __init__(self) -> None:
        self._known: dict[str, Predicate] = {}
        self.changes: int = 0

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Add a predicate.

        Raises:
            ValueError: The name is taken, or empty. Nothing was registered.
            TypeError: The name is no text; or this is no plain function that can be called with one
                argument, or with two. Nothing was registered.
        """
        predicate = _predicate_of(function)
        name = _name_from(name)
        if name in self._known:
            other, newcomer = place_of(self._known[name].function), place_of(function)
            advice = "give another name, or a registry of its own: registry=..."
            if other == newcomer:
                again = f"call remove({shown(name)}) of the predicates of the registry"
                advice = f"before its module is executed again, {again}"
            msg = f"predicate {shown(name)} is already registered: {other} - {advice}"
            raise ValueError(msg)
        self._known[name] = predicate
        self.changes += 1

    def get(self, name: str) -> Predicate:
        """Return a predicate.

        Raises:
            LookupError: No predicate has this name.
        """
        found = self._known.get(name)
        if found is None:
            msg = f"no predicate is called {shown(name)} - {nearest(name, self._known)}"
            raise LookupError(msg)
        return found

    def remove(self, name: str) -> None:
        """Remove a predicate; its name can be registered again.

        Raises:
            LookupError: No predicate has this name.
        """
        self.get(name)
        del self._known[name]
        self.changes += 1

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _name_from(name: Any) -> str:
    name = exact(name)
    if not isinstance(name, str):
        msg = f"the name of a predicate is a text, not {shown(name)}"
        raise TypeError(msg)
    if not name:
        msg = "the name of a predicate is not empty - write @tukio.predicate('is-transient')"
        raise ValueError(msg)
    return name


def _predicate_of(function: Any) -> Predicate:
    """Return a function as a predicate.

    Raises:
        TypeError: It can be none.
    """
    if inspect.isclass(function) or not callable(function):
        msg = f"expected a function, not {place_of(function)} - write @tukio.predicate above one"
        raise TypeError(msg)
    # An object may have its code in `__call__`.
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the method is looked at
    for code in (function, call):
        if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
            advice = "a predicate is called between two steps: define it with 'def'"
            msg = f"{place_of(function)} is async - {advice}"
            raise TypeError(msg)
        if inspect.isgeneratorfunction(code):
            msg = f"{place_of(function)} yields, which is always true - hand over by 'return'"
            raise TypeError(msg)
    # Not that of what it wraps: it is called as it is.
    signature, problem = attempt(_signature, function)
    if problem is not None:
        # Of some built-in functions nothing is known.
        return Predicate(function, 1, 1)
    return _fitting(function, signature)


def _signature(function: Any) -> inspect.Signature:
    return inspect.signature(function, follow_wrapped=False)


def _fitting(function: Any, signature: inspect.Signature) -> Predicate:
    """Return a function as a predicate, by the arguments that it takes.

    Raises:
        TypeError: It cannot be called with one argument, or with two.
    """
    fewest, most = 0, 0
    by_name: list[str] = []
    for one in signature.parameters.values():
        is_needed = one.default is one.empty
        if one.kind is one.VAR_POSITIONAL:
            most = MOST_ARGUMENTS
        elif one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}:
            fewest, most = fewest + is_needed, most + 1
        elif one.kind is one.KEYWORD_ONLY and is_needed:
            by_name.append(one.name)
    if by_name or most < 1 or fewest > MOST_ARGUMENTS:
        advice = "it takes what it is asked about, and for 'retry_if' also the number of attempts"
        msg = f"{place_of(function)} cannot be called with one argument, or with two - {advice}"
        raise TypeError(msg)
    return Predicate(function, max(fewest, 1), min(most, MOST_ARGUMENTS))
