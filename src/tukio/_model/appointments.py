"""Appointments: the instants by which runs end at the latest, whoever runs them until then.

Owns:   which instants can be one. A time limit counts seconds in the hands of an engine; an
        appointment is a time of the calendar, and comes whether or not an engine is there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from .display import shown
from .guard import attempt

# Not the very first and the very last day of the calendar, which do not exist in every time zone.
FIRST_DAY: Final = datetime(1, 1, 3, tzinfo=UTC)
LAST_DAY: Final = datetime(9999, 12, 29, tzinfo=UTC)


def appointment_from(given: Any) -> datetime:
    """Return the deadline that a caller gives to a run: exactly a datetime, aware, UTC.

    Raises:
        TypeError: It is no datetime.
        ValueError: It has no time zone, or is beyond what the clock of a run can tell.
    """
    if not isinstance(given, datetime):
        msg = f"a deadline is a datetime, not {shown(given)} - {_HOW}"
        raise TypeError(msg)
    # Its time zone may be of a user's class, and raise anything.
    offset, problem = attempt(given.utcoffset)
    if problem is None and offset is None:
        msg = f"a deadline has a time zone, and {shown(given)} has none - {_HOW}"
        raise ValueError(msg)
    instant, problem = attempt(_in_utc, given)
    if problem is not None or not FIRST_DAY <= instant <= LAST_DAY:
        advice = "for a run that may take for ever, leave it out"
        msg = f"{shown(given)} is beyond the clock of a run - {advice}"
        raise ValueError(msg) from problem
    return instant  # type: ignore[no-any-return]  # `attempt` knows no types


_HOW: Final = "give datetime.now(UTC) + timedelta(hours=1)"


def _in_utc(given: datetime) -> datetime:
    utc = given.astimezone(UTC)
    # Of a subclass, every method may be the user's.
    return datetime(
        utc.year,
        utc.month,
        utc.day,
        utc.hour,
        utc.minute,
        utc.second,
        utc.microsecond,
        tzinfo=UTC,
    )
