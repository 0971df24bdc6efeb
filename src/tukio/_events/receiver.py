"""What the broker delivers events to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from .._model.event import Event


class Receiver(Protocol):
    """Anything that the broker delivers events to; hashable by identity."""

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Called with each event of the receiver's topics; must not block.

        Args:
            event: An event that no other receiver is given.
            topics: The topics that the event was dispatched in.
        """
        ...

    def end(self) -> None:
        """Called when the receiver is in no topic any more, or when the broker is closed."""
        ...
