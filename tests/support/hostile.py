"""Data that means harm: sound documents with parts of them changed, removed, doubled and buried.

Owns:   the deeds, and what is put in; a property says what must hold whatever was done.

A deed is described by few numbers and words, so that an example that fails can be read.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from tukio._model.report_json import Lost

from . import profiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import SearchStrategy


def examples(usual: int) -> int:
    """Return how many examples a property of hostile input tries, by the profile."""
    return max(1, int(usual * profiles.FACTOR))


PAGE = 40_000
"""How many characters a refusal has at most: a hundred faults, each of a few lines."""


@contextmanager
def refusals(kind: type[Exception], most: int = PAGE) -> Iterator[list[Exception]]:
    """Let a block be left by one kind of error, and by no other.

    Args:
        kind: Which.
        most: How many characters it may have.

    Yields:
        A list that gets the error, if there is one.
    """
    found: list[Exception] = []
    try:
        yield found
    except kind as error:
        found.append(error)
    assert all(0 < len(str(refusal)) <= most for refusal in found)


def nested(depth: int, wrap: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    """Return something in a list in a list, and so on."""
    value: Any = 0
    for _ in range(depth):
        value = wrap(value)
    return value


def _itself() -> dict[str, Any]:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    return endless


def laughter() -> list[Any]:
    """Return a list that is small, and has a million million values."""
    value: list[Any] = ["ha"] * 10
    for _ in range(11):
        value = [value] * 10
    return value


NASTY: dict[str, Callable[[], Any]] = {
    "10**5000": lambda: 10**5000,
    "-10**5000": lambda: -(10**5000),
    "inf": lambda: float("inf"),
    "nan": lambda: float("nan"),
    "deep": lambda: nested(90),
    "deeper": lambda: nested(600, lambda inner: {"a": inner}),
    "deepest": lambda: nested(20_000),
    "deepest tuple": lambda: nested(100_000, lambda inner: (inner,)),
    "itself": _itself,
    "long text": lambda: "ab" * 100_000,
    "surrogate": lambda: "\ud800",
    "line": lambda: "a\nb\0",
    "many": lambda: list(range(1000)),
    "range": lambda: range(10**12),
    "bytes": lambda: b"ab",
    "tuple": lambda: ("a", "b"),
    "set": lambda: {1},
    "proxy": lambda: MappingProxyType({"a": []}),
    "lock": threading.Lock,
    "object": object,
    "lost": lambda: Lost("x"),
    "first day": lambda: datetime.min.replace(tzinfo=UTC),
    "last day": lambda: "9999-12-31T23:59:59.999999-23:59",
    "another day": lambda: "2001-01-01T00:00:00",
}
"""What no sound document has in it, by name."""

TEXTS = {
    name: make
    for name, make in NASTY.items()
    if name in {"inf", "nan", "deep", "long text", "surrogate", "line", "last day", "another day"}
}
"""Those of them that JSON can carry."""


ORDINARY: SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats()
    | st.sampled_from(["", "a", "b", "j", "x", "join", "finished", "pending", "run", [], {}])
    | st.lists(st.sampled_from("abcdj"), max_size=3)
    | st.dictionaries(st.sampled_from(["a", "name", "id", "value", "$tukio"]), st.text(max_size=2))
)
"""What may well be in one, elsewhere."""


class Deed(NamedTuple):
    """Something that is done to a document.

    Attributes:
        way: Which of its children to go to, from the top; as far as there are any.
        what: `delete`, `double`, `move` (a copy of another part of the document), `put` (a value)
            or the name of something nasty.
        other: The way to the part that is moved.
        value: The value that is put.
    """

    way: list[int]
    what: str
    other: list[int]
    value: Any


def deeds(nasty: dict[str, Callable[[], Any]]) -> SearchStrategy[list[Deed]]:
    """Draw some deeds, one at least."""
    ways = st.lists(st.integers(0, 40), min_size=1, max_size=6)
    what = st.sampled_from(["delete", "double", "move", "put", *nasty])
    return st.lists(st.builds(Deed, ways, what, ways, ORDINARY), min_size=1, max_size=4)


def spoilt(document: Any, done: list[Deed]) -> Any:
    """Return a document after some deeds; the document itself stays as it is.

    What is nasty is put in last: not everything nasty can be copied.
    """
    document = deepcopy(document)
    for deed in sorted(done, key=lambda deed: deed.what in NASTY):
        container, key = _place(document, deed.way)
        if container is not None:
            _do(deed, document, container, key)
    return document


def _do(deed: Deed, document: Any, container: Any, key: Any) -> None:
    match deed.what:
        case "delete":
            del container[key]
        case "double" if isinstance(container, list):
            container.insert(key, deepcopy(container[key]))
        case "double":
            container[f"{key}2"] = deepcopy(container[key])
        case "move":
            other, place = _place(document, deed.other)
            container[key] = None if other is None else deepcopy(other[place])
        case "put":
            container[key] = deed.value
        case name:
            container[key] = NASTY[name]()


def _place(document: Any, way: list[int]) -> tuple[Any, Any]:
    """Return a container and one of its keys; twice None if there is nothing in the document."""
    found: tuple[Any, Any] = None, None
    for number in way:
        if not isinstance(document, dict | list) or not document:
            break
        keys = list(document) if isinstance(document, dict) else range(len(document))
        key = keys[number % len(keys)]
        found, document = (document, key), document[key]
    return found
