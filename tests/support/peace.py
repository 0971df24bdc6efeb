"""A task that wants to be left in peace by what was on its host before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio

from support.native import current

if TYPE_CHECKING:
    import tukio
    from support.flow import Tasks


def patient(task: Tasks) -> list[str]:
    """Register a task that waits a second, to see whether it is left in peace."""
    story: list[str] = []

    @task
    async def after(event: tukio.Event) -> None:
        story.append(f"begins with {current().cancelling()}")
        await asyncio.sleep(1)
        await anyio.sleep(1)
        story.append("ends in peace")

    return story


PEACE = ["begins with 0", "ends in peace"]
