"""Places in nested data: each is found without recursion, and can say where it is.

So no data is too deep to be looked at, and the way is put into words only for what is found there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .display import MOST_CHARACTERS, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINERS: tuple[type, ...] = (Mapping, list, tuple, set, frozenset)

SCALARS = frozenset({str, int, float, bool, type(None)})
"""Most of what is no container: to look for these first is faster."""


class Place(NamedTuple):
    """A value within some data.

    Attributes:
        value: What is there.
        depth: How many containers it is in.
        key: Its key or its number in the container it is in.
        outer: Where that container is; None for the data as a whole.
    """

    value: Any
    depth: int = 0
    key: object = None
    outer: Place | None = None

    def inner(self, kinds: tuple[type, ...]) -> Iterator[Place]:
        """Yield the places right within the container here, keys of a dict included.

        Args:
            kinds: Only what is of one of these types.
        """
        is_mapping = isinstance(self.value, Mapping)
        pairs = self.value.items() if is_mapping else enumerate(self.value)
        for key, part in pairs:
            if isinstance(part, kinds):
                yield Place(part, self.depth + 1, key, self)
            if is_mapping and type(key) is not str and isinstance(key, kinds):
                yield Place(key, self.depth + 1, key, self)

    def path(self, start: str = "") -> str:
        """Return the way to here, shortened if it is long: `tasks[3].config.urls`."""
        words: list[str] = []
        place = self
        while place.outer is not None:
            is_field = isinstance(place.outer.value, Mapping)
            words.append(f".{plain(place.key)}" if is_field else f"[{place.key}]")
            place = place.outer
        path = start + "".join(reversed(words))
        path = path if start else path.removeprefix(".")
        return path if len(path) <= MOST_CHARACTERS else f"{path[:MOST_CHARACTERS]}..."
