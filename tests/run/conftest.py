"""What the tests of runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.children import register

if TYPE_CHECKING:
    from support.children import Begun
    from support.flow import Tasks
    from support.suspensions import Log


@pytest.fixture
def log(task: Tasks) -> Log:
    """Register `quick` and `slow` (10 s); return what they do, and when."""
    told: Log = []

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        told.append((anyio.current_time(), f"{uid} begins"))
        return {**event.data, uid: 1}

    @task
    async def slow(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        told.append((anyio.current_time(), f"{uid} begins"))
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            told.append((anyio.current_time(), f"{uid} is cut"))
            raise
        told.append((anyio.current_time(), f"{uid} ends"))
        return {**event.data, uid: 1}

    return told


@pytest.fixture
def naps(task: Tasks) -> None:
    """Register `quick`, `nap` (5 s) and `shields` (takes 4 s to unwind, or as it is told)."""

    @task
    async def quick(event: tukio.Event) -> None:
        pass

    @task
    async def nap(event: tukio.Event) -> None:
        await anyio.sleep(5)

    @task
    async def shields(event: tukio.Event) -> None:
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(event.data.get("unwinds", 4))


@pytest.fixture
def begun(task: Tasks) -> Begun:
    """Register tasks; give a list of when each task of any run has begun."""
    return register(task)
