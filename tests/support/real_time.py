"""Tests on the real clock, for what virtual time does not see: threads and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from .leaks import no_asyncio_errors, no_leaks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LIMIT = 20
"""Real seconds after which a test can only be stuck."""


def run(backend: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run an async function to its end, on the real clock; nothing may be left behind.

    Args:
        backend: The backend.
        main: The function.
    """

    async def guarded() -> None:
        async with no_leaks():
            with anyio.fail_after(LIMIT):
                await main()

    options = {} if backend == "trio" else {"use_uvloop": backend == "uvloop"}
    name = "trio" if backend == "trio" else "asyncio"
    with no_asyncio_errors():
        anyio.run(guarded, backend=name, backend_options=options)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is true that nobody tells the event loop of."""
    while not condition():  # noqa: ASYNC110 - a thread, or a process, brings it about
        await anyio.sleep(0.002)
