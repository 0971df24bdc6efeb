"""Turns for other tasks, from async methods that need not wait.

Owns:   which of many calls gives others a turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable

BURST: Final = 32
"""Of this many calls of async methods that need not wait, one gives other tasks a turn first."""


class Turns:
    """Counts calls, so that a task that only makes these can be cut, and holds nobody up.

    Args:
        way: Has `checkpoint` and `checkpoint_if_cancelled`: a backend, or `anyio.lowlevel`.
    """

    __slots__ = ("_calls", "_way")

    def __init__(self, way: Any) -> None:
        self._way: Any = way
        self._calls: int = 0

    def is_due(self) -> bool:
        """Count a call, and return whether it must give others a turn: one of `BURST` must."""
        self._calls = (self._calls + 1) % BURST
        return not self._calls

    def give_way(self) -> Awaitable[None]:
        """Count a call: raise the cancellation if one was requested, or give others a turn."""
        way: Awaitable[None] = (
            self._way.checkpoint() if self.is_due() else self._way.checkpoint_if_cancelled()
        )
        return way
