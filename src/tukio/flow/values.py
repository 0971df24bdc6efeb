"""Single values: what fits a class, a Literal or None, and which values are converted.

Owns:   the types whose values are texts in JSON.
"""

from __future__ import annotations

import enum
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from .._model.invalid_input import Misfit
from .wrong import Wrong, unlike

if TYPE_CHECKING:
    from collections.abc import Callable

    from .records import Convert

FROM_TEXT: Final[dict[type, Callable[[str], Any]]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    UUID: UUID,
    Decimal: Decimal,
    Path: Path,
    PurePath: PurePath,
}
"""The types whose values are texts in JSON."""


def instance(kind: type) -> Convert:
    """Return what takes the instances of a class, and the texts for them."""
    from_text = FROM_TEXT.get(kind)
    accepted: Any = (kind, int) if kind is float else kind

    def convert(value: Any) -> Any:
        try:
            fits = isinstance(value, accepted)
        except TypeError:
            return value  # a protocol, say, which cannot tell
        if fits:
            return value
        if from_text is not None and isinstance(value, str):
            try:
                return from_text(value)
            except (ValueError, InvalidOperation):
                raise Wrong([Misfit("", f"is a str, but no {kind.__name__}")]) from None
        raise unlike(value, kind.__name__)

    return convert


def member(kind: type[enum.Enum]) -> Convert:
    """Return what takes the members of an enum, and their values."""

    def convert(value: Any) -> Any:
        # JSON has a list for the value that is a tuple.
        for one in (value, tuple(value)) if type(value) is list else (value,):
            try:
                return kind(one)
            except Exception:  # noqa: BLE001, S112 - what it says of others is code of the user
                continue
        raise Wrong([Misfit("", f"is no {kind.__name__}")])

    return convert


def literal(choices: tuple[Any, ...]) -> Convert:
    """Return what takes some values, each of the very type that it has there.

    A member of an enum is taken by its value, too, as which it is in data.
    """
    known = [(choice, choice) for choice in choices]
    known += [(one.value, one) for one in choices if isinstance(one, enum.Enum)]
    told = " or ".join(repr(one.value if isinstance(one, enum.Enum) else one) for one in choices)

    def convert(value: Any) -> Any:
        for data, choice in known:
            if type(data) is type(value) and data == value:
                return choice
        raise Wrong([Misfit("", f"must be {told}")])

    return convert


def nothing(value: Any) -> Any:
    """Take None.

    Raises:
        Wrong: It is anything else.
    """
    if value is not None:
        raise unlike(value, "None")
    return None
