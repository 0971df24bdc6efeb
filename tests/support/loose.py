"""An engine as in 1.x: without a block of its own, on asyncio."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import tukio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def loose() -> AsyncIterator[tukio.Engine]:
    """Use an engine of the running loop, and stop it; who awaits its runs awaits futures."""
    engine = tukio.Engine(loop=asyncio.get_running_loop())
    yield engine
    await engine.stop()
