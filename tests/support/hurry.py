"""A way to be quick, for tests that play hundreds of runs."""

from __future__ import annotations

import asyncio

from tukio._loop.running import running_backend


def hurry() -> None:
    """Leave the debug mode of asyncio, which takes longer than all else in such a test."""
    if running_backend() == "asyncio":
        asyncio.get_running_loop().set_debug(False)
