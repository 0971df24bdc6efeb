"""The JSON form of values that JSON itself lacks.

Owns:   the forms. A value with such a form comes back equal, of the same type and of the same
        behaviour. Any other value comes back as `Lost`, which a rescue refuses to pass on. A user's
        subclass of such a type has no form, because it would come back as an instance of the base
        class; unless it is registered, see `codec`.

JSON has null, true, false, numbers, texts, lists, and objects with texts as keys. Any other value
is an object with the key `$tukio`, the name of the form, and `value`:

- `bytes`: base64; `float`: `nan`, `inf` or `-inf`; `int`: hexadecimal, if wider than 64 bits
- `str`: base64 of UTF-8 with surrogates, if the text has surrogates
- `tuple`, `set`, `frozenset`: a list; `dict`: a list of [key, value], if not all keys are texts
- `datetime`, `time`, `zoneinfo`, `timezone`: see `moments`; `date`: ISO 8601
- `timedelta`: [days, seconds, microseconds]; `decimal`: its digits; `uuid`: hexadecimal
- `path`: [the name of its class, its text]
- `object`: [the name of a registered type, what its codec made of the value]
- `lost`: the `repr` of any other object
"""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from . import moments
from .changes import exact
from .display import bounded
from .guard import attempt
from .lost import Lost
from .registered import CODECS

if TYPE_CHECKING:
    from collections.abc import Callable

TAG: Final = "$tukio"


class DecodedReport(dict[str, Any]):
    """A report of which all values are decoded: what looks like a form in it is the user's data."""


LONG: Final = 64
"""Integers of this many bits are written as hexadecimal: not every JSON reader keeps them exact."""

SURROGATES: Final = {"encoding": "utf-8", "errors": "surrogatepass"}


def encode(value: Any) -> Any:
    """Return data in its JSON form; a value that has none is replaced by its `repr`, as lost."""
    if value is None or value is True or value is False:
        return value
    encoder = _ENCODERS.get(type(value))
    return _encode_object(value) if encoder is None else encoder(value)


def _encode_int(value: int) -> Any:
    # Not as decimals, because Python refuses to write and to read very long ones.
    return value if value.bit_length() < LONG else _tagged("int", hex(value))


def _encode_float(value: float) -> Any:
    return value if math.isfinite(value) else _tagged("float", str(value))


def _encode_str(value: str) -> Any:
    return value if _is_plain(value) else _tagged("str", _base64(value.encode(**SURROGATES)))


def _encode_moment(value: Any) -> Any:
    form = moments.form_of(value, encode, _is_lost)
    return _encode_lost(value) if form is None else _tagged(type(value).__name__, form)


def _encode_zone(value: ZoneInfo) -> Any:
    return _tagged("zoneinfo", value.key) if moments.is_by_key(value) else _encode_lost(value)


def _encode_path(value: Any) -> Any:
    kind, text = type(value), str(value)
    if kind(text) != value:
        return _encode_lost(value)
    return _tagged("path", [kind.__name__, _encode_str(text)])


def _encode_dict(value: dict[Any, Any]) -> Any:
    if TAG not in value and all(type(key) is str and _is_plain(key) for key in value):
        return {key: encode(part) for key, part in value.items()}
    return _tagged("dict", [[encode(key), encode(part)] for key, part in value.items()])


def _encode_object(value: Any) -> Any:
    """Return the form of a value of a registered type."""
    codec = CODECS.of(type(value))
    if codec is None:
        return _encode_lost(value)
    inner, error = attempt(codec.encode, value)
    if isinstance(error, RecursionError):
        raise error
    if error is not None or type(inner) is type(value):
        # It has failed, or there would be no end.
        return _encode_lost(value)
    return _tagged("object", [codec.name, encode(inner)])


def _encode_lost(value: Any) -> Any:
    if isinstance(value, Lost):
        return value.form or _tagged("lost", _encode_str(value.shown))
    text, error = attempt(repr, value)
    text = exact(text) if error is None else f"<a {type(value).__name__}>"
    return _tagged("lost", _encode_str(bounded(text)))


def _is_lost(form: Any) -> bool:
    return isinstance(form, dict) and form.get(TAG) == "lost"


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


PATHS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind for kind in (PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
}

_ENCODERS: Final[dict[type, Callable[[Any], Any]]] = {
    int: _encode_int,
    float: _encode_float,
    str: _encode_str,
    list: _encode_all,
    dict: _encode_dict,
    DecodedReport: _encode_dict,
    bytes: lambda value: _tagged("bytes", _base64(value)),
    tuple: lambda value: _tagged("tuple", _encode_all(value)),
    set: lambda value: _tagged("set", _encode_all(value)),
    frozenset: lambda value: _tagged("frozenset", _encode_all(value)),
    datetime: _encode_moment,
    time: _encode_moment,
    timezone: lambda value: _tagged("timezone", moments.form_of_offset(value)),
    ZoneInfo: _encode_zone,
    date: lambda value: _tagged("date", value.isoformat()),
    timedelta: lambda value: _tagged("timedelta", [value.days, value.seconds, value.microseconds]),
    Decimal: lambda value: _tagged("decimal", str(value)),
    UUID: lambda value: _tagged("uuid", value.hex),
    **dict.fromkeys(PATHS.values(), _encode_path),
}

CODECS.built_in = frozenset({*_ENCODERS, bool, type(None), Lost})
