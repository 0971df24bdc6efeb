"""The broker of an asyncio loop, shared by all engines that are used on that loop as in 1.x."""

from __future__ import annotations

from typing import Any

from .._loop.services import asyncio_loop
from .broker import Broker

_BROKER = "_tukio_broker"


def loop_broker(loop: Any = None) -> Broker:
    """Return the broker of an asyncio event loop; it lives as long as the loop.

    Args:
        loop: The loop; None is the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """
    loop = asyncio_loop(loop)
    # Always an attribute of the loop, and not in a table of this module: a handler may refer to its
    # engine and so to the loop. A table, weak or not, would then keep both alive for ever.
    broker: Broker | None = getattr(loop, _BROKER, None)
    if broker is None:
        broker = Broker(loop)
        setattr(loop, _BROKER, broker)
    return broker
