"""How messages show what they are about: short, on one line, and without ever failing.

What is shown may be anything that someone sent: a text of a megabyte, a number that Python refuses
to write out, a list in a list in a list.
"""

from __future__ import annotations

import reprlib
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_NAMES = 12
"""How many names a message lists."""

MOST_CHARACTERS = 100
"""How much of a value a message shows."""

MOST_COMPARED = 200
"""Among how many known names the nearest one is looked for."""

LONGEST_COMPARED = 32
"""How many characters a name has that no near one is looked for: it takes the square of that."""

LONG_NUMBER = 300
"""How many bits a whole number has that is not written out."""


class _Short(reprlib.Repr):
    """The `repr` of anything, cut in the middle, and not deeper than a few levels."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = MOST_CHARACTERS

    def repr_int(self, x: int, level: int) -> str:
        """Return a number; of a long one, how long it is."""
        del level
        return repr(x) if x.bit_length() <= LONG_NUMBER else f"<int of {x.bit_length()} bits>"


_short = _Short()


def shown(value: object) -> str:
    """Return the `repr` of a value, shortened if it is long or deep."""
    try:
        text = _short.repr(value)
    except Exception:  # noqa: BLE001 - nothing is known of it
        return f"<a {type(value).__name__}>"
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."


def plain(name: object) -> str:
    """Return a name as it is, if it can stand in a line; otherwise its `repr`, shortened."""
    is_plain = isinstance(name, str) and len(name) <= MOST_CHARACTERS and name.isprintable()
    return str(name) if is_plain else shown(name)


def listed(names: Collection[object]) -> str:
    """Return the first of some names, and how many there are if these are not all."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return ", ".join(map(plain, islice(names, MOST_NAMES))) + more


def nearest(name: object, known: Collection[str]) -> str:
    """Return advice on a name that is not among the known ones.

    Args:
        name: What was asked for.
        known: What there is.

    Returns:
        A question with the nearest known name, or a list of the known names.
    """
    word = plain(name)
    if len(word) <= LONGEST_COMPARED:
        some = islice((other for other in known if len(other) <= LONGEST_COMPARED), MOST_COMPARED)
        if near := get_close_matches(word, list(some), n=1):
            return f"did you mean {near[0]!r}?"
    return f"known: {listed(known)}" if known else "none is known yet"
