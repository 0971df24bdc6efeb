"""Reports as JSON text, and back without loss.

Owns:   the JSON form of values that JSON itself lacks. A value with such a form comes back equal
        and of the same type. Any other value comes back as `Lost`, which a rescue refuses to pass
        on. A user's subclass of str, int, float or dict has no such form, because it would come
        back as an instance of the base class.

JSON has null, true, false, numbers, texts, lists, and objects with texts as keys. Any other value
is an object with the key `$tukio`, the name of the type, and `value`:

- `datetime`: ISO 8601, with the offset of its time zone; `bytes`: base64
- `float`: `nan`, `inf` or `-inf`; `int`: hexadecimal, if wider than 64 bits
- `str`: base64 of UTF-8 with surrogates, if the text has surrogates
- `tuple`, `set`, `frozenset`: a list; `dict`: a list of [key, value], if not all keys are texts
- `lost`: the `repr` of any other object

The `start` and `end` of executions are plain ISO 8601 texts.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .display import plain, shown
from .errors import RescueError
from .location import CONTAINERS, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TAG = "$tukio"

LONG = 64
"""Integers of this many bits are written as hexadecimal: not every JSON reader keeps them exact."""

MOST_ALIKE = 32
"""The largest number of keys of a set or a dict that may have the same hash.

Keys that can have it by chance are few: -1 and -2, and what is made of them.
"""

SURROGATES = {"encoding": "utf-8", "errors": "surrogatepass"}


class Lost:
    """Stands for a value that has no JSON form.

    Attributes:
        shown: The `repr` of the value.
    """

    __slots__ = ("shown",)

    def __init__(self, shown: str) -> None:
        self.shown: str = shown

    def __repr__(self) -> str:
        return f"<lost: {self.shown}>"


_LOST_OR_WITHIN = (Lost, *CONTAINERS)


def report_to_json(report: Mapping[str, Any]) -> str:
    """Return a report as JSON text.

    Args:
        report: The result of `Workflow.report()`.

    Raises:
        RecursionError: A value in the report contains itself.
    """
    document = dict(report) | {"exec": _with_texts(report["exec"])}
    document["tasks"] = [
        dict(task) | {"exec": _with_texts(task.get("exec"))} for task in report["tasks"]
    ]
    return json.dumps(encode(document), allow_nan=False)


def report_from_json(text: str | bytes) -> dict[str, Any]:
    """Return the report that `report_to_json` made a text of, fit for a rescue.

    The `start` and `end` of executions stay texts.

    Raises:
        RescueError: The text is not a JSON object, or a value in it has a form that no report has.
    """
    try:
        report = json.loads(text, object_pairs_hook=_decode)
    except (ValueError, TypeError, RecursionError) as error:
        reason = f"it is not the JSON form of a report ({plain(str(error))})"
        raise RescueError(None, reason) from error
    if not isinstance(report, dict):
        raise RescueError(None, f"it is a JSON {type(report).__name__}, not an object")
    return report


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


def _with_texts(execution: Any) -> Any:
    """Return an execution with its times as texts."""
    if execution is None:
        return None
    times = {key: execution[key] for key in ("start", "end")}
    return dict(execution) | {
        key: time.isoformat() if isinstance(time, datetime) else time for key, time in times.items()
    }


def encode(value: Any) -> Any:
    """Return data in its JSON form; a value that has none is replaced by its `repr`, as lost."""
    if value is None or value is True or value is False:
        return value
    return _ENCODERS.get(type(value), _encode_lost)(value)


def _encode_int(value: int) -> Any:
    # Not as decimals, because Python refuses to write and to read very long ones.
    return value if value.bit_length() < LONG else _tagged("int", hex(value))


def _encode_float(value: float) -> Any:
    return value if math.isfinite(value) else _tagged("float", str(value))


def _encode_str(value: str) -> Any:
    return value if _is_plain(value) else _tagged("str", _base64(value.encode(**SURROGATES)))


def _encode_datetime(value: datetime) -> Any:
    try:
        return _tagged("datetime", value.isoformat())
    except Exception:  # noqa: BLE001 - the time zone may be of a user's class
        return _encode_lost(value)


def _encode_dict(value: dict[Any, Any]) -> Any:
    if TAG not in value and all(type(key) is str and _is_plain(key) for key in value):
        return {key: encode(part) for key, part in value.items()}
    return _tagged("dict", [[encode(key), encode(part)] for key, part in value.items()])


def _encode_lost(value: Any) -> Any:
    if isinstance(value, Lost):
        text = value.shown
    else:
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 - the value may be of any class
            text = f"<a {type(value).__name__}>"
    return _tagged("lost", _encode_str(text))


def _tagged(name: str, value: Any) -> dict[str, Any]:
    return {TAG: name, "value": value}


def _encode_all(values: Any) -> list[Any]:
    return [encode(part) for part in values]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _is_plain(text: str) -> bool:
    """Return whether JSON keeps a text: two surrogates would come back as one character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decode(pairs: list[tuple[str, Any]]) -> Any:
    """Return the value that an object of the JSON text stands for.

    Args:
        pairs: The keys and values of the object; the values are decoded already.
    """
    document = dict(pairs)
    if len(document) < len(pairs):
        msg = "a key is in an object twice"
        raise ValueError(msg)
    if TAG not in document:
        return document
    name = document[TAG]
    if not isinstance(name, str) or name not in _DECODERS:
        msg = f"{shown(name)} is no type of it"
        raise ValueError(msg)
    if "value" not in document:
        msg = f"a {name} without a value"
        raise ValueError(msg)
    return _DECODERS[name](document["value"])


def _decode_set(values: Any) -> set[Any]:
    return set(_unlike(list(values)))


def _decode_dict(pairs: Any) -> dict[Any, Any]:
    _unlike([key for key, _ in pairs])
    return dict(pairs)


def _unlike(keys: list[Any]) -> list[Any]:
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
        return keys
    if max(alike.values()) > MOST_ALIKE:
        msg = f"more than {MOST_ALIKE} keys have the same hash"
        raise ValueError(msg)
    if any(alike[own] > 1 and _holds_alike(key) for key, own in zip(keys, hashes, strict=True)):
        msg = "keys with the same hash are within keys with the same hash"
        raise ValueError(msg)
    return keys


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


def _decode_lost(value: Any) -> Lost:
    if not isinstance(value, str):
        msg = f"{shown(value)} is no text"
        raise TypeError(msg)
    return Lost(value)


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    int: _encode_int,
    float: _encode_float,
    str: _encode_str,
    list: _encode_all,
    dict: _encode_dict,
    datetime: _encode_datetime,
    bytes: lambda value: _tagged("bytes", _base64(value)),
    tuple: lambda value: _tagged("tuple", _encode_all(value)),
    set: lambda value: _tagged("set", _encode_all(value)),
    frozenset: lambda value: _tagged("frozenset", _encode_all(value)),
}

_DECODERS: dict[str, Callable[[Any], Any]] = {
    "datetime": datetime.fromisoformat,
    "bytes": base64.b64decode,
    "float": float,
    "int": lambda value: int(value, 16),
    "str": lambda value: base64.b64decode(value).decode(**SURROGATES),
    "tuple": tuple,
    "set": _decode_set,
    "frozenset": lambda values: frozenset(_decode_set(values)),
    "dict": _decode_dict,
    "lost": _decode_lost,
}
