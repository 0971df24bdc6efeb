"""Async fixtures of tests in virtual time, seen from outside: a suite of a user's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tukio.testing import BACKENDS

if TYPE_CHECKING:
    from support.suites import Suite

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_what_the_page_shows_works(suite: Suite) -> None:
    """All that stands under "Fixtures", below what opens the page."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    shown = [sections[0], *(section for section in sections if section.startswith("Fixtures\n"))]
    blocks = [
        re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for text in shown
    ]
    result = suite("\n".join(block for found in blocks for block in found), "-Werror")
    assert result.became("test_reminder") == {"passed"}
    assert len(result.outcomes) == 2 * len(BACKENDS)


ENGINE = """
import anyio, pytest, tukio
from tukio.testing import registered

pytestmark = pytest.mark.virtual_time

async def work(event):
    await anyio.sleep(60)
    return {"seen": event.data["n"]}

FLOW = tukio.WorkflowTemplate.from_dict(
    {"id": "flow", "tasks": [{"id": "work", "name": "work"}], "graph": {"work": []}}
)

@pytest.fixture
async def engine():
    async with tukio.Engine() as engine:
        yield engine
    assert engine.done()
    assert anyio.current_time() >= 60

@pytest.fixture
def tasks():
    with registered(work):
        yield

@pytest.fixture(params=[1, 2])
async def run(request, tasks, engine):
    await anyio.sleep(request.param)
    return await engine.run_once(FLOW, {"n": request.param})

@pytest.fixture
def events(engine):
    seen = []
    engine.broker.register(lambda event: seen.append(event.data["type"]), tukio.EXEC_TOPIC)
    return seen

async def test_a_run(engine, events, run, tukio_backend):
    begun = anyio.current_time()
    await run.wait()
    assert run.outputs == {"work": {"seen": begun}}
    assert anyio.current_time() == begun + 60
    assert events[-1] == "workflow-end"
    assert tukio.broker.get_broker() is engine.broker

async def test_that_leaves_a_run(tasks, engine):
    await engine.run_once(FLOW, {"n": 0})
"""


def test_an_engine_of_a_fixture_is_that_of_the_test(suite: Suite) -> None:
    """On the same loop, by the same clock and in the same context; it is left after the test.

    Fixtures of fixtures, with parameters, and synchronous ones that depend on async ones.
    """
    result = suite(ENGINE, "-Werror")
    assert result.became("test_a_run") == {"passed"}
    assert result.became("test_that_leaves_a_run") == {"passed"}
    assert len(result.outcomes) == 3 * len(BACKENDS)


SAME_TASK = """
import contextvars, anyio, pytest
from anyio.lowlevel import checkpoint

pytestmark = pytest.mark.virtual_time
number = contextvars.ContextVar("number", default=0)
here = []

def look():
    here.append((anyio.get_current_task().id, number.get()))

@pytest.fixture
async def outer():
    here.clear()
    number.set(1)
    look()
    yield
    await checkpoint()
    look()
    assert len(set(here)) == 1 and len(here) == 6

@pytest.fixture
async def value(outer):
    await checkpoint()
    look()
    return 17

@pytest.fixture
async def group(value):
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            look()
            yield group, scope
            look()
    assert anyio.current_time() in (0, 10)

async def test_group(group, value):
    assert value == 17
    look()
    group[0].start_soon(anyio.sleep, 10)
    await anyio.sleep(3)

async def test_scope(group, value):
    look()
    group[1].cancel()
    with pytest.raises(anyio.get_cancelled_exc_class()):
        await checkpoint()
"""


def test_all_is_one_task(suite: Suite) -> None:
    """So a task group or a scope may be open across the `yield`, and context variables are kept."""
    result = suite(SAME_TASK, "-Werror")
    assert result.became("test_group") == result.became("test_scope") == {"passed"}


ORDER = """
import anyio, pytest

pytestmark = pytest.mark.virtual_time
story = []

def of(name):
    story.append(name)
    yield name
    story.append(f"-{name}")

@pytest.fixture(autouse=True)
async def first():
    story.clear()
    story.append("first")
    yield
    story.append("-first")
    assert " ".join(story) == "first two three four five test -five -four -three -two -first"

@pytest.fixture
def two():
    yield from of("two")

@pytest.fixture
async def three():
    await anyio.sleep(1)
    for step in of("three"):
        yield step
        await anyio.sleep(1)

@pytest.fixture
def four(three):
    yield from of("four")

@pytest.fixture
async def five(four):
    for step in of("five"):
        yield step
        await anyio.sleep(1)

async def test_passes(two, three, five):
    story.append("test")

async def test_fails(two, five):
    story.append("test")
    await anyio.sleep(1)
    assert three

async def test_is_skipped(two, five):
    story.append("test")
    pytest.skip("no")

@pytest.mark.xfail(strict=True)
async def test_is_expected_to_fail(two, five):
    story.append("test")
    raise LookupError

async def test_raises_anything(two, five):
    story.append("test")
    raise GeneratorExit
"""


def test_fixtures_are_set_up_in_the_order_of_pytest_and_cleaned_up_in_reverse(suite: Suite) -> None:
    """Synchronous and async ones, whatever becomes of the test."""
    result = suite(ORDER.replace("assert three", "assert not two"))
    assert result.became("test_passes") == {"passed"}
    assert result.became("test_fails") == {"failed"}
    assert result.became("test_is_skipped") == {"skipped"}
    assert result.text.count(" XFAIL") == len(BACKENDS)
    assert "assert not 'two'" in result.text


WAYS = """
import anyio, pytest

pytestmark = pytest.mark.virtual_time

@pytest.fixture
async def number():
    await anyio.sleep(1)
    return 1

@pytest.fixture(autouse=True)
async def everywhere():
    assert anyio.current_time() == 0
    yield

class Base:
    @pytest.fixture
    async def number(self, number):
        self.kept = number
        yield number + 1
        assert self.kept == 2

    @pytest.fixture
    async def indirect(self, request):
        return request.param * 10

    @pytest.fixture
    @staticmethod
    async def static():
        return "static"

class TestMethods(Base):
    async def test_override(self, number):
        assert (self.kept, number) == (1, 2)
        self.kept = 2

    @pytest.mark.parametrize("indirect", [3], indirect=True)
    async def test_indirect(self, indirect, static):
        assert (indirect, static) == (30, "static")

@pytest.fixture
def by_name(request):
    ended = []
    request.addfinalizer(lambda: ended.append(1))
    return request.getfixturevalue("number")

async def test_by_name(by_name, tmp_path, capsys, caplog):
    print(by_name)
    assert capsys.readouterr().out == "1\\n"

async def test_by_name_in_vain(request):
    await anyio.sleep(1)
    request.getfixturevalue("number")

@pytest.fixture
async def asks(request):
    return request.getfixturevalue("number")

async def test_a_fixture_asks_in_vain(asks): ...
"""


def test_fixtures_are_asked_for_in_all_ways_of_pytest(suite: Suite) -> None:
    """As methods, overridden, used everywhere, by name; where that cannot be, it is told."""
    result = suite(WAYS)
    for name in ("test_override", "test_indirect", "test_by_name"):
        assert result.became(name) == {"passed"}, result.text
    assert result.became("test_by_name_in_vain") == {"failed"}
    assert result.became("test_a_fixture_asks_in_vain") == {"error"}
    told = "fixture 'number' is async, and request.getfixturevalue('number') cannot await it"
    assert result.text.count(told) >= 2 * len(BACKENDS)


ERRORS = """
import anyio, pytest, tukio

in_virtual_time = pytest.mark.virtual_time
cleaned_up = []

@pytest.fixture
async def outer(request):
    async with tukio.Engine():
        yield
        await anyio.sleep(1)
    cleaned_up.append(request.node.originalname)

@pytest.fixture
async def fails(outer):
    await anyio.sleep(1)
    raise LookupError("set-up")

@pytest.fixture
async def fails_after(outer):
    yield
    await anyio.sleep(1)
    raise LookupError("clean-up")

@pytest.fixture
async def never_yields(outer):
    if not 1: yield

@pytest.fixture
async def yields_twice(outer):
    yield 1
    yield 2

@pytest.fixture
async def skips(outer):
    pytest.skip("in a fixture")

@in_virtual_time
class Test:
    async def test_set_up(self, fails): ...
    async def test_clean_up(self, fails_after): ...
    async def test_both(self, fails_after): raise KeyError("test")
    async def test_never(self, never_yields): ...
    async def test_twice(self, yields_twice): ...
    async def test_skipped(self, skips): ...

def test_last():
    for name in vars(Test):
        assert cleaned_up.count(name) == 3 * name.startswith("test")
"""


def test_errors_of_fixtures_are_reported_as_such(suite: Suite) -> None:
    """Those that were set up before are cleaned up all the same."""
    result = suite(ERRORS)
    assert result.became("test_set_up") == {"error"}
    assert result.became("test_clean_up") == {"passed error"}
    assert result.became("test_both") == {"failed error"}
    assert result.became("test_never") == {"error"}
    assert result.became("test_twice") == {"passed error"}
    assert result.became("test_skipped") == {"skipped"}
    text = result.text
    assert text.count('>       raise LookupError("set-up")') == len(BACKENDS)
    assert text.count('>       raise LookupError("clean-up")') == 2 * len(BACKENDS)
    assert "ERROR at setup of Test.test_set_up[asyncio]" in text
    assert "ERROR at teardown of Test.test_both[trio]" in text
    assert "ValueError: fixture 'never_yields' did not yield a value" in text
    assert "fixture 'yields_twice' has more than one 'yield'" in text
    assert result.became("test_last") == {"passed"}


SEEDS = """
import anyio, pytest
from anyio.lowlevel import checkpoint

orders = {}

@pytest.fixture
async def order():
    order = []
    async def note(name):
        await checkpoint()
        order.append(name)
    async with anyio.create_task_group() as group:
        for name in "abcd":
            group.start_soon(note, name)
    yield order

@pytest.mark.virtual_time(seeds=20)
async def test_seeds(order, tukio_backend, tukio_seed):
    seen = orders.setdefault(tukio_backend, {})
    assert seen.setdefault(tukio_seed, order) == order

def test_orders():
    assert all(len(set(map(str, seen.values()))) > 1 for seen in orders.values())
"""


def test_a_seed_orders_the_fixtures_too(suite: Suite) -> None:
    """And differs from other seeds."""
    result = suite(SEEDS)
    assert set(result.outcomes.values()) == {"passed"}
    assert len(result.outcomes) == 20 * len(BACKENDS) + 1


PROPERTY = """
import anyio, pytest, tukio
from hypothesis import HealthCheck, given, settings, strategies as st

@pytest.fixture
async def engine():
    async with tukio.Engine() as engine:
        yield engine

@pytest.mark.virtual_time
@settings(database=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(delay=st.integers(0, 1000))
async def test_property(delay, engine):
    assert not engine.done()
    await anyio.sleep(delay)
    assert delay < 7
"""


def test_the_examples_of_a_property_share_what_it_asks_for(suite: Suite) -> None:
    """As they share any fixture, which Hypothesis warns of."""
    result = suite(PROPERTY)
    assert len(result.of("failed")) == len(BACKENDS)
    assert result.text.count("delay=7,") == len(BACKENDS)


SHOWN = """
import pytest

@pytest.fixture
async def outer():
    yield

@pytest.fixture
async def inner(outer):
    return 1

@pytest.mark.virtual_time
async def test_it(inner): ...
"""


@pytest.mark.parametrize("option", ["--setup-show", "--setup-plan", "--setup-only"])
def test_fixtures_can_be_shown(suite: Suite, option: str) -> None:
    """As any fixtures, also where the test is not called."""
    result = suite(SHOWN, option)
    for word in ("SETUP    F inner", "SETUP    F outer", "TEARDOWN F outer"):
        assert result.text.count(word) == len(BACKENDS)
    assert "ERROR" not in result.text
