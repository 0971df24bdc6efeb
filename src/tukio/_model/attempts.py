"""Attempts: the executions of a task that have failed, and that another one followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .account import read_account
from .expect import expect_list, expect_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class Attempt(NamedTuple):
    """One execution of a task that has failed, after which the task was run again.

    Attributes:
        start: When it began, aware UTC.
        end: When it ended, likewise.
        error: What it raised, in the form of reports.
        delay: The seconds from its end until the next one was due.
        uid: The id of the execution; None if it is unknown, as reports did not always have it.
    """

    start: datetime
    end: datetime
    error: dict[str, Any]
    delay: float
    uid: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it in the form of reports; changing that changes nothing here."""
        known: dict[str, Any] = {} if self.uid is None else {"id": self.uid}
        return known | {
            "start": self.start,
            "end": self.end,
            "error": read_account(self.error),
            "delay": self.delay,
        }


def read_attempts(data: Any, time: Callable[[Any], datetime | None]) -> tuple[Attempt, ...]:
    """Return the attempts that a report tells of.

    Args:
        data: What the report has of them.
        time: Reads a time.

    Raises:
        KeyError, TypeError, ValueError: They are none.
    """
    found: list[Attempt] = []
    for one in expect_list(data):
        start, end = time(one["start"]), time(one["end"])
        if start is None or end is None:
            msg = "an attempt that was followed by another one has no begin or no end"
            raise ValueError(msg)
        uid = None if one.get("id") is None else expect_text(one["id"])
        error, delay = read_account(one["error"]), float(one["delay"])
        found.append(Attempt(start, end, error, delay, uid))
    return tuple(found)
