"""What an asyncio loop has of its own, engine or not: a broker, and services in the background.

Owns:   the tasks of the services.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ..broker import Broker
from ..task.factory import TukioTask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..task.mailbox import Mailbox

# The loop keeps no hold of its tasks.
_services: set[asyncio.Task[None]] = set()

_BROKER = "_tukio_broker"


def broker_of(loop: asyncio.AbstractEventLoop | None) -> Broker:
    """Return the broker of a loop (None: the running one), which lives as long as the loop."""
    loop = loop or asyncio.get_running_loop()
    # Kept by the loop itself: a handler that knows its engine knows the loop, and a table beside
    # the loop, weak or not, would then keep both for ever.
    broker: Broker | None = getattr(loop, _BROKER, None)
    if broker is None:
        broker = Broker(loop)
        setattr(loop, _BROKER, broker)
    return broker


def service_on(
    loop: asyncio.AbstractEventLoop | None,
) -> Callable[[Callable[[], Awaitable[None]], str], None]:
    """Return what runs something in the background of a loop (None: the running one)."""
    return partial(serve_on, loop or asyncio.get_running_loop())


def lone_mailbox(broker: Broker) -> Mailbox | None:
    """Return the mailbox of the calling task, if it is a registered one outside a workflow."""
    task = asyncio.current_task()
    return task.lone_mailbox(broker) if isinstance(task, TukioTask) else None


def serve_on(
    loop: asyncio.AbstractEventLoop, service: Callable[[], Awaitable[None]], name: str
) -> None:
    """Run something in the background of a loop. It begins even if it is cancelled before that."""
    begun = False

    async def begin() -> None:
        nonlocal begun
        begun = True
        await service()

    def over(task: asyncio.Task[None]) -> None:
        _services.discard(task)
        if not begun:
            # Cancelled before that, by somebody who cancels all tasks there are. Without another
            # one, what was asked for would be waited for in vain.
            serve_on(loop, service, name)

    task = asyncio.Task(begin(), loop=loop, name=name)
    _services.add(task)
    task.add_done_callback(over)
