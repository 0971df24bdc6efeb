"""A pytest plugin: it runs async tests on every backend that is installed, in virtual time.

The plugin is off by default. Turn it on by `-p tukio.testing.plugin`, or in the topmost
`conftest.py`:

    pytest_plugins = ["tukio.testing.plugin"]

It runs only tests with its mark, and their async fixtures:

    @pytest.mark.virtual_time
    async def test_something() -> None: ...

    @pytest.mark.virtual_time(backends=["asyncio", "trio"], seeds=20, patience=60)
    async def test_something_else(tukio_backend: str, tukio_seed: int) -> None: ...

Owns:   the collection and the call of tests with the mark.
Knows:  `run`, and how pytest and Hypothesis represent a test. The plugin shows pytest an ordinary
        function in the place of a marked test, so that no other plugin for async tests runs it as
        well. What is shown is put back at once: a test may be shared, by an import or by a base
        class, with those who do not bear the mark.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from .async_fixtures import (
    RUNNER,
    pytest_fixture_setup,
    pytest_fixture_setup_of_nobody,
    pytest_runtest_setup,
    tukio_runner,
)
from .clock import run
from .mark import BACKEND, MARK, SEED, VirtualTimeMark, mark_of
from .outcomes import called

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = [
    "pytest_fixture_setup",
    "pytest_fixture_setup_of_nobody",
    "pytest_runtest_setup",
    "tukio_runner",
]

BODY: pytest.StashKey[Any] = pytest.StashKey()
"""Where a test that Hypothesis has wrapped keeps the function that its author wrote."""

_way: ContextVar[Callable[[Callable[[], Awaitable[object]]], object] | None]
_way = ContextVar("_way", default=None)
"""What runs the test that is being called; None outside of such a call."""

_shown_now: list[ExitStack] = [ExitStack()]
"""What puts back what is shown to those who collect; one for each of their calls, inner last."""

_ABSENT = object()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    line = f"{MARK}(*, backends, seeds, patience): run the async test on each backend, with each "
    config.addinivalue_line("markers", f"{line}seed, in virtual time (see tukio.testing.plugin).")


@pytest.hookimpl(specname="pytest_pycollect_makeitem", wrapper=True, tryfirst=True)
def pytest_pycollect_makeitem_put_back() -> Generator[None, object, object]:
    """Put back what is shown, when all other plugins have seen the items, too."""
    with ExitStack() as stack:
        _shown_now.append(stack)
        try:
            return (yield)
        finally:
            _shown_now.pop()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: Any
) -> object:
    """Show pytest an ordinary function in the place of a marked async test, and collect that."""
    mark = mark_of(collector, obj) if collector.istestfunction(obj, name) else None
    is_wrapped = isinstance(obj, staticmethod | classmethod)
    test: Any = obj.__func__ if is_wrapped else obj
    hypothesis: Any = getattr(test, "hypothesis", None)
    body: Any = test if hypothesis is None else hypothesis.inner_test
    if mark is None or not inspect.iscoroutinefunction(body):
        return None
    params = pytest.mark.usefixtures(*([BACKEND] if mark.seeds is None else [BACKEND, SEED]))
    collect = functools.partial(
        collector.ihook.pytest_pycollect_makeitem, collector=collector, name=name
    )
    show = _shown_now[-1].enter_context
    if hypothesis is None:
        shown: Any = _ordinary(body)
        if is_wrapped:
            # A mark above `@staticmethod` is on what that has made.
            shown.pytestmark = [*getattr(body, "pytestmark", ()), *getattr(obj, "pytestmark", ())]
        params(shown)
        shown = type(obj)(shown) if is_wrapped else shown
        show(_replaced(collector.obj, name, shown))
        return collect(obj=shown)
    show(_replaced(test, "pytestmark", [*getattr(test, "pytestmark", ()), params.mark]))
    show(_replaced(hypothesis, "inner_test", _ordinary(body)))
    items = collect(obj=obj)
    for item in items or ():
        item.stash[BODY] = body
    return items


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply a test by its backends and seeds."""
    mark = mark_of(metafunc.definition) or VirtualTimeMark()
    if BACKEND in metafunc.fixturenames:
        metafunc.parametrize(BACKEND, mark.backend_params())
    if SEED in metafunc.fixturenames:
        metafunc.parametrize(SEED, mark.seed_params())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Set what runs the test while an ordinary function is called in its place."""
    __tracebackhide__ = True
    mark = mark_of(pyfuncitem)
    if mark is None or BACKEND not in pyfuncitem.funcargs:
        return (yield)
    runner = pyfuncitem.stash.get(RUNNER, None)
    own = functools.partial(run, **mark.way(pyfuncitem.funcargs))
    token = _way.set(own if runner is None else runner.run)
    try:
        with ExitStack() as stack:
            if BODY in pyfuncitem.stash:
                test: Any = pyfuncitem.obj
                ordinary = _ordinary(pyfuncitem.stash[BODY])
                stack.enter_context(_replaced(test.hypothesis, "inner_test", ordinary))
            return (yield)
    finally:
        _way.reset(token)


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Generator[None, None, None]:
    """Set an attribute for a `with` block, and put back what the owner itself had."""
    before = vars(owner).get(name, _ABSENT)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _ordinary(test: Callable[..., Awaitable[object]]) -> Callable[..., object]:
    """Return an ordinary function that runs an async test to its end."""

    @functools.wraps(test)
    def call(*args: object, **kwargs: object) -> object:
        __tracebackhide__ = True
        way = _way.get()
        if way is None:
            return test(*args, **kwargs)
        return called(lambda: way(functools.partial(test, *args, **kwargs)))

    return call
