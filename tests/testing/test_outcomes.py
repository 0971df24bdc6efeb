"""What fixtures and tests in virtual time raise, as pytest goes on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tukio.testing import BACKENDS
from tukio.testing.outcomes import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.suites import Suite

pytest_plugins = ["pytester"]


RAISED = """
import asyncio, anyio, pytest

pytestmark = pytest.mark.virtual_time

class Odd(BaseException): ...

def fails(): pytest.fail("by a task")
def skips(): pytest.skip("by a task")
def xfails(): pytest.xfail("by a task")
def raises_nothing():
    with pytest.raises(ValueError):
        pass
def exits(): raise SystemExit(3)
def is_odd(): raise Odd("at heart")
def cancels(): raise asyncio.CancelledError
def ends(): raise GeneratorExit

CASES = [
    pytest.param((what, when, is_in_task), id=f"{what.__name__}-{when}-{is_in_task}")
    for what in [fails, skips, xfails, raises_nothing, exits, is_odd, cancels, ends]
    for when in ["before", "after"]
    for is_in_task in [False, True]
    # A task that raises one of these may end without a word.
    if not (is_in_task and what in [cancels, ends])
]
made, cleaned_up = [], []

@pytest.fixture
async def outer(request):
    made.append(request.node.name)
    yield made[-1]
    cleaned_up.append(request.node.name)

async def act(what, is_in_task):
    async def task():
        what()
    if not is_in_task:
        what()
    async with anyio.create_task_group() as group:
        group.start_soon(task)

@pytest.fixture
async def server(outer, request):
    what, when, is_in_task = getattr(request, "param", (None, None, None))
    if when == "before":
        await act(what, is_in_task)
    yield outer
    if when == "after":
        await act(what, is_in_task)

@pytest.mark.parametrize("server", CASES, indirect=True)
async def test_it(server, request):
    assert server == request.node.name

async def test_next(server, request):
    assert server == request.node.name

def test_last():
    # The one that says that its loop is gone has ended it.
    assert [name for name in made if "ends" not in name] == cleaned_up
"""


def test_whatever_a_fixture_raises_later_tests_have_fixtures_of_their_own(suite: Suite) -> None:
    """And those around it are cleaned up. In a task group, an outcome of pytest is one, too."""
    result = suite(RAISED)
    for test, outcome in result.outcomes.items():
        its = "skipped" if "-skips-" in test else "error"
        if "-xfails-" in test:
            assert outcome == "passed", test
        elif "-before-" in test:
            assert outcome in {its, "error error"}, test
        elif "-after-" in test:
            assert outcome == f"passed {its}", test
    assert result.text.count(" XFAIL ") == 4 * len(BACKENDS)
    assert result.became("test_next") == result.became("test_last") == {"passed"}
    for backend in BACKENDS:
        assert result.outcomes[f"test_it[{backend}-ends-before-False]"] == "error error"
    assert "RuntimeError: fixture 'server' raised Odd: at heart" in result.text


OF_TESTS = """
import anyio, pytest

pytestmark = pytest.mark.virtual_time

@pytest.fixture
async def group():
    async with anyio.create_task_group() as group:
        yield group

async def skips(): pytest.skip("no")
async def fails(): pytest.fail("broken")
async def raises(): raise LookupError

async def test_skips():
    async with anyio.create_task_group() as group:
        group.start_soon(skips)

async def test_skips_with_fixture(group):
    async with anyio.create_task_group() as inner:
        inner.start_soon(skips)

async def test_fails_and_skips():
    async with anyio.create_task_group() as group:
        group.start_soon(skips)
        group.start_soon(fails)

async def test_raises_and_skips(group):
    async with anyio.create_task_group() as inner:
        inner.start_soon(skips)
        inner.start_soon(raises)
"""


def test_a_task_group_of_a_test_passes_outcomes_on(suite: Suite) -> None:
    """It hides no error behind a test that is skipped."""
    result = suite(OF_TESTS)
    assert result.became("test_skips") == result.became("test_skips_with_fixture") == {"skipped"}
    assert result.became("test_fails_and_skips") == {"failed"}
    assert result.became("test_raises_and_skips") == {"failed"}


EXITS = """
import anyio, pytest

pytestmark = pytest.mark.virtual_time(backends="{backend}")

async def leave():
    pytest.exit("enough", returncode=7)

@pytest.fixture
async def server():
    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        await anyio.sleep(1)
        yield

async def test_it(server): ...
async def test_itself():
    async with anyio.create_task_group() as group:
        group.start_soon(leave)
async def test_next(): ...
"""


@pytest.mark.parametrize("name", ["test_it", "test_itself"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_session_can_be_ended_in_a_task_group(suite: Suite, backend: str, name: str) -> None:
    """By a fixture, or by a test."""
    result = suite(EXITS.format(backend=backend), "-k", f"{name}[ or test_next")
    assert "Exit: enough" in result.text
    assert result.outcomes == {}


def raised(function: Callable[[], object]) -> BaseException:
    """Return what a function raises."""
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


def test_the_outcome_of_a_group_is_the_gravest() -> None:
    """At any depth; of one that hides an error, there is none."""
    skip, fail = raised(lambda: pytest.skip("no")), raised(lambda: pytest.fail("no"))
    xfail, end = raised(lambda: pytest.xfail("no")), raised(lambda: pytest.exit("no"))

    def of(*errors: BaseException) -> BaseException | None:
        return outcome_of(BaseExceptionGroup("", [BaseExceptionGroup("", errors)]))

    assert of(skip) is skip
    assert of(xfail, skip) is xfail
    assert of(skip, fail, xfail) is fail
    assert of(fail, LookupError(), end) is end
    assert of(skip, LookupError()) is None
    assert of(xfail, KeyError()) is None
    assert outcome_of(fail) is None
