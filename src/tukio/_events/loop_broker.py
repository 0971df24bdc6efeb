"""The broker of an asyncio loop, shared by all engines that are used on that loop as in 1.x.

Owns:   how many engines with a broker of their own are entered on a loop.

An engine that is entered has a broker of its own. Whoever registers a handler with that of the
loop, as code of 1.x does, would hear nothing from it, and wonder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._loop.services import asyncio_loop
from .._model.logs import Log
from .broker import Broker

if TYPE_CHECKING:
    from .subscription import Handler

log: Log = Log("tukio.broker")

_BROKER, _ENTERED = "_tukio_broker", "_tukio_entered"


class LoopBroker(Broker):
    """The broker of one loop.

    Args:
        loop: The loop.

    Attributes:
        is_in_use: Whether runs were bound to it: then its handlers hear of these. Set once, by
            whoever binds them.
    """

    __slots__ = ("_has_told", "_loop", "is_in_use")

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._loop: Any = loop
        self.is_in_use: bool = False
        self._has_told: bool = False

    def register(self, handler: Handler, topic: str | None = None) -> None:
        """Call a handler with each event of a topic; see `Broker.register`."""
        super().register(handler, topic)
        self.tell_if_unheard()

    def tell_if_unheard(self) -> None:
        """Tell, once, of a handler that hears nothing of an engine that is entered on the loop."""
        if self.is_in_use or self._has_told or not self._handlers or _entered(self._loop) <= 0:
            return
        self._has_told = True
        log.warning(
            "handler %s listens to the broker of the event loop, and hears nothing of an engine"
            " that is used by 'async with', which has a broker of its own - register it there, by"
            " engine.broker.register(...)",
            next(iter(self._handlers)),
        )


def loop_broker(loop: Any = None) -> LoopBroker:
    """Return the broker of an asyncio event loop; it lives as long as the loop.

    Args:
        loop: The loop; None is the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """
    loop = asyncio_loop(loop)
    # Always an attribute of the loop, and not in a table of this module: a handler may refer to its
    # engine and so to the loop. A table, weak or not, would then keep both alive for ever.
    broker: LoopBroker | None = getattr(loop, _BROKER, None)
    if broker is None:
        broker = LoopBroker(loop)
        setattr(loop, _BROKER, broker)
    return broker


def enter(loop: Any) -> None:
    """Called when an engine with a broker of its own is entered on a loop."""
    setattr(loop, _ENTERED, _entered(loop) + 1)
    broker: LoopBroker | None = getattr(loop, _BROKER, None)
    if broker is not None:
        broker.tell_if_unheard()


def leave(loop: Any) -> None:
    """Called when such an engine was left; undoes one `enter`."""
    setattr(loop, _ENTERED, _entered(loop) - 1)


def _entered(loop: Any) -> int:
    count: int = getattr(loop, _ENTERED, 0)
    return count
