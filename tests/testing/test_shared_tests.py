"""Tests that are shared by those who bear the mark and those who do not."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from tukio.testing import BACKENDS

if TYPE_CHECKING:
    from support.suites import Suite

pytest_plugins = ["pytester"]


CONTRACT = """
import asyncio, anyio, pytest
from hypothesis import HealthCheck, given, settings, strategies as st

class Contract:
    async def test_it(self, request):
        self.check(request.node)

    @settings(max_examples=2, database=None, suppress_health_check=list(HealthCheck))
    @given(n=st.integers(0, 1))
    async def test_property(self, n):
        self.check(None)

    async def test_names(self, request):
        assert ("tukio_backend" in request.fixturenames) == (self.name == "virtual")
        assert ("tukio_seed" in request.fixturenames) == (self.name == "virtual")

class TestReal{first}(Contract):
    name = "real"
    pytestmark = pytest.mark.{theirs}

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    def check(self, node):
        assert anyio.current_time() > 1

@pytest.mark.virtual_time(seeds=1)
class TestVirtual{second}(Contract):
    name = "virtual"

    def check(self, node):
        assert anyio.current_time() == 0
"""


@pytest.mark.parametrize("theirs", ["anyio", "asyncio"])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_class_shares_its_tests_with_one_that_bears_no_mark(
    suite: Suite, theirs: str, *, is_reversed: bool
) -> None:
    """Whoever is collected first; a property, too."""
    if theirs == "asyncio":
        pytest.importorskip("pytest_asyncio")
    source = CONTRACT.format(first="", second="", theirs=theirs)
    if is_reversed:
        before, real = source.split("class TestReal")
        real, virtual = real.split("@pytest.mark.virtual_time")
        source = f"{before}@pytest.mark.virtual_time{virtual}\nclass TestReal{real}"
    options = ["-p", "no:asyncio"] if theirs == "anyio" else ["-p", "no:anyio"]
    result = suite(source, *options)
    assert set(result.outcomes.values()) == {"passed"}, result.text
    # anyio multiplies what bears its mark also for those who do not.
    if theirs != "anyio" or is_reversed:
        assert len(result.outcomes) == 3 + 3 * len(BACKENDS)


SHARED = """
import anyio, pytest

pytestmark = pytest.mark.virtual_time

async def test_one(request, record):
    await anyio.sleep(0.01)
    record(request, anyio.current_time())

class TestGroup:
    async def test_method(self, request, record):
        record(request, anyio.current_time())

    @staticmethod
    async def test_static(request, record):
        record(request, anyio.current_time())
"""

IMPORTS = """
import inspect, pytest
from {module} import TestGroup, test_one

pytestmark = pytest.mark.asyncio

def test_they_are_what_they_were():
    assert inspect.iscoroutinefunction(test_one)
    assert inspect.iscoroutinefunction(TestGroup.test_method)
    assert isinstance(vars(TestGroup)["test_static"], staticmethod)
    assert not hasattr(test_one, "pytestmark")
"""

RECORDS = """
import pytest
pytest_plugins = ["tukio.testing.plugin"]

@pytest.fixture
def record():
    def check(request, time):
        is_ours = request.module.__name__ != "test_m"
        assert (time <= 10) == is_ours
        assert ("tukio_backend" in request.fixturenames) == is_ours
    return check
"""


@pytest.mark.parametrize("first", ["a", "z"])
def test_a_module_imports_tests_of_one_that_bears_the_mark(
    pytester: pytest.Pytester, first: str
) -> None:
    """They are in real time there, whichever is collected first."""
    pytest.importorskip("pytest_asyncio")
    pytester.makeconftest(RECORDS)
    module = f"test_{first}"
    pytester.makepyfile(**{module: SHARED, "test_m": IMPORTS.format(module=module)})
    options = ("-pno:cacheprovider", "-oasyncio_default_fixture_loop_scope=function")
    result = pytester.runpytest_subprocess(*options, timeout=60)
    result.assert_outcomes(passed=3 * len(BACKENDS) + 4)


STATIC = """
import anyio, pytest

@pytest.mark.virtual_time
class Test:
    @staticmethod
    async def test_static(month):
        await anyio.sleep(month)
        assert anyio.current_time() == month

    @classmethod
    async def test_class(cls, month):
        assert cls is Test
        await anyio.sleep(month)
        assert anyio.current_time() == month

class TestMarks:
    @pytest.mark.virtual_time(backends="trio")
    @staticmethod
    async def test_above(month, tukio_backend):
        assert tukio_backend == "trio"

    @staticmethod
    @pytest.mark.virtual_time(backends="trio")
    async def test_below(month, tukio_backend):
        assert tukio_backend == "trio"

@pytest.fixture
def month():
    return 30 * 24 * 3600
"""


def test_a_static_method_and_a_class_method_are_tests_as_well(suite: Suite) -> None:
    """As for pytest; with the mark on them, or on what is in them."""
    result = suite(STATIC)
    for name, count in {"static": len(BACKENDS), "above": 1, "below": 1}.items():
        assert len([test for test in result.of("passed") if f"test_{name}[" in test]) == count
    assert result.became("test_class") == {"passed"}
    assert len(result.of("passed")) == len(result.outcomes)


MARKS = """
import pytest

@pytest.mark.virtual_time(backends="trio")
class TestBase:
    async def test_it(self, tukio_backend):
        assert tukio_backend == self.backend
    backend = "trio"

@pytest.mark.virtual_time(backends="asyncio", seeds=2)
class TestSub(TestBase):
    backend = "asyncio"
    async def test_seed(self, tukio_seed):
        assert tukio_seed in (0, 1)

@pytest.mark.virtual_time(backends="uvloop")
@pytest.mark.virtual_time(backends="asyncio")
async def test_both(tukio_backend):
    assert tukio_backend == "uvloop"

@pytest.mark.virtual_time(backends="trio")
@pytest.mark.parametrize(
    "n", [1, pytest.param(2, marks=pytest.mark.virtual_time(patience=1))]
)
async def test_param(n, tukio_backend):
    assert tukio_backend == "trio"
"""


def test_of_several_marks_the_nearest_counts(suite: Suite) -> None:
    """For its backends, and for its seeds."""
    result = suite(MARKS)
    assert set(result.outcomes) == {
        "TestBase::test_it[trio]",
        "TestSub::test_it[asyncio-seed0]",
        "TestSub::test_it[asyncio-seed1]",
        "TestSub::test_seed[asyncio-seed0]",
        "TestSub::test_seed[asyncio-seed1]",
        "test_both[uvloop]",
        "test_param[trio-1]",
        "test_param[trio-2]",
    }
    assert set(result.outcomes.values()) == {"passed"}


AGAIN = """
import anyio, pytest

@pytest.mark.virtual_time
class Test:
    async def test_it(self):
        await anyio.sleep(10)

@pytest.mark.virtual_time
async def test_alone():
    await anyio.sleep(10)
"""

RUN_TWICE = """
from _pytest.runner import runtestprotocol

pytest_plugins = ["tukio.testing.plugin"]

def pytest_runtest_protocol(item, nextitem):
    for count in (1, 2):
        if count == 2:
            item._initrequest()
        runtestprotocol(item, nextitem=nextitem, log=True)
    return True
"""


def test_a_test_may_be_run_again(pytester: pytest.Pytester) -> None:
    """As plugins do it with those that have failed."""
    pytester.makeconftest(RUN_TWICE)
    pytester.makepyfile(AGAIN)
    options = ("-pno:cacheprovider", "-pno:asyncio", "-pno:anyio")
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=4 * len(BACKENDS))


SYNCHRONOUS = """
import anyio, pytest
pytestmark = pytest.mark.virtual_time
cleaned = []

@pytest.fixture(autouse=True)
async def clean():
    yield
    cleaned.append(1)

async def test_before(): await anyio.sleep(1)
def test_sync(): ...
async def test_behind(): await anyio.sleep(1)
"""


def test_a_synchronous_test_with_an_async_fixture_is_told_so(suite: Suite) -> None:
    """And spoils no fixture of those behind."""
    result = suite(SYNCHRONOUS, "-p", "no:asyncio")
    assert result.became("test_before") == result.became("test_behind") == {"passed"}
    assert result.became("test_sync") == {"error"}
    told = "test 'test_sync' is synchronous, and fixture 'clean' is async"
    assert told in result.text
    assert "make the test 'async def'" in result.text


def test_a_synchronous_test_is_left_to_a_plugin_that_takes_its_fixtures(suite: Suite) -> None:
    """As the auto mode of pytest-asyncio, and that of anyio."""
    pytest.importorskip("pytest_asyncio")
    result = suite(SYNCHRONOUS, "-o", "asyncio_mode=auto")
    assert set(result.outcomes.values()) == {"passed"}, result.text
    if Version(version("anyio")) >= Version("4.11"):
        source = SYNCHRONOUS.replace("def test_sync():", "def test_sync(anyio_backend):")
        result = suite(source, "-p", "no:asyncio")
        assert set(result.outcomes.values()) == {"passed"}, result.text
