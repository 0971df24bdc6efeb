"""A test that leaves something behind, or is stuck, fails, and no other does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import pytest
import trio
from hypothesis import given, strategies as st

from support.leaks import Leak, no_asyncio_errors, no_leaks
from tukio.testing.clock import BACKENDS, new_loop, settle
from tukio.testing.deadlock import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tukio.testing.loop import VirtualTime

pytest_plugins = ["pytester"]

LOOPS = pytest.mark.backends("asyncio", "uvloop")
DAY = 24 * 3600


@pytest.fixture
def loop(backend: str) -> Iterator[VirtualTime]:
    """Give a loop that the test drives itself."""
    loop = new_loop(backend)
    yield loop
    loop.close()


# Leaks


@LOOPS
async def test_a_task_left_alive_is_a_leak_with_a_name() -> None:
    """The message says who it is."""
    gate = asyncio.Event()
    with pytest.raises(Leak, match="forgotten"):
        async with no_leaks():
            asyncio.get_running_loop().create_task(gate.wait(), name="forgotten")
    gate.set()


@pytest.mark.backends("asyncio")
async def test_what_asyncio_notes_of_a_task_is_short_and_its_place_is_there() -> None:
    """To note whole stacks takes longer than most tests do."""
    task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    noted = cast("Any", task)._source_traceback
    await task
    assert len(noted) <= 3
    assert any(__name__.rpartition(".")[2] in place.filename for place in noted)


@pytest.mark.backends("trio")
async def test_a_task_left_alive_is_a_leak_on_trio_too() -> None:
    """A nursery can be left open only on purpose; system tasks are watched as well."""
    system = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        with pytest.raises(Leak, match=r"task 'child'.*task 'system'"):
            async with no_leaks():
                nursery.start_soon(trio.sleep_forever, name="child")
                trio.lowlevel.spawn_system_task(_sleep_within, system, name="system")
        system.cancel()
        nursery.cancel_scope.cancel()


async def _sleep_within(scope: trio.CancelScope) -> None:
    with scope:
        await trio.sleep_forever()


@LOOPS
async def test_a_timer_left_set_is_a_leak() -> None:
    """A timer keeps alive all that its callback refers to."""
    timers: list[asyncio.TimerHandle] = []
    with pytest.raises(Leak, match="timer"):
        async with no_leaks():
            timers.append(asyncio.get_running_loop().call_later(DAY, print))
    timers[0].cancel()


async def test_what_is_over_or_about_to_end_is_no_leak() -> None:
    """Tasks that have been there before are none either."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, DAY)
        await settle()
        async with no_leaks():
            tasks.start_soon(anyio.lowlevel.checkpoint)
            with anyio.move_on_after(5):
                await anyio.sleep(1)


@LOOPS
def test_an_error_that_nobody_saw_is_a_leak(loop: VirtualTime) -> None:
    """It is found when the failed task is collected, if not before."""

    async def fail_unseen() -> None:
        task = asyncio.create_task(_fail(), name="doomed")
        await asyncio.wait([task])

    with pytest.raises(Leak, match=r"never retrieved(?s:.*)'boom'"), no_asyncio_errors():
        loop.run_until_complete(fail_unseen())
    with pytest.raises(Leak, match="ZeroDivisionError"), no_asyncio_errors():
        loop.call_soon(lambda: 1 // 0)
        loop.run_until_complete(asyncio.sleep(1))


async def _fail() -> None:
    msg = "boom"
    raise ValueError(msg)


# The suite: conftest.py


@pytest.mark.parametrize("number", [1, 2])
async def test_parameters_multiply_with_backends(
    backend: str, number: int, request: pytest.FixtureRequest
) -> None:
    """The id of a test names its backend."""
    running = "trio" if trio.lowlevel.in_trio_run() else "asyncio"
    assert running == ("asyncio" if backend == "uvloop" else backend)
    assert {backend, str(number)} <= set(re.split(r"[\[\]-]", request.node.name))
    await anyio.lowlevel.checkpoint()


@given(st.integers(0, 1000))
async def test_each_example_of_a_property_has_a_clock_of_its_own(delay: int) -> None:
    """An async test may be a property."""
    assert anyio.current_time() == START
    await anyio.sleep(delay)
    assert anyio.current_time() == START + delay


GUILTY = """
import asyncio, anyio, pytest

async def test_good(backend, tmp_path):
    await anyio.sleep(1)

async def test_waits_for_ever():
    await anyio.sleep_forever()

async def test_forgets_to_await():
    anyio.sleep(1)

@pytest.mark.backends("uvloop")
async def test_forgets_a_task():
    asyncio.get_running_loop().create_task(anyio.sleep_forever(), name="forgotten")

@pytest.mark.backends("asyncio")
async def test_breaks_a_callback():
    asyncio.get_running_loop().call_soon(lambda: 1 // 0)

def test_sync():
    pass
"""


def test_each_kind_of_guilt_fails_the_guilty_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fixtures of the suite, seen from outside: each failure is where it belongs."""
    for name in ("TUKIO_BACKENDS", "TUKIO_TURNS", "TUKIO_ELSE"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile(GUILTY)
    outcome = pytester.inline_run("-Werror", "-pno:cacheprovider", "-pno:asyncio")
    passed, _, failed = outcome.listoutcomes()
    assert {report.nodeid.partition("[")[0].split("_")[-1] for report in passed} == {"good", "sync"}
    assert len(passed) == 4
    reason_by_test = {
        report.nodeid.rpartition("::test_")[2]: report.longreprtext for report in failed
    }
    expected = {
        "forgets_a_task[uvloop]": "Leak: left behind: task 'forgotten'",
        "breaks_a_callback[asyncio]": "Leak: asyncio reports: Exception in callback",
    }
    for name in BACKENDS:
        expected[f"waits_for_ever[{name}]"] = "Deadlock: deadlock"
        expected[f"forgets_to_await[{name}]"] = "was never awaited"
    assert reason_by_test.keys() == expected.keys()
    assert [name for name in expected if expected[name] not in reason_by_test[name]] == []


def test_an_unknown_backend_is_refused(pytester: pytest.Pytester) -> None:
    """A marker with a typing error must not silently run nothing."""
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile("import pytest\n@pytest.mark.backends('curio')\nasync def test_x(): ...")
    result = pytester.runpytest_inprocess("-pno:cacheprovider", "-pno:asyncio")
    result.stdout.fnmatch_lines(["*no backend is called 'curio'*"])


def test_backends_that_were_not_chosen_are_left_out(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a quick look; what runs on no backend runs in any case."""
    monkeypatch.delenv("TUKIO_TURNS", raising=False)
    monkeypatch.setenv("TUKIO_BACKENDS", "uvloop,trio")
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile(GUILTY)
    outcome = pytester.inline_run("-Werror", "-pno:cacheprovider", "-pno:asyncio")
    passed, _, failed = outcome.listoutcomes()
    assert {report.nodeid.rpartition("_")[2] for report in passed} == {
        "good[uvloop]",
        "good[trio]",
        "sync",
    }
    assert "asyncio" not in {report.nodeid.rpartition("[")[2].rstrip("]") for report in failed}
