"""The wall times of instants on a clock that is never set back."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class WallTimes:
    """Tells which time it is at an instant of a clock, and the other way round.

    The wall clock is read once. So times are always in the order of their instants, even if the
    wall clock is set back meanwhile.

    Args:
        now: The present instant on that clock, in seconds.
        owner: Whose clock it is. If it has a `wall_anchor`, as in virtual time, then that is the
            wall time at instant 0, in seconds, for all that tell the time of this clock.
    """

    __slots__ = ("_anchor",)

    def __init__(self, now: float, owner: object = None) -> None:
        # The wall time at instant 0, in seconds.
        anchor: float | None = getattr(owner, "wall_anchor", None)
        self._anchor: float = time.time() - now if anchor is None else anchor

    def wall_time(self, instant: float) -> datetime:
        """Return the aware UTC time of an instant."""
        return datetime.fromtimestamp(self._anchor + instant, UTC)

    def instant(self, time: datetime) -> float:
        """Return the instant at an aware time."""
        return time.timestamp() - self._anchor
