"""What is wrong with a value: misfits on their way to the error of a task.

Owns:   how paths are joined, and how words that are not of this package become those of a misfit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._model.display import escaped, text_of
from .._model.invalid_input import Misfit

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_PROBLEM: Final = 500
"""The largest number of characters of what a class of the user, or a library, says of a value."""


class Wrong(Exception):
    """A value does not fit.

    Args:
        misfits: All that is wrong with it.
    """

    def __init__(self, misfits: Sequence[Misfit]) -> None:
        super().__init__(misfits)
        self.misfits: Sequence[Misfit] = misfits

    def at(self, key: str) -> list[Misfit]:
        """Return the misfits as those of what has this value under a key."""
        return [Misfit(joined(key, one.path), one.problem) for one in self.misfits]


class OtherKind(Wrong):
    """A value is of another type altogether, so that nothing can be said of what is in it."""


def unlike(value: object, wanted: str) -> OtherKind:
    """Return what is raised for a value that is not of the wanted type."""
    name = "None" if value is None else type(value).__name__
    return OtherKind([Misfit("", f"must be {wanted}, not {name}")])


def words_of(error: Exception) -> str:
    """Return what an error says, on one line and not at any length; its type if it says nothing."""
    return said(text_of(error)) or type(error).__name__


def said(text: str) -> str:
    """Return words that are not of this package on one line, and not at any length."""
    return escaped(text, LONGEST_PROBLEM)


def joined(key: str, path: str) -> str:
    """Return the path of what is within the value of a key."""
    return key + path if path.startswith("[") or not path else f"{key}.{path}"
