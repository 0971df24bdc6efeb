"""Generators that were read by half, with something open around their `yield`.

Whoever reads one leaves that open on the task that it runs on.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    Opened = Callable[[], AbstractAsyncContextManager[Any]]


async def half_read(opened: Opened) -> AsyncGenerator[int, None]:
    """Return an async generator, read by half."""

    async def numbers() -> AsyncGenerator[int, None]:  # noqa: ASYNC900 - that is what it is for
        async with opened():
            yield 1  # noqa: ASYNC119 - likewise

    generator = numbers()
    await anext(generator)
    return generator


def half_read_at_once() -> Generator[int, None, None]:
    """Return a generator that is not async, read by half within a time limit of a second."""

    def numbers() -> Generator[int, None, None]:
        with anyio.move_on_after(1):
            yield 1  # noqa: ASYNC101 - that is what it is for

    generator = numbers()
    next(generator)
    return generator


async def close(*generators: Any) -> None:
    """Close generators in another task than that in which they were read."""
    for generator in generators:
        with suppress(RuntimeError, IndexError):
            await generator.aclose()


def within(make: Callable[[], AbstractContextManager[Any]]) -> Opened:
    """Return a context manager as an async one."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None, None]:
        with make():
            yield

    return opened


def limit_of(seconds: float) -> Opened:
    """Return a time limit of anyio."""
    return within(partial(anyio.move_on_after, seconds))


def group_of(over_at: list[float], lingers: float = 0, error: str = "") -> Opened:
    """Return a task group with a task, which notes when it is over.

    Args:
        over_at: Where the task notes that.
        lingers: How long it takes to end when it is cancelled.
        error: What it fails with then; empty if it does not.
    """

    async def child() -> None:
        try:
            await anyio.sleep(50)
        finally:
            if lingers:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(lingers)
            over_at.append(anyio.current_time())
            if error:
                raise LookupError(error)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None, None]:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
            yield

    return opened
