"""How often something happened, for whoever tells of it at the first time and then less and less.

Owns:   the counts: of the first few each by itself, and of all others together.

So a flood of what is never the same twice takes no memory, and a few lines of the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

FEW: Final = 10
"""The number of things that are counted each by itself."""


class Counts:
    """Counts things by what they are."""

    __slots__ = ("_each", "_others")

    def __init__(self) -> None:
        # What came first -> how often it happened.
        self._each: dict[Hashable, int] = {}
        # How often all that came later happened.
        self._others: int = 0

    def add(self, what: Hashable) -> str | None:
        """Count something once more.

        Returns:
            How often it has happened, in words, if that is to be told: at 1, 10, 100, ... Else
            None.
        """
        if what in self._each or len(self._each) < FEW:
            count = self._each[what] = self._each.get(what, 0) + 1
            return f"{count} so far" if _is_power_of_ten(count) else None
        self._others += 1
        others = f"{self._others} so far, of this and others beyond the first {FEW}"
        return others if _is_power_of_ten(self._others) else None


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
