"""Objects that mean harm to whoever shows them in a log."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import tukio

from .hostile import NASTY

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "4111-1111"  # noqa: S105 - the data of an event


class Liar(str):
    """A text whose methods say what they like."""

    __slots__ = ()

    def __str__(self) -> str:
        return SECRET

    def __len__(self) -> int:
        return 1

    def isprintable(self) -> bool:
        """Say so, always."""
        return True


class Fails:
    """Cannot be shown, nor asked for its class."""

    def __repr__(self) -> str:
        raise asyncio.CancelledError

    __str__ = __repr__

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise asyncio.CancelledError

    def __getattr__(self, name: str) -> Any:
        raise asyncio.CancelledError


class Tells:
    """Shows an event wherever it is shown."""

    def __repr__(self) -> str:
        return f"Tells({SECRET}\n)"

    __str__ = __repr__

    def handle(self, event: tukio.Event) -> None:
        """Fail."""
        raise ValueError

    def __call__(self, event: tukio.Event) -> None:
        """Fail."""
        raise ValueError


def ring() -> Any:
    """Return a partial that is a part of itself."""
    part: Any = functools.partial(print)
    part.__setstate__((part, (), {}, {}))
    return part


HOSTILE: dict[str, Callable[[], Any]] = {
    **NASTY,
    "liar": lambda: Liar("a\nb"),
    "fails": Fails,
    "tells": Tells,
    "method": lambda: Tells().handle,
    "partial": lambda: functools.partial(Tells().handle, tukio.Event({"card": SECRET})),
    "ring": ring,
    "class": lambda: type("a\nb", (), {}),
    "of a class": type("a\nb" * 1000, (), {}),
    "event": lambda: tukio.Event({"card": SECRET}),
    "error": lambda: ValueError(SECRET),
    "data": lambda: {"card": SECRET},
    "ansi": lambda: "\x1b[31mred",
    "bidi": lambda: "\u202eevil\u2028",
    "topics": lambda: ("a\n", "b" * 10**6, {"card": SECRET}) * 1000,
}
