"""What the workers ask of an async handler: its calls, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from contextvars import Context
    from types import CoroutineType

Call: TypeAlias = "tuple[CoroutineType[Any, Any, object], Context]"
"""The coroutine of a call, not begun, and the context that all of it runs in."""


class Caller(Protocol):
    """An async handler with its waiting calls, which are made one after the other."""

    @property
    def handler(self) -> object:
        """The handler, for log messages."""
        ...

    @property
    def prompt(self) -> bool:
        """Whether the call that was taken last awaits nothing."""
        ...

    def take(self) -> Call | None:
        """Return the next call, or None.

        After None, the caller requests a worker again when it has one.
        """
        ...

    def has_more(self) -> bool:
        """Return whether another call waits.

        After False, the caller requests a worker again when it has one.
        """
        ...

    def lose_call(self) -> bool:
        """Called when a call was cancelled; return whether another call waits."""
        ...

    def cut_short(self, *, in_progress: int = 0) -> None:
        """Called when no more calls will be made.

        Args:
            in_progress: The number of calls that were cancelled while in progress.
        """
        ...
