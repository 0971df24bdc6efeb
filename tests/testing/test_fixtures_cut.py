"""Async fixtures that go wrong: cancelled, waited for in vain, left open, or ended by Ctrl-C."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tukio.testing import BACKENDS

if TYPE_CHECKING:
    from support.suites import Suite

pytest_plugins = ["pytester"]

LOOPS = ("asyncio", "uvloop")


CUT = """
import asyncio, anyio, pytest

pytestmark = pytest.mark.virtual_time

@pytest.fixture
async def outer():
    yield
    await anyio.sleep(1)
    print("outer is clean at", anyio.current_time())

async def crash():
    await anyio.sleep(5)
    raise LookupError("the server")

@pytest.fixture
async def server(outer):
    async with anyio.create_task_group() as group:
        group.start_soon(crash)
        yield group

@pytest.fixture
async def limit(outer):
    with anyio.fail_after(5):
        yield

@pytest.fixture
async def client(server):
    yield
    print("client is clean at", anyio.current_time())

@pytest.fixture
async def native(outer):
    async with asyncio.TaskGroup() as group:
        group.create_task(crash())
        yield

@pytest.fixture
async def native_limit(outer):
    async with asyncio.timeout(5):
        yield

async def test_server(client): await anyio.sleep(100)
async def test_limit(limit): await anyio.sleep(100)

@pytest.fixture
async def late(server):
    await anyio.sleep(100)
    yield

async def test_late(late): ...

on_loops = pytest.mark.virtual_time(backends=["asyncio", "uvloop"])
@on_loops
async def test_native(native): await anyio.sleep(100)
@on_loops
async def test_native_limit(native_limit): await anyio.sleep(100)

async def test_that_ends_first(server, limit):
    server.cancel_scope.cancel()

"""


def test_what_a_fixture_has_open_may_cancel_the_test(suite: Suite) -> None:
    """Which one it was is told by its clean-up; those around it are whole."""
    result = suite(CUT)
    for name in ("test_server", "test_limit", "test_native", "test_native_limit"):
        assert result.became(name) == {"failed error"}, result.text
    assert result.became("test_late") == {"error error"}
    assert result.became("test_that_ends_first") == {"passed"}
    text = result.text
    assert "RuntimeError: cancelled from around: by a scope or a task group that a fixture" in text
    assert text.count("LookupError: the server") == 2 * len(BACKENDS) + len(LOOPS)
    named = "RuntimeError: a scope that fixture '{}' has open was cancelled, or has reached its"
    assert named.format("limit") in text
    assert named.format("native_limit") in text
    assert "outer is clean at 6.0" in text
    assert "client is clean at 5.0" in text


AT_ONCE = """
import asyncio, anyio, pytest

pytestmark = pytest.mark.virtual_time(backends=["asyncio", "uvloop"])

async def crash():
    raise LookupError("the server")

@pytest.fixture
async def outer():
    yield
    await anyio.sleep(1)

@pytest.fixture
async def native(outer):
    async with asyncio.TaskGroup() as group:
        group.create_task(crash())
        yield

@pytest.fixture
async def limit(outer):
    async with asyncio.timeout(0):
        yield
    await anyio.sleep(1)

@pytest.fixture
async def itself(outer):
    asyncio.current_task().cancel()
    yield

@pytest.fixture
def between(limit):
    return 1

@pytest.fixture
async def late(native):
    await anyio.sleep(1)
    yield

async def test_native(native): await anyio.sleep(100)
async def test_native_in_vain(native): await asyncio.Event().wait()
async def test_limit(between): await anyio.sleep(100)
async def test_itself(itself): await anyio.sleep(100)
async def test_late(late): ...
async def test_crash_behind(native): ...
async def test_limit_behind(limit): ...
"""


def test_what_is_cancelled_natively_between_two_calls_gets_it_in_the_next_one(suite: Suite) -> None:
    """A native cancellation comes once only, also if nobody awaits anything just then.

    A test that awaits nothing is not cut, and a limit that is left in time is no error.
    """
    result = suite(AT_ONCE)
    for name in ("test_native", "test_native_in_vain", "test_limit"):
        assert result.became(name) == {"failed error"}, result.text
    assert result.became("test_itself") == {"failed"}
    assert result.became("test_late") == {"error error"}
    assert result.became("test_crash_behind") == {"passed error"}
    assert result.became("test_limit_behind") == {"passed"}
    assert result.text.count("LookupError: the server") >= 4 * len(LOOPS)
    assert "a scope that fixture 'limit' has open was cancelled, or has reached" in result.text
    assert "Deadlock" not in result.text


DEADLOCKS = """
import threading, anyio, anyio.to_thread, pytest, tukio

pytestmark = pytest.mark.virtual_time

@pytest.fixture
async def outer():
    async with tukio.Engine():
        yield
    await anyio.sleep(1)
    print("outer is clean")

@pytest.fixture
async def stuck(outer):
    await anyio.sleep_forever()
    yield

@pytest.fixture
async def stuck_after(outer):
    yield
    await anyio.sleep_forever()

async def test_waits(outer):
    await anyio.sleep_forever()

async def test_set_up(stuck): ...
async def test_clean_up(stuck_after): ...

gate = threading.Event()

@pytest.mark.virtual_time(patience=0.05)
async def test_thread(outer):
    await anyio.to_thread.run_sync(gate.wait, 0.5)
"""


def test_who_waits_for_ever_is_told_wherever_that_is(suite: Suite) -> None:
    """If it is the test, its fixtures are cleaned up as usual."""
    result = suite(DEADLOCKS, "--tb=short")
    assert result.became("test_waits") == {"failed"}
    assert result.became("test_set_up") == {"error error"}
    assert result.became("test_clean_up") == {"passed error"}
    assert result.became("test_thread") == {"failed error"}
    text = result.text
    lines = DEADLOCKS.strip().splitlines()
    for number, line in enumerate(lines, 1):
        if "sleep_forever" in line:
            place = rf"the test at \w+\.py:{number}, `{re.escape(line.strip())}`"
            assert len(re.findall(place, text)) == len(BACKENDS)
    assert text.count("outer is clean") == len(BACKENDS)
    assert "cancelled, because all of this run was, for a deadlock" in text
    assert "1 thread is at work" in text
    assert "fixture 'outer' was not cleaned up: the run has broken off" in text


LEAKS = """
import anyio, pytest
pytestmark = pytest.mark.virtual_time

@pytest.fixture
async def outer():
    yield
    await anyio.sleep(1)

@pytest.fixture
async def scope(outer):
    anyio.CancelScope().__enter__()
    yield

@pytest.fixture
async def group(outer):
    group = anyio.create_task_group()
    await group.__aenter__()
    group.start_soon(anyio.sleep_forever)
    return group

async def test_scope(scope): ...
async def test_group(group): ...
async def test_itself(outer):
    anyio.CancelScope().__enter__()

@pytest.mark.virtual_time
async def test_next(outer):
    await anyio.sleep(1)
"""


def test_what_a_fixture_leaves_open_is_told(suite: Suite) -> None:
    """After the test, and not in the next one."""
    result = suite(LEAKS)
    assert result.became("test_scope") == result.became("test_group") == {"passed error"}
    assert result.became("test_itself") <= {"failed", "failed error"}
    assert result.became("test_next") == {"passed"}
    told = "RuntimeError: a scope or a task group was left open, by a fixture or by the test"
    assert result.text.count(told) >= 2 * len(BACKENDS)


INTERRUPTED = """
import os, signal, threading, time, anyio, anyio.to_thread, pytest, tukio
from pathlib import Path

pytestmark = pytest.mark.virtual_time(backends="{backend}")
BY = "{by}"

def note(text):
    with Path("story.txt").open("a") as story:
        story.write(text + "\\n")

@pytest.fixture
async def outer():
    async with tukio.Engine():
        yield
        await anyio.sleep(1)
    note("clean")

@pytest.fixture
async def engine(outer):
    if BY == "set-up":
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(1)

async def raises():
    await anyio.sleep(1)
    raise KeyboardInterrupt

async def test_it(engine):
    try:
        if BY == "thread":
            threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
            await anyio.to_thread.run_sync(time.sleep, 0.4)
        elif BY == "task":
            async with anyio.create_task_group() as group:
                group.start_soon(raises)
        else:
            signal.raise_signal(signal.SIGINT)
        await anyio.sleep(1)
        note("went on")
    finally:
        note("unwound")

async def test_next():
    note("next")
"""


@pytest.mark.parametrize("by", ["test", "set-up", "thread", "task"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_ends_the_session_and_cleans_up(
    pytester: pytest.Pytester, backend: str, by: str
) -> None:
    """Wherever it comes: what is set up is cleaned up, and nothing goes on."""
    pytester.makeconftest('pytest_plugins = ["tukio.testing.plugin"]')
    pytester.makepyfile(INTERRUPTED.format(backend=backend, by=by))
    result = pytester.runpytest_subprocess("-pno:cacheprovider", "-pno:anyio", timeout=60)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    story = (pytester.path / "story.txt").read_text().split()
    assert story == ["unwound"] * (by != "set-up") + ["clean"]


PRESSED = """
import signal, anyio, pytest
from pathlib import Path

pytestmark = pytest.mark.virtual_time(backends="{backend}")

def note(text):
    with Path("story.txt").open("a") as story:
        story.write(text + "\\n")

async def press():
    signal.raise_signal(signal.SIGINT)
    await anyio.sleep(1)

@pytest.fixture
async def outer():
    async with anyio.create_task_group() as group:
        yield group
        await anyio.sleep(1)
    note("outer")

@pytest.fixture
async def server(outer):
    async with anyio.create_task_group() as group:
        if "{by}" == "task":
            group.start_soon(press)
        else:
            signal.raise_signal(signal.SIGINT)
        yield group
        await anyio.sleep(1)
    note("server")
    raise LookupError

async def test_it(server):
    note("test")
"""


@pytest.mark.parametrize("by", ["itself", "task"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_in_a_set_up_that_awaits_nothing_more_ends_the_session(
    pytester: pytest.Pytester, backend: str, by: str
) -> None:
    """What was set up all the same is cleaned up, and no error takes the place of Ctrl-C.

    On trio, Ctrl-C ends a set-up at once. That of a task comes out of the task group of the fixture
    in its clean-up, behind which pytest cleans up nothing more.
    """
    pytester.makeconftest('pytest_plugins = ["tukio.testing.plugin"]')
    pytester.makepyfile(PRESSED.format(backend=backend, by=by))
    result = pytester.runpytest_subprocess("-pno:cacheprovider", "-pno:anyio", timeout=60)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in result.stderr.str()
    told = Path(pytester.path / "story.txt")
    story = told.read_text().split() if told.exists() else []
    on_trio = {"itself": ["outer"], "task": ["test"]}
    assert story == (on_trio[by] if backend == "trio" else ["server", "outer"])
