"""A run that has broken off while a thread is at work: what is left of it disturbs nobody."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tukio.testing import BACKENDS, Deadlock, run
from tukio.testing.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

LIMIT = 20.0
"""Real seconds after which a thread counts as lost."""


class Work:
    """What a thread does: it waits until it may end."""

    def __init__(self) -> None:
        self._gate: threading.Event = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Be at work."""
        self._thread = threading.current_thread()
        self._gate.wait(LIMIT)

    def end(self) -> None:
        """Let the thread end its work, and wait until it has told so."""
        thread = self._thread
        assert thread is not None
        self._gate.set()
        limit = time.monotonic() + LIMIT
        while thread.is_alive() and any(
            frame.f_code is Work.__call__.__code__ or frame.f_code.co_name == "_handle_job"
            for frame in frames_of_thread(thread)
        ):
            assert time.monotonic() < limit
            time.sleep(0.001)


def frames_of_thread(thread: threading.Thread) -> Iterator[Any]:
    """Yield the frames of a thread."""
    assert thread.ident is not None
    frame = sys._current_frames().get(thread.ident)
    while frame is not None:
        yield frame
        frame = frame.f_back


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Give what cannot be raised anywhere, while a test runs."""
    told: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda args: told.append(args.object))
        yield told


class Value:
    """Something that a task has."""


async def outlasted(work: Work, values: list[weakref.ref[Value]]) -> None:
    """Wait for a thread that is at work for longer than the run has patience."""
    value = Value()
    values.append(weakref.ref(value))
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        await anyio.to_thread.run_sync(work)


def check_that_nothing_is_left(
    backend: str, work: Work, values: list[weakref.ref[Value]], complaints: list[object]
) -> None:
    """Check what becomes of a run that has broken off: before its thread ends, and then."""
    gc.collect()
    assert complaints == []
    work.end()
    gc.collect()
    assert complaints == []
    run(anyio.lowlevel.checkpoint, backend=backend)
    gc.collect()
    # On asyncio, anyio's thread keeps what it has done last.
    assert backend != "trio" or [value() for value in values] == [None]
    assert complaints == []


def test_a_run_may_be_outlasted_by_a_thread(
    backend: str, complaints: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is told of it later, wherever a collection comes, and it is not kept."""
    work, values = Work(), list[weakref.ref[Value]]()
    with pytest.raises(Deadlock, match="1 thread is at work"):
        run(outlasted, work, values, backend=backend, patience=0.05)
    check_that_nothing_is_left(backend, work, values, complaints)
    assert capfd.readouterr().err == ""


def test_a_run_that_is_called_several_times_may_be_outlasted_by_a_thread(
    backend: str, complaints: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    """As one that is called once."""
    work, values = Work(), list[weakref.ref[Value]]()
    runner = Runner(backend, patience=0.05)
    with pytest.raises(Deadlock, match="1 thread is at work"):
        runner.call(outlasted(work, values))
    runner.close()
    check_that_nothing_is_left(backend, work, values, complaints)
    assert capfd.readouterr().err == ""


def test_a_run_that_somebody_else_has_is_kept_until_that_lets_it_go(
    complaints: list[object],
) -> None:
    """On trio, where a task group leads to all tasks of a run."""
    groups: list[object] = []

    async def stuck() -> None:
        async with anyio.create_task_group() as group:
            groups.append(group)
            with anyio.CancelScope(shield=True):
                await anyio.sleep_forever()

    with pytest.raises(Deadlock):
        run(stuck, backend="trio", patience=0.05)
    groups.clear()
    gc.collect()
    assert complaints == []
    run(anyio.lowlevel.checkpoint, backend="trio")
    gc.collect()
    assert complaints == []


OUTLASTED = """
import gc, sys, threading, time, anyio, anyio.to_thread, pytest

pytestmark = pytest.mark.virtual_time(patience=0.1, backends="{backend}")
gate = threading.Event()

@pytest.fixture
async def outer():
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        yield group

@pytest.fixture
async def server(outer):
    async with anyio.create_task_group() as group:
        await anyio.to_thread.run_sync(gate.wait, 5)
        yield group

async def test_set_up(server): ...

@pytest.fixture
async def plain(outer):
    yield

async def test_itself(plain):
    async with anyio.create_task_group() as group:
        await anyio.to_thread.run_sync(gate.wait, 5)

async def test_alone():
    async with anyio.create_task_group() as group:
        await anyio.to_thread.run_sync(gate.wait, 5)

def test_then():
    gc.collect()
    gate.set()
    time.sleep(0.2)
    gc.collect()

async def test_next(outer):
    outer.cancel_scope.cancel()

def test_last():
    gc.collect()
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_session_goes_on_behind_a_run_that_has_broken_off(
    pytester: pytest.Pytester, backend: str
) -> None:
    """Nothing is told anywhere else, not even when the program ends."""
    pytester.makeconftest('pytest_plugins = ["tukio.testing.plugin"]')
    pytester.makepyfile(OUTLASTED.format(backend=backend))
    options = ("-pno:cacheprovider", "-pno:anyio", "-pno:asyncio", "-Werror", "--tb=short")
    result = pytester.runpytest_subprocess(*options, timeout=60)
    result.assert_outcomes(failed=2, errors=3, passed=3)
    told = (result.stdout.str() + result.stderr.str()).splitlines()
    assert [line for line in told if line.startswith(("Exception ", "RuntimeWarning"))] == []
    assert result.stderr.str() == ""
    assert "Exception ignored" not in result.stdout.str()
