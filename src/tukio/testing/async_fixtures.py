"""Async fixtures of a test in virtual time: they are set up, and cleaned up, in its run and task.

Owns:   the run of a test with async fixtures: it begins with the first of them, and ends behind it.
Knows:  how pytest calls fixtures. It gets an ordinary function in the place of an async one, so no
        other plugin for async tests takes it; the order, the cache and the reports are pytest's.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from .._loop.running import running_backend
from .mark import BACKEND, SEED, VirtualTimeMark, mark_of
from .outcomes import called_for_fixture
from .runner import Runner
from .yielding import Yielding

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

RUNNER: pytest.StashKey[Runner] = pytest.StashKey()
"""Where a test keeps its run, if it has an async fixture."""


@pytest.fixture(name="_tukio_runner")
def tukio_runner(request: pytest.FixtureRequest) -> Generator[Runner, None, None]:
    """Give the run of a test with async fixtures; for the plugin alone."""
    item: Any = request.node
    mark = mark_of(item) or VirtualTimeMark()
    names = [BACKEND] if mark.seeds is None else [BACKEND, SEED]
    runner = Runner(**mark.way({name: request.getfixturevalue(name) for name in names}))
    item.stash[RUNNER] = runner
    yield runner
    del item.stash[RUNNER]
    called_for_fixture(runner.close, request.fixturename)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse async fixtures that would outlive the run of the test, also those set up before."""
    if not _is_ours(item):
        return
    fixtures = getattr(item, "_fixtureinfo", None)
    for definitions in getattr(fixtures, "name2fixturedefs", {}).values():
        # The last one is the one that is asked for.
        if definitions and definitions[-1].scope != "function" and _is_async(definitions[-1].func):
            _refusing(definitions[-1])()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Set an ordinary function in the place of an async fixture while pytest calls that."""
    item = request._pyfuncitem
    if not _is_async(fixturedef.func) or mark_of(item) is None:
        return (yield)
    definition: Any = fixturedef
    function, is_shared = definition.func, definition.scope != "function"
    if _is_ours(item):
        definition.func = _refusing(definition) if is_shared else _ordinary(function, request)
    try:
        return (yield)
    finally:
        definition.func = function
        if is_shared and _is_ours(item):
            # Else pytest keeps the failure for tests that are not in virtual time.
            definition.finish(request)


@pytest.hookimpl(specname="pytest_fixture_setup", tryfirst=True)
def pytest_fixture_setup_of_nobody(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> None:
    """Refuse an async fixture of a synchronous test that bears the mark, if nobody has taken it.

    By now the plugins that take async fixtures have set functions of theirs in the place. pytest
    would refuse it, too, and spoil the fixture for the tests behind.
    """
    definition: Any = fixturedef
    item = request._pyfuncitem
    if _is_async(definition.func) and not _is_ours(item) and mark_of(item) is not None:
        reason = (
            f"test {item.name!r} is synchronous, and fixture {definition.argname!r} is async, which"
            " only an async test in virtual time can await - make the test 'async def'"
        )
        # Put back by the hook above.
        definition.func = _failing(reason)


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _is_ours(item: pytest.Item) -> bool:
    """Return whether a test runs in virtual time."""
    return mark_of(item) is not None and BACKEND in getattr(item, "fixturenames", ())


def _refusing(definition: pytest.FixtureDef[Any]) -> Callable[..., Any]:
    """Return a function that fails, in the place of a fixture for several tests."""
    reason = (
        f"fixture {definition.argname!r} is async and has the scope {definition.scope!r}, but each"
        " test in virtual time has an event loop of its own - give the fixture the scope"
        " 'function'; what it shares among tests can come from a synchronous fixture"
    )
    return _failing(reason)


def _failing(reason: str) -> Callable[..., Any]:
    def fails(**_: object) -> Any:
        pytest.fail(reason, pytrace=False)

    return fails


def _ordinary(function: Callable[..., Any], request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return an ordinary function, or a generator, that does what an async fixture does."""
    bound = _bound(function, request.instance)

    # Nothing else is taken over: by their attributes, other plugins know what is theirs.
    @functools.wraps(function, updated=())
    def returns(**given: Any) -> Any:
        __tracebackhide__ = True
        runner, coroutine = _runner_of(request), bound(**given)
        return called_for_fixture(lambda: runner.call(coroutine), request.fixturename)

    @functools.wraps(function, updated=())
    def yields(**given: Any) -> Any:
        __tracebackhide__ = True
        yielding = Yielding(_runner_of(request), bound(**given), request.fixturename)
        yield called_for_fixture(yielding.set_up, yielding.name)
        called_for_fixture(yielding.clean_up, yielding.name)

    return yields if inspect.isasyncgenfunction(function) else returns


def _bound(function: Any, instance: object) -> Callable[..., Any]:
    """Return a fixture as a method of the test's own instance, if it is a method of that class."""
    owner = getattr(function, "__self__", None)
    if instance is not None and owner is not None and isinstance(instance, type(owner)):
        method: Callable[..., Any] = function.__func__.__get__(instance)
        return method
    fixture: Callable[..., Any] = function
    return fixture


def _runner_of(request: pytest.FixtureRequest) -> Runner:
    """Return the run of a test; it begins with this, if there is none."""
    if running_backend() is not None:
        name = request.fixturename
        reason = (
            f"fixture {name!r} is async, and request.getfixturevalue({name!r}) cannot await it"
            " while the test runs - make it a parameter of the test, or of the fixture"
        )
        pytest.fail(reason, pytrace=False)
    runner: Runner = request.getfixturevalue("_tukio_runner")
    return runner
