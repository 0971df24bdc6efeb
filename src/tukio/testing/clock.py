"""Virtual time on every backend: a test sleeps for thirty days in a millisecond.

Owns:   the names of the backends, and `run`, which runs a test in virtual time and notices when it
        is stuck.
Knows:  nothing of workflows. What is on no clock, see `loop` and `trio`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from functools import partial
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, cast

import anyio
import anyio.to_thread

from .._loop.running import running_backend
from .deadlock import PATIENCE, Deadlock, Patience, started_by
from .loop import VirtualTime
from .order import Order

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


def check_available(backend: str) -> None:
    """Make sure that a backend can be used.

    Raises:
        ValueError: It is none of `BACKENDS`.
        ImportError: It is not installed.
    """
    if backend not in BACKENDS:
        msg = f"no backend is called {backend!r} - there are {', '.join(BACKENDS)}"
        raise ValueError(msg)
    if not is_available(backend):
        msg = f"{backend} is not installed - pip install 'tukio[{backend}]'"
        raise ImportError(msg, name=backend)


def new_loop(
    backend: str = "asyncio", *, seed: int | None = None, patience: float = PATIENCE
) -> VirtualTime:
    """Make an event loop in virtual time, for a test that drives its loop itself.

    It waits for the threads of its executors. Of those that anyio starts it knows only in `run`.

    Args:
        backend: "asyncio" (in debug mode) or "uvloop". The caller closes the loop.
        seed: As for `run`.
        patience: Real seconds to wait for threads, or for anything else if no timer is set.
    """
    check_available(backend)
    base: type[asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
    if backend == "uvloop":
        import uvloop

        base = uvloop.Loop
    loop = cast("VirtualTime", type("VirtualLoop", (VirtualTime, base), {})())
    loop.set_debug(backend == "asyncio")
    loop.patience = Patience(patience)
    if seed is not None:
        loop.order = Order(seed)
    return loop


def run(
    async_fn: Callable[[*Args], Awaitable[T]],
    *args: *Args,
    backend: str = "asyncio",
    seed: int | None = None,
    patience: float = PATIENCE,
) -> T:
    """Run an async function to its end, in virtual time.

    Time begins at 0 and stands still while anything can happen; then it jumps to where the next
    sleep or time limit ends, exactly. While a thread is at work that a task waits for, it stands
    still, and is really waited for.

    Args:
        async_fn: What to run.
        args: Its arguments.
        backend: One of `BACKENDS`.
        seed: Puts tasks that are ready together in an order of its own: the same seed, the same
            order. None is the order of the backend.
        patience: Real seconds to wait for threads before the run is given up.

    Returns:
        What it returned.

    Raises:
        ValueError: There is no such backend.
        ImportError: The backend is not installed.
        NotImplementedError: The installed trio cannot be given a seed.
        RuntimeError: Called where an event loop runs. In all these cases nothing was run.
        Deadlock: It still waited after `GUARD` seconds of virtual time. The cause is the
            cancellation that ended it, whose traceback shows where it waited. Or a thread was at
            work for longer than `patience`.
        Exception: What it raised.
    """
    check_available(backend)
    if running_backend() is not None:
        msg = "an event loop runs here already - await the function, or run it from another thread"
        raise RuntimeError(msg)

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
        on_trio = importlib.import_module(".trio", __package__)
        result: T = on_trio.run(guarded, seed=seed, patience=Patience(patience))
        return result
    factory = partial(new_loop, backend, seed=seed, patience=patience)
    return _run_on_loop(guarded, factory)


def _run_on_loop(main: Callable[[], Awaitable[T]], factory: Callable[[], VirtualTime]) -> T:
    async def marked() -> T:
        loop = cast("VirtualTime", asyncio.get_running_loop())
        loop.limiter = anyio.to_thread.current_default_thread_limiter()
        started_by.set(loop)
        return await main()

    return anyio.run(marked, backend="asyncio", backend_options={"loop_factory": factory})


async def settle() -> None:
    """Wait until every other task is blocked; no time passes meanwhile.

    Threads at work are not waited for. Unlike `anyio.wait_all_tasks_blocked`, which sleeps 0.1
    seconds at a time on asyncio.

    Raises:
        RuntimeError: It runs on asyncio or uvloop, in real time.
    """
    if running_backend() == "trio":
        await importlib.import_module(".trio", __package__).settle()
        return
    settle_loop = getattr(asyncio.get_running_loop(), "settle", None)
    if settle_loop is None:
        msg = "this event loop is not in virtual time - run the test by tukio.testing.run"
        raise RuntimeError(msg)
    await settle_loop()


def is_virtual() -> bool:
    """Say whether the time of the running backend is virtual: then deadlines are exact."""
    if running_backend() == "trio":
        return bool(importlib.import_module(".trio", __package__).is_virtual())
    return isinstance(asyncio.get_running_loop(), VirtualTime)
