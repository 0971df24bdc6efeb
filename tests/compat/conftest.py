"""What the tests of 1.x behaviour share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture
def ran(task: Tasks) -> list[str]:
    """Register `quick` and `slow` (10 s): they note their id here when they begin.

    Each passes on what it was given, and its own id as a key.
    """
    begun: list[str] = []

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        begun.append(uid)
        return {**event.data, uid: 1}

    @task
    async def slow(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        begun.append(uid)
        await anyio.sleep(10)
        return {**event.data, uid: 1}

    return begun
