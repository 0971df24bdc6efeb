"""Async fixtures that another plugin takes, too, or that are for several tests."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from tukio.testing import BACKENDS

if TYPE_CHECKING:
    from support.suites import Suite

pytest_plugins = ["pytester"]


WIDE = """
import anyio, pytest

@pytest.fixture(scope="module")
async def shared():
    return 1

@pytest.fixture
async def own(shared):
    return shared

@pytest.mark.virtual_time
async def test_by_name(request):
    request.getfixturevalue("shared")

async def test_theirs(own):
    assert own == 1

@pytest.mark.virtual_time
async def test_ours(own): ...

class TestOverrides:
    @pytest.fixture
    def shared(self):
        return 2

    @pytest.mark.virtual_time
    async def test_override(self, own):
        assert own == 2
"""


def test_a_fixture_for_several_tests_is_refused(suite: Suite) -> None:
    """It would live in another loop, or in none; how to go on is told."""
    result = suite(WIDE, "-p", "no:asyncio", "-k", "not theirs")
    assert result.became("test_ours") == {"error"}
    assert result.became("test_by_name") == {"failed"}
    assert result.became("test_override") == {"passed"}
    told = "fixture 'shared' is async and has the scope 'module', but each test in virtual time has"
    assert result.text.count(told) == 2 * len(BACKENDS)
    assert "give the fixture the scope 'function'" in result.text


def test_a_fixture_for_several_tests_is_refused_though_another_plugin_has_set_it_up(
    suite: Suite,
) -> None:
    """What it gives lives in the loop of that plugin."""
    pytest.importorskip("pytest_asyncio")
    options = ["mode=auto", "default_fixture_loop_scope=module", "default_test_loop_scope=module"]
    result = suite(WIDE, *[word for option in options for word in ("-o", f"asyncio_{option}")])
    assert result.became("test_theirs") == {"passed"}
    assert result.became("test_ours") == {"error"}
    assert result.became("test_override") == {"passed"}


MIXED = """
import asyncio, time, anyio, pytest
{more}

@pytest.fixture
async def clock():
    await anyio.sleep(0)
    yield anyio.current_time()

{decorator}
async def here():
    return asyncio.get_running_loop()

{decorator}
async def theirs(here):
    yield here

@pytest.mark.virtual_time
async def test_ours(clock, tukio_backend):
    await anyio.sleep(10**6)
    assert clock == 0

{mark}
async def test_theirs(clock, {arguments}):
    assert clock > 0

@pytest.mark.virtual_time(backends="asyncio")
async def test_ours_with_theirs(theirs):
    assert asyncio.get_running_loop() is theirs
"""


def mixed(more: str = "", mark: str = "", *, arguments: str = "", decorator: str = "") -> str:
    """Return a suite with tests of ours and of another plugin."""
    decorator = decorator or "@pytest.fixture"
    return MIXED.format(more=more, mark=mark, arguments=arguments, decorator=decorator)


def test_fixtures_of_unmarked_tests_are_left_to_anyio(suite: Suite) -> None:
    """The same fixture is in real time there."""
    source = mixed(mark="@pytest.mark.anyio")
    source = source.replace("assert clock > 0", "assert clock > 0 or True")
    result = suite(source, "-p", "no:asyncio")
    assert set(result.outcomes.values()) == {"passed"}, result.text
    assert len(result.outcomes) == len(BACKENDS) + 3


def test_fixtures_of_unmarked_tests_are_left_to_anyio_that_takes_all(suite: Suite) -> None:
    """In its auto mode, which came with anyio 4.11."""
    if Version(version("anyio")) < Version("4.11"):
        pytest.skip("this anyio has no auto mode")
    result = suite(mixed(), "-p", "no:asyncio", "-o", "anyio_mode=auto")
    assert set(result.outcomes.values()) == {"passed"}, result.text
    assert len(result.outcomes) == len(BACKENDS) + 3


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_fixtures_of_unmarked_tests_are_left_to_pytest_asyncio(suite: Suite, mode: str) -> None:
    """Also those that say by their decorator that they are for it."""
    pytest.importorskip("pytest_asyncio")
    strict = mode == "strict"
    source = mixed(
        "import pytest_asyncio",
        "@pytest.mark.asyncio",
        decorator="@pytest_asyncio.fixture",
        arguments="theirs",
    )
    if strict:
        source = source.replace(
            "@pytest.fixture\nasync def clock", "@pytest_asyncio.fixture\nasync def clock"
        )
    result = suite(source, "-o", f"asyncio_mode={mode}")
    assert set(result.outcomes.values()) == {"passed"}, result.text
    assert len(result.outcomes) == len(BACKENDS) + 2
    # Nothing of that plugin is set up for a test in virtual time.
    result = suite(source, "-o", f"asyncio_mode={mode}", "--setup-only", "-k", "ours")
    assert "_tukio_runner" in result.text
    assert "_scoped_runner" not in result.text
