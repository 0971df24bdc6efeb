"""From the JSON form of values back to the values.

Owns:   what is refused in a document, and what is only lost: values that this process cannot read.
Knows:  the forms; see `codecs`.

Nothing is called but what is built in or registered, whatever a document names.
"""

from __future__ import annotations

import base64
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from . import moments
from .changes import exact
from .codecs import PATHS, SURROGATES, TAG
from .display import shown, text_of
from .guard import attempt
from .location import CONTAINERS, Location
from .lost import Lost
from .registered import CODECS

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ALIKE: Final = 1000
"""The largest number of keys of a set or a dict that may have the same hash."""

FEW_ALIKE: Final = 8
"""As many keys with the same hash are compared without a look at what this takes."""

MOST_COMPARED: Final = 1_000_000
"""The largest number of values that are compared for the sake of keys with the same hash."""

_LOST_OR_WITHIN = (Lost, *CONTAINERS)


def find_lost(value: Any, path: str = "") -> str | None:
    """Return the path of the first lost value in some data; None if no value is lost.

    Args:
        value: The data.
        path: The path of the data as a whole.
    """
    known: set[int] = set()  # data may contain itself
    waiting = [Location(value)]
    while waiting:
        location = waiting.pop()
        if isinstance(location.value, Lost):
            return location.path(path)
        if isinstance(location.value, CONTAINERS) and id(location.value) not in known:
            known.add(id(location.value))
            waiting += reversed([*location.inner(_LOST_OR_WITHIN)])
    return None


class Decoder:
    """Returns the values that one JSON document stands for."""

    def __init__(self) -> None:
        # How many values may still be compared for the sake of keys with the same hash.
        self._left: int = MOST_COMPARED

    def decode(self, value: Any) -> Any:
        """Return the data that a value of the document stands for.

        Raises:
            ValueError, TypeError, LookupError, ArithmeticError: It has no form that is known, or is
                no JSON.
            RecursionError: It is nested too deeply.
        """
        kind = type(value)
        if kind is str or kind is int or kind is float or kind is bool or value is None:
            return value
        if isinstance(value, dict):
            return self._decode_object(value)
        if isinstance(value, list | tuple):
            return [self.decode(part) for part in value]
        # Readers of other databases have kinds of texts and numbers of their own.
        if isinstance(value, str):
            return exact(value)
        if isinstance(value, int | float):
            return int(value) if isinstance(value, int) else float(value)
        msg = f"{shown(value)} is no JSON"
        raise TypeError(msg)

    def _decode_object(self, document: dict[Any, Any]) -> Any:
        if TAG not in document:
            return {_key(key): self.decode(part) for key, part in document.items()}
        name = document[TAG]
        if not isinstance(name, str) or name not in _DECODERS:
            msg = f"{shown(name)} is no type of it"
            raise ValueError(msg)
        if "value" not in document:
            msg = f"a {name} without a value"
            raise ValueError(msg)
        value = self.decode(document["value"])
        if name in {"set", "frozenset"}:
            self._make_room(list(value))
        elif name == "dict":
            self._make_room([key for key, _ in value])
        elif name == "object":
            return _decode_registered(value, document)
        return _DECODERS[name](value)

    def _make_room(self, keys: list[Any]) -> None:
        """Make sure that a set or a dict of some keys can be made in reasonable time.

        Keys with the same hash are compared each with each. For a million keys that were chosen to
        have the same hash, this would take for ever. Texts cannot be chosen like that.

        Raises:
            ValueError: Too many keys have the same hash.
        """
        if len(keys) <= FEW_ALIKE:
            return
        counts = Counter(map(hash, keys))
        most = max(counts.values())
        if most > MOST_ALIKE:
            msg = f"more than {MOST_ALIKE} keys have the same hash"
            raise ValueError(msg)
        if most > FEW_ALIKE:
            alike = [key for key in keys if counts[hash(key)] > FEW_ALIKE]
            self._left -= sum(counts[hash(key)] * _size(key) for key in alike) // 2
            if self._left < 0:
                msg = "keys with the same hash would be compared for too long"
                raise ValueError(msg)


def _size(key: Any) -> int:
    """Return how many values a key is made of."""
    size, waiting = 0, [key]
    while waiting:
        value = waiting.pop()
        size += 1
        if isinstance(value, tuple | frozenset):
            waiting += value
    return size


def _key(key: Any) -> str:
    if not isinstance(key, str):
        msg = f"{shown(key)} is no key of JSON"
        raise TypeError(msg)
    return str(exact(key))


def _decode_registered(value: Any, document: dict[Any, Any]) -> Any:
    """Return the value of a registered type; what this process cannot read is lost here only."""
    name, inner = value
    if not isinstance(name, str):
        msg = f"{shown(name)} is no name of a type"
        raise TypeError(msg)
    codec = CODECS.named(name)
    if codec is None:
        return Lost(f"a {name}, which is not registered here", document)
    if find_lost(inner) is not None:
        return Lost(f"a {name} with something lost in it", document)
    made, error = attempt(codec.decode, inner)
    if isinstance(error, RecursionError):
        raise error
    if error is not None:
        return Lost(f"a {name} that cannot be read: {text_of(error)}", document)
    if not isinstance(made, codec.kind):
        return Lost(f"a {name} that was read as a {type(made).__name__}", document)
    return made


def _decode_lost(value: Any) -> Lost:
    return Lost(_text(value))


def _decode_path(value: Any) -> Any:
    name, text = value
    kind = PATHS[name]
    try:
        return kind(_text(text))
    except NotImplementedError:
        return Lost(f"a {name}, of another operating system")


def _decode_timedelta(value: Any) -> timedelta:
    days, seconds, microseconds = value
    if not all(type(part) is int for part in value):
        msg = f"{shown(value)} is no timedelta"
        raise TypeError(msg)
    return timedelta(days, seconds, microseconds)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        msg = f"{shown(value)} is no text"
        raise TypeError(msg)
    return value


_DECODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bytes": base64.b64decode,
    "float": float,
    "int": lambda value: int(value, 16),
    "str": lambda value: base64.b64decode(value).decode(**SURROGATES),
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "datetime": moments.datetime_of,
    "time": moments.time_of,
    "timezone": moments.offset_of,
    "zoneinfo": moments.zone_of,
    "date": lambda value: date.fromisoformat(_text(value)),
    "timedelta": _decode_timedelta,
    "decimal": lambda value: Decimal(_text(value)),
    "uuid": lambda value: UUID(_text(value)),
    "path": _decode_path,
    "object": lambda value: value,
    "lost": _decode_lost,
}

FORMS: Final = frozenset(_DECODERS)
"""The names of the forms."""
