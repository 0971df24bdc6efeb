"""What a step raises that waits from then on without a driver."""

from __future__ import annotations


class Parked(Exception):
    """The step goes on without its driver, and settles itself when it has ended."""
