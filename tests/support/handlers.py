"""Handlers that write down what they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import tukio


def notes(story: list[Any], name: str = "") -> Callable[[tukio.Event], None]:
    """Return a handler that writes down the number of each event, with a name if it has one."""

    def note(event: tukio.Event) -> None:
        story.append((name, event.data["n"]) if name else event.data["n"])

    return note


def slow_notes(
    story: list[Any], name: str = "", seconds: float = 1
) -> Callable[[tukio.Event], Awaitable[None]]:
    """Return an async handler that takes its time before it writes down the number."""

    async def note(event: tukio.Event) -> None:
        await anyio.sleep(seconds)
        notes(story, name)(event)

    return note
