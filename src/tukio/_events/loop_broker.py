"""The broker of an asyncio loop, which the engines share that are used on it as in 1.x."""

from __future__ import annotations

from typing import Any

from .._loop.services import asyncio_loop
from .broker import Broker

_BROKER = "_tukio_broker"


def loop_broker(loop: Any = None) -> Broker:
    """Return the broker of an asyncio event loop, which lives as long as the loop.

    Args:
        loop: The loop; None is the running one.

    Raises:
        EngineError: No loop was given, and none is running.
    """
    loop = asyncio_loop(loop)
    # Kept by the loop itself: a handler that knows its engine knows the loop, and a table beside
    # the loop, weak or not, would then keep both for ever.
    broker: Broker | None = getattr(loop, _BROKER, None)
    if broker is None:
        broker = Broker(loop)
        setattr(loop, _BROKER, broker)
    return broker
