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

MOST_ALIKE: Final = 32
"""The largest number of keys of a set or a dict that may have the same hash.

Keys that can have it by chance are few: -1 and -2, and what is made of them.
"""

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


def decode(value: Any) -> Any:
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
        return _decode_object(value)
    if isinstance(value, list | tuple):
        return [decode(part) for part in value]
    # Readers of other databases have kinds of texts and numbers of their own.
    if isinstance(value, str):
        return exact(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    msg = f"{shown(value)} is no JSON"
    raise TypeError(msg)


def _decode_object(document: dict[Any, Any]) -> Any:
    if TAG not in document:
        return {_key(key): decode(part) for key, part in document.items()}
    name = document[TAG]
    if not isinstance(name, str) or name not in _DECODERS:
        msg = f"{shown(name)} is no type of it"
        raise ValueError(msg)
    if "value" not in document:
        msg = f"a {name} without a value"
        raise ValueError(msg)
    value = decode(document["value"])
    if name in {"set", "frozenset"}:
        _make_room(list(value))
    elif name == "dict":
        _make_room([key for key, _ in value])
    elif name == "object":
        return _decode_registered(value, document)
    return _DECODERS[name](value)


def _make_room(keys: list[Any]) -> None:
    """Make sure that a set or a dict of some keys can be made in reasonable time.

    Keys with the same hash are compared each with each, and whole: a thousand tuples that were
    chosen to have the same hash would take for ever. If they are sets with such keys within, each
    comparison is of each with each again. Texts cannot be chosen like that.

    Raises:
        ValueError: Too many keys have the same hash.
    """
    hashes = [hash(key) for key in keys]
    alike = Counter(hashes)
    if len(alike) == len(keys):
        return
    if max(alike.values()) > MOST_ALIKE:
        msg = f"more than {MOST_ALIKE} keys have the same hash"
        raise ValueError(msg)
    if any(alike[own] > 1 and _holds_alike(key) for key, own in zip(keys, hashes, strict=True)):
        msg = "keys with the same hash are within keys with the same hash"
        raise ValueError(msg)


def _holds_alike(key: Any) -> bool:
    """Return whether a key is, or has within it, a set of which two keys have the same hash."""
    waiting = [key]
    while waiting:
        part = waiting.pop()
        if isinstance(part, frozenset) and len(set(map(hash, part))) < len(part):
            return True
        if isinstance(part, tuple | frozenset):
            waiting += part
    return False


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
