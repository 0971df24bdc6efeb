"""The types of values in a document that was read: as expected, or refused."""

from __future__ import annotations

from typing import Any

from .changes import exact
from .display import shown


def expect_text(value: Any) -> str:
    """Return a value that is a text, as a plain one.

    A value is checked before it is used as a key: hashing deeply nested data would end the process.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(value, str):
        msg = f"expected a text, not {shown(value)}"
        raise TypeError(msg)
    return str(exact(value))


def expect_list(value: Any) -> list[Any]:
    """Return a value that is a list or a tuple, as a new list.

    Raises:
        TypeError: It is neither.
    """
    if not isinstance(value, list | tuple):
        msg = f"expected a list, not {shown(value)}"
        raise TypeError(msg)
    return list(value)
