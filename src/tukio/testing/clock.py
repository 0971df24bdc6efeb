"""Virtual time on every backend: a test sleeps for thirty days in a millisecond.

Owns:   the names of the backends, and `run`, which runs a test in virtual time and detects a
        deadlock.
Knows:  nothing of workflows. For threads and sockets, which have no virtual time, see `loop` and
        `trio`.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, TypeVarTuple, cast

import anyio
import anyio.to_thread

from .._loop.running import running_backend
from .deadlock import PATIENCE, Deadlock, Patience, started_by
from .loop import VirtualTime
from .order import Order
from .waiting import who_waits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
Args = TypeVarTuple("Args")

BACKENDS = ("asyncio", "uvloop", "trio")

GUARD = 1e8
"""Seconds of virtual time, about three years, after which what still waits counts as a deadlock."""


def is_available(backend: str) -> bool:
    """Return whether a backend is installed; uvloop does not support every Python."""
    return importlib.util.find_spec(backend) is not None


def check_available(backend: str) -> None:
    """Make sure that a backend can be used.

    Raises:
        ValueError: The backend is none of `BACKENDS`.
        ImportError: The backend is not installed.
    """
    if backend not in BACKENDS:
        msg = f"no backend is called {backend!r} - there are {', '.join(BACKENDS)}"
        raise ValueError(msg)
    if not is_available(backend):
        msg = f"{backend} is not installed - pip install 'tukio[{backend}]'"
        raise ImportError(msg, name=backend)


def check_can_run(backend: str) -> None:
    """Make sure that a backend can be run here.

    Raises:
        ValueError, ImportError: As `check_available`.
        RuntimeError: An event loop runs here already.
    """
    check_available(backend)
    if running_backend() is not None:
        msg = "an event loop runs here already - await the function, or run it from another thread"
        raise RuntimeError(msg)


def new_loop(
    backend: str = "asyncio", *, seed: int | None = None, patience: float = PATIENCE
) -> VirtualTime:
    """Return an event loop in virtual time, for a test that drives its loop itself.

    The loop waits for the threads of its executors. It knows of threads that anyio starts only if
    it was made by `run`.

    Args:
        backend: "asyncio" (in debug mode) or "uvloop". The caller closes the loop.
        seed: As for `run`.
        patience: Real seconds to wait for threads, or for anything else if no timer is set.
    """
    check_available(backend)
    loop = _loop_class(backend)()
    loop.set_debug(backend == "asyncio")
    loop.patience = Patience(patience)
    if seed is not None:
        loop.order = Order(seed)
    return loop


@functools.cache
def _loop_class(backend: str) -> type[VirtualTime]:
    """Return the class of the loops of a backend; Python is slow where each has one of its own."""
    base: type[asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
    if backend == "uvloop":
        import uvloop

        base = uvloop.Loop
    return cast("type[VirtualTime]", type("VirtualLoop", (VirtualTime, base), {}))


def run(
    async_fn: Callable[[*Args], Awaitable[T]],
    *args: *Args,
    backend: str = "asyncio",
    seed: int | None = None,
    patience: float = PATIENCE,
) -> T:
    """Run an async function to its end, in virtual time.

    Time begins at 0, and stands still while anything can happen. Then it jumps exactly to the end
    of the next sleep or time limit. While a task waits for a thread at work, time stands still, and
    the thread is waited for in real time.

    Args:
        async_fn: The function to run.
        args: The arguments of the function.
        backend: One of `BACKENDS`.
        seed: Determines the order of tasks that are ready together; the same seed gives the same
            order. None is the order of the backend.
        patience: Real seconds to wait for threads before the run counts as a deadlock.

    Returns:
        The result of the function.

    Raises:
        ValueError: There is no such backend. Nothing was run.
        ImportError: The backend is not installed. Nothing was run.
        NotImplementedError: The installed trio cannot be given a seed. Nothing was run.
        RuntimeError: Called where an event loop runs. Nothing was run.
        Deadlock: The function still waited after `GUARD` seconds of virtual time. The message has
            what the steps of workflows wait for; the cause is the cancellation that ended the
            function, and its traceback shows the await. Or a thread was at work for longer than
            `patience`.
        Exception: The exception of the function.
    """
    check_available(backend)
    if running_backend() is not None:
        msg = "an event loop runs here already - await the function, or run it from another thread"
        raise RuntimeError(msg)

    main = partial(guarded, async_fn, *args)
    if backend == "trio":
        result: T = on_trio().run(main, seed=seed, patience=Patience(patience))
        return result
    factory = partial(new_loop, backend, seed=seed, patience=patience)
    return _run_on_loop(main, factory)


async def guarded(async_fn: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Call an async function, and return its result; end it if it waits for ever.

    Raises:
        Deadlock: It still waited after `GUARD` seconds. It was cancelled.
        Exception: The exception of the function.
    """
    ended_by: BaseException | None = None
    awaited = async_fn(*args)
    with anyio.CancelScope() as scope, Guard(scope, awaited) as guard:
        try:
            return await awaited
        except anyio.get_cancelled_exc_class() as cancelled:
            ended_by = cancelled
            raise
    raise guard.deadlock() from ended_by


class Guard:
    """Cancels a scope after some seconds, unless a `with` block is left before.

    What waits is noted first: when all has unwound, nothing waits any more.

    Args:
        scope: The scope.
        test: The coroutine that is awaited in there.
        seconds: Virtual seconds.

    Attributes:
        has_struck: Whether it has cancelled the scope.
    """

    def __init__(self, scope: anyio.CancelScope, test: object, seconds: float = GUARD) -> None:
        self.has_struck: bool = False
        self._scope: anyio.CancelScope = scope
        self._test: object = test
        self._seconds: float = seconds
        self._waiting: str = ""
        self._call_off: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self._call_off = call_at(anyio.current_time() + self._seconds, self._strike)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._call_off is not None:
            self._call_off()

    def deadlock(self) -> Deadlock:
        """Return the error that tells of what waited."""
        told = "deadlock: all tasks wait for something that never happens"
        return Deadlock(told + self._waiting)

    def _strike(self) -> None:
        self.has_struck = True
        self._waiting = who_waits(self._test)
        self._scope.cancel()


def _run_on_loop(main: Callable[[], Awaitable[T]], factory: Callable[[], VirtualTime]) -> T:
    return anyio.run(known, main, backend="asyncio", backend_options={"loop_factory": factory})


async def known(main: Callable[[], Awaitable[T]]) -> T:
    """Call the main function of a loop in virtual time, which knows its threads from then on."""
    loop = cast("VirtualTime", asyncio.get_running_loop())
    loop.limiter = anyio.to_thread.current_default_thread_limiter()
    started_by.set(loop)
    return await main()


def call_at(instant: float, function: Callable[[], object]) -> Callable[[], object]:
    """Call a function at an instant of the running loop's time; return what prevents that."""
    if running_backend() == "trio":
        call_off: Callable[[], object] = on_trio().call_at(instant, function)
        return call_off
    return asyncio.get_running_loop().call_at(instant, function).cancel


def on_trio(module: str = "trio") -> Any:
    """Return a module for trio, which need not be installed."""
    return importlib.import_module(f".{module}", __package__)


async def settle() -> None:
    """Wait until every other task is blocked; no time passes meanwhile.

    Threads at work are not waited for. In contrast, `anyio.wait_all_tasks_blocked` sleeps 0.1
    seconds at a time on asyncio.

    Raises:
        RuntimeError: The caller runs on asyncio or uvloop, in real time.
    """
    if running_backend() == "trio":
        await on_trio().settle()
        return
    settle_loop = getattr(asyncio.get_running_loop(), "settle", None)
    if settle_loop is None:
        msg = "this event loop is not in virtual time - run the test by tukio.testing.run"
        raise RuntimeError(msg)
    await settle_loop()


def is_virtual() -> bool:
    """Return whether the time of the running backend is virtual: then deadlines are exact."""
    if running_backend() == "trio":
        return bool(on_trio().is_virtual())
    return isinstance(asyncio.get_running_loop(), VirtualTime)
