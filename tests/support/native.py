"""What code on asyncio asks asyncio itself."""

from __future__ import annotations

import asyncio
from typing import Any

from tukio.task import TukioTask


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def current() -> asyncio.Task[Any]:
    """Return the calling asyncio task."""
    task = asyncio.current_task()
    assert task is not None
    return task


def current_tukio_task() -> TukioTask:
    """Return the calling asyncio task, which is one of tukio's."""
    task = asyncio.current_task()
    assert isinstance(task, TukioTask)
    return task
