"""Tasks that the tests of several folders run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    import tukio
    from support.flow import Tasks


def slow(task: Tasks) -> list[Any]:
    """Register `slow`, which takes 10 s, and return the list of what its runs were given."""
    begun: list[Any] = []

    async def slow(event: tukio.Event) -> None:
        begun.append(event.data.get("n"))
        await anyio.sleep(10)

    task(slow)
    return begun
