"""The JSON form of times: what comes back is the same moment, by the same rules.

Owns:   the form of `datetime` and `time`. A text, ISO 8601, if this says everything. Otherwise
        [the time without its zone, `fold`, the zone, its offset at that time in microseconds].
        The zone is None, a `zoneinfo` (its key) or a `timezone` ([microseconds], or
        [microseconds, name]), or of a registered type.

A time in a zone is more than an offset: a day later, the offset may be another one. In the hour
that is repeated when the clock is set back, `fold` tells which of the two is meant.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from .display import shown
from .guard import attempt
from .lost import Lost

if TYPE_CHECKING:
    from collections.abc import Callable

Moment = TypeVar("Moment", datetime, time)

MICROSECOND = timedelta(microseconds=1)


def form_of(
    value: Moment, encode: Callable[[Any], Any], is_lost: Callable[[Any], bool]
) -> str | list[Any] | None:
    """Return the form of a time; None if there is none.

    Args:
        value: The time.
        encode: Returns the form of its zone.
        is_lost: Returns whether a form says that there is none.
    """
    zone = value.tzinfo
    if not value.fold and (zone is None or _is_told_by_iso(zone)):
        return value.isoformat()
    form = encode(zone)
    if is_lost(form):
        return None
    # The zone may be of a user's class.
    offset, problem = attempt(_offset, value, zone)
    if problem is not None:
        return None
    whole = None if offset is None else offset // MICROSECOND
    return [value.replace(tzinfo=None).isoformat(), value.fold, form, whole]


def _offset(value: Moment, zone: tzinfo | None) -> timedelta | None:
    """Return the offset of a time.

    Raises:
        LookupError: Its zone was not found by its key: there, this time is another one, or none.
        Exception: The exception of the zone.
    """
    offset = value.utcoffset()
    twin = value.replace(tzinfo=ZoneInfo(zone.key)) if type(zone) is ZoneInfo else value
    if twin != value or twin.utcoffset() != offset:
        raise LookupError(zone)
    return offset


def _is_told_by_iso(zone: tzinfo) -> bool:
    """Return whether a zone is an offset in whole seconds, and has no name of its own."""
    if type(zone) is not timezone:
        return False
    offset = zone.utcoffset(None)
    # Before Python 3.12, a fraction of a second is written, and cannot be read.
    return not offset.microseconds and zone.__reduce__()[1] in {(offset,), ()}


def is_by_key(zone: ZoneInfo) -> bool:
    """Return whether a zone is the one that its key leads to."""
    # Raises for a zone that was read from a file: no key leads there.
    _, problem = attempt(zone.__reduce__)
    found, missing = attempt(ZoneInfo, zone.key)
    return problem is None and missing is None and type(found) is ZoneInfo


def form_of_offset(zone: timezone) -> list[Any]:
    """Return the form of a zone that is an offset, perhaps with a name."""
    arguments: Any = zone.__reduce__()[1]
    offset, *name = arguments or [timedelta(0)]
    return [offset // MICROSECOND, *name]


def datetime_of(form: Any) -> datetime | Lost:
    """Return the datetime that a form stands for; its zone is decoded already."""
    if isinstance(form, str):
        return datetime.fromisoformat(form)
    return _moment(datetime, form)


def time_of(form: Any) -> time | Lost:
    """Return the time of day that a form stands for; its zone is decoded already."""
    if isinstance(form, str):
        return time.fromisoformat(form)
    return _moment(time, form)


def _moment(kind: type[Moment], form: Any) -> Moment | Lost:
    text, fold, zone, whole = form
    if isinstance(zone, Lost):
        return Lost(f"{text} in {zone.shown}")
    if not isinstance(zone, tzinfo | None) or fold not in {0, 1}:
        msg = f"{shown(form)} is no time"
        raise TypeError(msg)
    moment = kind.fromisoformat(text).replace(tzinfo=zone, fold=fold)
    offset = moment.utcoffset()
    if (None if offset is None else offset // MICROSECOND) != whole:
        # The rules of the zone are others here.
        return Lost(f"{text} in {zone}, where it is another time here")
    return moment


def offset_of(form: Any) -> timezone:
    """Return the zone that is an offset."""
    whole, *name = form
    if type(whole) is not int:
        msg = f"{shown(whole)} is no offset"
        raise TypeError(msg)
    return timezone(whole * MICROSECOND, *name)


def zone_of(form: Any) -> ZoneInfo | Lost:
    """Return the zone with a key, as this machine knows it."""
    if not isinstance(form, str):
        msg = f"{shown(form)} is no time zone"
        raise TypeError(msg)
    # Errors of all kinds, from LookupError to those of files.
    zone, problem = attempt(ZoneInfo, form)
    if problem is not None:
        return Lost(f"the zone {form}, which is not known here")
    found: ZoneInfo = zone
    return found
