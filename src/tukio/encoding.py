"""Reports as JSON text, and back without loss.

Owns:   the JSON form of what JSON lacks. A value that has one comes back equal and of the same
        type; anything else comes back as `Lost`, which a rescue refuses to pass on. Kinds of
        text, number or dict of the user's own have none: they would come back as less.

JSON has null, true, numbers, texts, lists and objects with texts as keys. The rest is an object
with the key `$tukio`, the name of the type, and `value`:

- `datetime`: ISO 8601, with the offset of its time zone; `bytes`: base64
- `float`: `nan`, `inf` or `-inf`; `int`: hexadecimal, beyond 64 bits
- `str`: base64 of UTF-8 with surrogates, where there are such
- `tuple`, `set`, `frozenset`: a list; `dict`: a list of [key, value], for keys that are no texts
- `lost`: the `repr` of any other object

The `start` and `end` of executions are plain ISO 8601 texts.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .errors import RescueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TAG = "$tukio"

LONG = 64
"""How many bits an integer has for which not every reader of JSON has room."""

SURROGATES = {"encoding": "utf-8", "errors": "surrogatepass"}


class Lost:
    """Stands for a value that has no JSON form.

    Attributes:
        shown: Its `repr`.
    """

    __slots__ = ("shown",)

    def __init__(self, shown: str) -> None:
        self.shown: str = shown

    def __repr__(self) -> str:
        return f"<lost: {self.shown}>"


def report_to_json(report: Mapping[str, Any]) -> str:
    """Return a report as JSON text.

    Args:
        report: What `Workflow.report()` returned.

    Raises:
        RecursionError: A value in it contains itself.
    """
    document = dict(report) | {"exec": _with_texts(report["exec"])}
    document["tasks"] = [
        dict(task) | {"exec": _with_texts(task.get("exec"))} for task in report["tasks"]
    ]
    return json.dumps(_encode(document), allow_nan=False)


def report_from_json(text: str | bytes) -> dict[str, Any]:
    """Return the report that `report_to_json` made a text of; a rescue takes it.

    Its `start` and `end` stay texts.

    Raises:
        RescueError: It is no JSON object, or a value in it has a form that no report has.
    """
    try:
        report = json.loads(text, object_hook=_decode)
    except (ValueError, TypeError, RecursionError) as error:
        raise RescueError(None, f"it is not the JSON form of a report ({error})") from error
    if not isinstance(report, dict):
        raise RescueError(None, f"it is a JSON {type(report).__name__}, not an object")
    return report


def find_lost(value: Any, path: str = "") -> str | None:
    """Return the path of the first lost value in some data; None if all is there."""
    if isinstance(value, Lost):
        return path
    if isinstance(value, dict):
        # A key may be lost as well.
        parts = [(f"{path}.{item[0]}", part) for item in value.items() for part in item]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = [(f"{path}[{number}]", part) for number, part in enumerate(value)]
    else:
        return None
    found = (find_lost(part, name) for name, part in parts)
    return next((name for name in found if name is not None), None)


def _with_texts(execution: Any) -> Any:
    if execution is None:
        return None
    times = {key: execution[key] for key in ("start", "end")}
    return dict(execution) | {
        key: time.isoformat() if isinstance(time, datetime) else time for key, time in times.items()
    }


def _encode(value: Any) -> Any:
    if value is None or value is True or value is False:
        return value
    return _ENCODERS.get(type(value), _encode_lost)(value)


def _encode_int(value: int) -> Any:
    # Python itself refuses to write or to read very long ones as decimals.
    return value if value.bit_length() < LONG else _tagged("int", hex(value))


def _encode_float(value: float) -> Any:
    return value if math.isfinite(value) else _tagged("float", str(value))


def _encode_str(value: str) -> Any:
    return value if _is_plain(value) else _tagged("str", _base64(value.encode(**SURROGATES)))


def _encode_datetime(value: datetime) -> Any:
    try:
        return _tagged("datetime", value.isoformat())
    except Exception:  # noqa: BLE001 - its time zone may be of the user's own
        return _encode_lost(value)


def _encode_dict(value: dict[Any, Any]) -> Any:
    if TAG not in value and all(type(key) is str and _is_plain(key) for key in value):
        return {key: _encode(part) for key, part in value.items()}
    return _tagged("dict", [[_encode(key), _encode(part)] for key, part in value.items()])


def _encode_lost(value: Any) -> Any:
    if isinstance(value, Lost):
        shown = value.shown
    else:
        try:
            shown = repr(value)
        except Exception:  # noqa: BLE001 - nothing is known of it
            shown = f"<a {type(value).__name__}>"
    return _tagged("lost", _encode_str(shown))


def _tagged(name: str, value: Any) -> dict[str, Any]:
    return {TAG: name, "value": value}


def _encode_all(values: Any) -> list[Any]:
    return [_encode(part) for part in values]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _is_plain(text: str) -> bool:
    """Say whether JSON can carry a text: two surrogates would come back as one character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decode(document: dict[str, Any]) -> Any:
    """Return what an object of the JSON text stands for; its parts are decoded already."""
    if TAG not in document:
        return document
    name = document[TAG]
    if not isinstance(name, str) or name not in _DECODERS:
        msg = f"{name!r} is no type of it"
        raise ValueError(msg)
    if "value" not in document:
        msg = f"a {name} without a value"
        raise ValueError(msg)
    return _DECODERS[name](document["value"])


def _decode_lost(shown: Any) -> Lost:
    if not isinstance(shown, str):
        msg = f"{shown!r} is no text"
        raise TypeError(msg)
    return Lost(shown)


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
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "lost": _decode_lost,
}
