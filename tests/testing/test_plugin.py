"""`tukio.testing.plugin`, seen from outside: a suite of a user's own, run by pytest in pytest."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from tukio.testing import BACKENDS

if TYPE_CHECKING:
    from support.suites import Suite

pytest_plugins = ["pytester"]


MARKED = """
import anyio, pytest

@pytest.fixture
def month():
    return 30 * 24 * 3600

@pytest.mark.virtual_time
async def test_alone(month):
    await anyio.sleep(month)
    assert anyio.current_time() == month

@pytest.mark.virtual_time
@pytest.mark.parametrize("days", [1, 2])
async def test_with_parameters(tukio_backend, days, tmp_path):
    import sniffio
    await anyio.sleep(days)
    assert sniffio.current_async_library() == tukio_backend.replace("uvloop", "asyncio")

@pytest.mark.virtual_time
class TestGroup:
    async def test_method(self):
        await anyio.sleep(1)
        self.seen = True

    def test_sync(self):
        assert not hasattr(self, "seen")
"""


def test_a_marked_test_runs_on_each_backend(suite: Suite) -> None:
    """As a function or a method, with fixtures and parameters of its own."""
    result = suite(MARKED)
    names = [f"test_alone[{name}]" for name in BACKENDS]
    names += [f"test_with_parameters[{name}-{days}]" for name in BACKENDS for days in (1, 2)]
    names += [f"TestGroup::test_method[{name}]" for name in BACKENDS]
    assert sorted(result.of("passed")) == sorted([*names, "TestGroup::test_sync"])
    assert len(result.outcomes) == len(names) + 1


FAILING = """
import anyio, pytest
pytestmark = pytest.mark.virtual_time

async def test_is_wrong():
    await anyio.sleep(1)
    time = anyio.current_time()
    assert time == 2

async def test_waits_in_vain():
    await anyio.Event().wait()
"""


def test_a_failure_shows_the_test(suite: Suite) -> None:
    """The line that failed and its values; where it waited, if it waited for ever."""
    result = suite(FAILING)
    assert len(result.of("failed")) == len(result.outcomes) == 2 * len(BACKENDS)
    assert result.text.count("assert 1.0 == 2") >= len(BACKENDS)
    assert len(re.findall(r"^>\s+await anyio.Event\(\).wait\(\)$", result.text, re.MULTILINE)) == 3
    assert result.text.count("Deadlock: deadlock: all tasks wait") >= len(BACKENDS)


RACE = """
import anyio, pytest

async def race():
    story = []
    async def runner(name):
        await anyio.sleep(1)
        story.append(name)
    async with anyio.create_task_group() as tasks:
        for name in "ab":
            tasks.start_soon(runner, name)
    return story

@pytest.mark.virtual_time(seeds=12)
async def test_race(tukio_seed):
    assert await race() == ["a", "b"]

@pytest.mark.virtual_time(seeds=[7, 3], backends="asyncio")
async def test_some(tukio_seed, tukio_backend):
    assert tukio_seed in (7, 3) and tukio_backend == "asyncio"

@pytest.mark.virtual_time(backends=["asyncio", "uvloop"])
async def test_no_seed(tukio_seed):
    assert tukio_seed is None
    assert await race() == ["a", "b"]
"""


def test_seeds_find_what_depends_on_the_order(suite: Suite) -> None:
    """The name of a test that fails has the seed to run it with again."""
    result = suite(RACE)
    for backend in BACKENDS:
        names = [f"test_race[{backend}-seed{seed}]" for seed in range(12)]
        assert {result.outcomes.pop(name) for name in names} == {"passed", "failed"}
    assert result.outcomes == {
        "test_some[asyncio-seed7]": "passed",
        "test_some[asyncio-seed3]": "passed",
        "test_no_seed[asyncio-None]": "passed",
        "test_no_seed[uvloop-None]": "passed",
    }


PROPERTY = """
import anyio, pytest
from hypothesis import given, settings, strategies as st

@pytest.mark.virtual_time
@settings(database=None, max_examples=30)
@given(delay=st.integers(0, 1000))
async def test_property(delay):
    assert anyio.current_time() == 0
    await anyio.sleep(delay)
    assert delay < 7
"""


def test_a_property_has_a_run_for_each_example(suite: Suite) -> None:
    """And shrinks to the least that fails."""
    result = suite(PROPERTY)
    assert len(result.of("failed")) == len(BACKENDS)
    assert result.text.count("delay=7,") == len(BACKENDS)


# Backends


NAMED = """
import anyio, pytest

@pytest.mark.virtual_time
async def test_all(): ...

@pytest.mark.virtual_time(backends=["asyncio", "uvloop"])
async def test_named(): ...
"""


def test_a_backend_that_is_not_installed_is_skipped_if_it_is_named(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else misses it."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    result = suite(NAMED, "-rs")
    assert result.outcomes == {
        "test_all[asyncio]": "passed",
        "test_all[trio]": "passed",
        "test_named[asyncio]": "passed",
        "test_named[uvloop]": "skipped",
    }
    assert "uvloop is not installed" in result.text


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("backends=['curio']", "no backend is called 'curio' - the mark takes asyncio, uvloop"),
        ("backend='trio'", "takes backends=, seeds= and patience="),
        ("'trio'", "takes backends=, seeds= and patience="),
    ],
)
def test_a_mark_that_cannot_be_meant_is_refused(suite: Suite, mark: str, words: str) -> None:
    """It must not silently run something else, or nothing."""
    result = suite(f"import pytest\n@pytest.mark.virtual_time({mark})\nasync def test_x(): ...")
    assert words in result.text
    assert result.outcomes == {}


def test_the_patience_of_a_test_is_its_own(suite: Suite) -> None:
    """A thread may need longer, or be suspected sooner."""
    source = """
        import threading, anyio.to_thread, pytest
        @pytest.mark.virtual_time(patience=0.02, backends="asyncio")
        async def test_stuck():
            await anyio.to_thread.run_sync(threading.Event().wait, 0.2)
        @pytest.mark.virtual_time(backends="asyncio")
        async def test_slow():
            await anyio.to_thread.run_sync(threading.Event().wait, 0.05)
    """
    result = suite(source)
    assert result.outcomes == {"test_stuck[asyncio]": "failed", "test_slow[asyncio]": "passed"}
    assert "for 0.02 real seconds" in result.text


# Other plugins

MIXED = """
import asyncio, anyio, pytest, time

@pytest.mark.virtual_time
async def test_ours(tukio_backend):
    await anyio.sleep(10**6)

@pytest.mark.anyio
async def test_of_anyio(anyio_backend_name):
    assert time.monotonic() - 60 < anyio.current_time() or anyio_backend_name == "trio"

async def test_of_none():
    assert time.monotonic() - 60 < anyio.current_time()
"""

OURS = {f"test_ours[{name}]" for name in BACKENDS}
OF_ANYIO = {f"test_of_anyio[{name}]" for name in ("asyncio", "trio")}


def test_only_marked_tests_are_taken(suite: Suite) -> None:
    """The others are left to their plugins, if any."""
    result = suite(MIXED, "-p", "no:asyncio")
    assert set(result.of("passed")) == OURS | OF_ANYIO
    # Up to 8.3, pytest only warns of a test that nobody can run.
    assert result.of("failed" if pytest.version_tuple >= (8, 4) else "skipped") == ["test_of_none"]


def test_marked_tests_are_ours_although_anyio_takes_all(suite: Suite) -> None:
    """In its auto mode, which came with anyio 4.11."""
    if Version(version("anyio")) < Version("4.11"):
        pytest.skip("this anyio has no auto mode")
    options = ["-p", "no:asyncio", "-o", "anyio_mode=auto", "-k", "not none or asyncio"]
    result = suite(MIXED, *options)
    assert set(result.of("passed")) == OURS | OF_ANYIO | {"test_of_none[asyncio]"}


def test_marked_tests_are_ours_although_pytest_asyncio_takes_all(suite: Suite) -> None:
    """In its auto mode."""
    pytest.importorskip("pytest_asyncio")
    result = suite(MIXED, "-o", "asyncio_mode=auto")
    assert set(result.of("passed")) == OURS | OF_ANYIO | {"test_of_none"}
    properties = suite(PROPERTY, "-o", "asyncio_mode=auto")
    assert properties.text.count("delay=7,") == len(BACKENDS)
