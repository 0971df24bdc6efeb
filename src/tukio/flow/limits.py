"""How many calls of a task are in threads, or processes, at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import anyio
import anyio.lowlevel

from .._model.display import shown

Limiter: TypeAlias = anyio.CapacityLimiter | int | None
"""How many calls of a task are in threads, or processes, at once: see `task`."""


class Limit:
    """A limiter for each event loop that a task runs in, made when it is first needed there.

    Args:
        limiter: A number, or a limiter, which belongs to one backend; None is that of anyio.

    Raises:
        TypeError: It is none of them.
        ValueError: The number is not positive.
    """

    def __init__(self, limiter: Limiter) -> None:
        expected = "a positive whole number or an anyio.CapacityLimiter"
        wanted = f"limiter must be {expected}, not {shown(limiter)}"
        is_number = isinstance(limiter, int) and not isinstance(limiter, bool)
        if not (is_number or limiter is None or isinstance(limiter, anyio.CapacityLimiter)):
            raise TypeError(wanted)
        if isinstance(limiter, int) and limiter < 1:
            raise ValueError(wanted)
        self._given: Limiter = limiter
        self._own: Any = anyio.lowlevel.RunVar("tukio limiter of a task")

    def here(self) -> anyio.CapacityLimiter | None:
        """Return the limiter for the running event loop; None for that of anyio."""
        if not isinstance(self._given, int):
            return self._given
        try:
            own: anyio.CapacityLimiter = self._own.get()
        except LookupError:
            own = anyio.CapacityLimiter(self._given)
            self._own.set(own)
        return own
