"""Virtual time on every backend: a test sleeps for thirty days in a millisecond.

Owns:   the names of the backends, and `run`, which runs a test in virtual time and notices when it
        is stuck.
Knows:  nothing of workflows. A test that waits for a thread or a socket needs a real clock; see
        `loop`.
"""

from __future__ import annotations

import asyncio
import importlib.util
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, cast

import anyio

from ..ports import running_backend
from .loop import Deadlock, VirtualTime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
Args = TypeVarTuple("Args")

BACKENDS = ("asyncio", "uvloop", "trio")

GUARD = 1e8
"""Seconds of virtual time, some three years, after which a test can only be stuck."""


def is_available(backend: str) -> bool:
    """Say whether a backend is installed; uvloop is not on every Python."""
    return importlib.util.find_spec(backend) is not None


def new_loop(backend: str) -> VirtualTime:
    """Make an event loop in virtual time, for a test that drives its loop itself.

    Args:
        backend: "asyncio" (in debug mode) or "uvloop". The caller closes the loop.
    """
    base: type[asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
    if backend == "uvloop":
        import uvloop

        base = uvloop.Loop
    loop = cast("VirtualTime", type("VirtualLoop", (VirtualTime, base), {})())
    loop.set_debug(backend == "asyncio")
    return loop


def run(backend: str, async_fn: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Run an async function to its end, in virtual time.

    Args:
        backend: One of `BACKENDS`.
        async_fn: What to run.
        args: Its arguments.

    Raises:
        Deadlock: It still waited after `GUARD` seconds of virtual time. The cause is the
            cancellation that ended it, whose traceback shows where it waited.
    """

    async def guarded() -> T:
        ended_by: BaseException | None = None
        with anyio.move_on_after(GUARD):
            try:
                return await async_fn(*args)
            except anyio.get_cancelled_exc_class() as cancelled:
                ended_by = cancelled
                raise
        msg = "deadlock: all tasks wait for something that never happens"
        raise Deadlock(msg) from ended_by

    if backend == "trio":
        import trio.testing

        clock = trio.testing.MockClock(autojump_threshold=0)
        return anyio.run(guarded, backend="trio", backend_options={"clock": clock})
    options = {"loop_factory": lambda: new_loop(backend)}
    return anyio.run(guarded, backend="asyncio", backend_options=options)


async def settle() -> None:
    """Wait until every other task is blocked; no time passes meanwhile.

    Unlike `anyio.wait_all_tasks_blocked`, which sleeps 0.1 seconds at a time on asyncio.
    """
    if running_backend() == "trio":
        import trio.testing

        await trio.testing.wait_all_tasks_blocked()
    else:
        await cast("VirtualTime", asyncio.get_running_loop()).settle()


def is_virtual() -> bool:
    """Say whether the time of the running backend is virtual: then deadlines are exact."""
    if running_backend() == "trio":
        import trio.lowlevel
        import trio.testing

        return isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
    return isinstance(asyncio.get_running_loop(), VirtualTime)
