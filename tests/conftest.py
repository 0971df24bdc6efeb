"""Each async test runs once per backend, in virtual time, and must leave nothing behind.

A test that is `async def`, or that asks for `backend`, is multiplied by the backends, unless it
parametrises `backend` itself; `@pytest.mark.backends("asyncio", "uvloop")` restricts it. An async
test may be a Hypothesis test: each example then gets a run of its own.

Tests with `@pytest.mark.in_turn` are many and alike: each runs on one backend, another one on each
Python, and all backends have their turns. In the profiles `deep` and `mutants` each runs on all.
With `TUKIO_TURNS=asyncio,trio` all tests of backends run in turn, on these.

`TUKIO_BACKENDS=asyncio,trio` in the environment leaves the tests of other backends out. With
`TUKIO_ELSE=no`, tests that are of no backend are left out, too.
"""

from __future__ import annotations

import asyncio.constants
import functools
import gc
import inspect
import itertools
import os
import signal
import sys
import traceback
import zlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support import profiles
from support.flow import Tasks
from support.leaks import no_asyncio_errors, no_leaks
from tukio.testing.clock import BACKENDS, is_available, run
from tukio.testing.faults import no_faults
from tukio.testing.mark import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator
    from types import FrameType

    AsyncTest = Callable[..., Coroutine[Any, Any, None]]


CHOSEN = os.environ.get("TUKIO_BACKENDS", ",".join(BACKENDS)).split(",")
"""The backends that tests run on."""

TURNS = [name for name in os.environ.get("TUKIO_TURNS", "").split(",") if name]
"""The backends that take turns with all tests; empty if each test runs on each."""

AS_WELL = {None} if os.environ.get("TUKIO_ELSE", "yes") != "no" else set[None]()
"""None exactly if tests run that are of no backend."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and say how many examples the properties try."""
    profiles.load()
    # A shell starts what goes on in the background with Ctrl-C ignored, and Python leaves it so;
    # tests that press Ctrl-C, and the processes that they start, would wait for it in vain.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # In debug mode asyncio notes where each callback comes from, by ten frames, and where each task
    # and each future does, by all of them: half of all the time. It still says which one it is.
    constants: Any = asyncio.constants
    constants.DEBUG_STACK_DEPTH = 1
    stacks: Any = traceback
    stacks.walk_stack = _last_frames
    config.addinivalue_line("markers", "backends(*names): run the test on these backends only.")
    config.addinivalue_line("markers", "in_turn: of very many, and run on one backend each.")
    # These tests do without the plugin; a page shows it.
    config.addinivalue_line("markers", f"{MARK}: of tukio.testing.plugin.")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while the tests are collected: they all stay, and there are many."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(name: str, obj: object) -> None:
    """Make each async test use `backend`, whether or not it names it."""
    if name.startswith("test") and inspect.iscoroutinefunction(_body(obj)):
        pytest.mark.usefixtures("backend")(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply a test by its backends."""
    if "backend" in metafunc.fixturenames and not _is_parametrised(metafunc):
        marker = metafunc.definition.get_closest_marker("backends")
        names = marker.args if marker else BACKENDS
        metafunc.parametrize("backend", [_param(name) for name in names])


@pytest.hookimpl
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for backends that were not chosen, or whose turn it is not."""
    left_out = [
        item
        for item in items
        if _backend_of(item) not in {*AS_WELL, *CHOSEN} or not _has_its_turn(item)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _backend_of(item: pytest.Item) -> str | None:
    """Return the backend that a test runs on; None for one that chooses by itself."""
    call = getattr(item, "callspec", None)
    name = None if call is None else call.params.get("backend")
    return name if name in BACKENDS else None


def _has_its_turn(item: pytest.Item) -> bool:
    """Return whether a test is run on the backend that it is for."""
    backend = _backend_of(item)
    is_alike = item.get_closest_marker("in_turn") and profiles.PROFILE not in {"deep", "mutants"}
    if backend is None or not (TURNS or is_alike):
        return True
    # The same in each process that collects the tests.
    place = zlib.crc32(item.nodeid.replace(backend, "").encode()) + sys.version_info.minor
    marker = item.get_closest_marker("backends")
    own = marker.args if marker else BACKENDS
    turns = [name for name in own if name in (TURNS or BACKENDS)]
    return not turns or turns[place % len(turns)] == backend


@pytest.fixture(autouse=True)
def quick_collections() -> None:
    """Keep all that is there before a test out of the collections after it, for speed."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def task() -> Iterator[Tasks]:
    """Register tasks by `@task`; they are forgotten after the test."""
    tasks = Tasks()
    yield tasks
    tasks.forget()


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


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Put a synchronous function in the place of an async test while pytest calls it."""
    __tracebackhide__ = True
    test: object = pyfuncitem.obj
    body = _body(test)
    if not inspect.iscoroutinefunction(body):
        return (yield)
    backend = str(pyfuncitem.funcargs["backend"])
    with pytest.MonkeyPatch.context() as patch:
        if body is test:
            patch.setattr(pyfuncitem, "obj", _synchronous(body, backend))
        else:
            patch.setattr(pyfuncitem.obj.hypothesis, "inner_test", _synchronous(body, backend))
        return (yield)


def _last_frames(
    frame: FrameType | None, walk: Callable[..., Iterator[Any]] = traceback.walk_stack
) -> Iterator[Any]:
    """Walk a stack as `traceback.walk_stack` does, and stop after a few frames."""
    return itertools.islice(walk(frame), 3)


def _body(test: object) -> object:
    """Return the function the author wrote, which Hypothesis may have wrapped."""
    return getattr(getattr(test, "hypothesis", None), "inner_test", test)


def _is_parametrised(metafunc: pytest.Metafunc) -> bool:
    """Say whether a test gives the values of `backend` itself."""
    names: list[str] = []
    for mark in metafunc.definition.iter_markers("parametrize"):
        argnames = mark.args[0] if mark.args else mark.kwargs["argnames"]
        names += argnames.replace(" ", "").split(",") if isinstance(argnames, str) else argnames
    return "backend" in names


def _param(name: str) -> object:
    """Return a backend as a parameter, skipped where it is not installed."""
    if name not in BACKENDS:
        msg = f"no backend is called {name!r} - the marker accepts {', '.join(BACKENDS)}"
        raise pytest.UsageError(msg)
    reason = f"{name} is not installed"
    return pytest.param(name, marks=[] if is_available(name) else pytest.mark.skip(reason))


def _synchronous(test: AsyncTest, backend: str) -> Callable[..., None]:
    @functools.wraps(test)
    def call(*args: object, **kwargs: object) -> None:
        __tracebackhide__ = True

        async def main() -> None:
            __tracebackhide__ = True
            async with no_leaks():
                await test(*args, **kwargs)

        with no_asyncio_errors(), no_faults():
            run(main, backend=backend)

    return call
