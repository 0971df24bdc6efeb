"""Locations in nested data: values together with the path that leads to them.

Locations are found by iteration, not recursion, so data of any depth can be searched. A path is
formatted only when it is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .display import MOST_CHARACTERS, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINERS: tuple[type, ...] = (Mapping, list, tuple, set, frozenset)

SCALARS = frozenset({str, int, float, bool, type(None)})
"""The most frequent types of values that are no containers; testing for these first is faster."""


class Location(NamedTuple):
    """A value within some data, and where it is.

    Attributes:
        value: The value.
        depth: How many containers the value is in.
        key: The key or the index of the value in its innermost container. For a key of a dict that
            is itself looked at: the key.
        outer: The location of that container; None for the data as a whole.
    """

    value: Any
    depth: int = 0
    key: object = None
    outer: Location | None = None

    def inner(self, kinds: tuple[type, ...]) -> Iterator[Location]:
        """Yield the locations directly within this container, those of the keys of a dict included.

        Args:
            kinds: Only values of these types are yielded.
        """
        is_mapping = isinstance(self.value, Mapping)
        pairs = self.value.items() if is_mapping else enumerate(self.value)
        for key, part in pairs:
            if isinstance(part, kinds):
                yield Location(part, self.depth + 1, key, self)
            if is_mapping and type(key) is not str and isinstance(key, kinds):
                yield Location(key, self.depth + 1, key, self)

    def path(self, start: str = "") -> str:
        """Return the path to this location, shortened if it is long: `tasks[3].config.urls`.

        Args:
            start: The path of the data as a whole.
        """
        words: list[str] = []
        location = self
        while location.outer is not None:
            is_field = isinstance(location.outer.value, Mapping)
            words.append(f".{plain(location.key)}" if is_field else f"[{location.key}]")
            location = location.outer
        path = start + "".join(reversed(words))
        path = path if start else path.removeprefix(".")
        return path if len(path) <= MOST_CHARACTERS else f"{path[:MOST_CHARACTERS]}..."
