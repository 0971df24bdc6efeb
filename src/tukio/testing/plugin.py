"""A pytest plugin: it runs async tests on every backend that is installed, in virtual time.

The plugin is off by default. Turn it on by `-p tukio.testing.plugin`, or in the topmost
`conftest.py`:

    pytest_plugins = ["tukio.testing.plugin"]

It runs only tests with its mark:

    @pytest.mark.virtual_time
    async def test_something() -> None: ...

    @pytest.mark.virtual_time(backends=["asyncio", "trio"], seeds=20, patience=60)
    async def test_something_else(tukio_backend: str, tukio_seed: int) -> None: ...

Owns:   the mark, and the parameters `tukio_backend` and `tukio_seed`.
Knows:  `run`, and how pytest and Hypothesis represent a test. The plugin replaces a marked test by
        an ordinary function, so that no other plugin for async tests runs it as well.
"""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .clock import BACKENDS, is_available, run
from .deadlock import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable

MARK = "virtual_time"
BACKEND = "tukio_backend"
SEED = "tukio_seed"


@dataclass(frozen=True, kw_only=True)
class VirtualTimeMark:
    """The arguments of a test's mark.

    Attributes:
        backends: The backends to run the test on, one or more; None is all that are installed. A
            backend that is not installed is skipped.
        seeds: The seeds to run the test with: their number, or the seeds themselves; None is the
            order of the backend.
        patience: Real seconds to wait for the threads of the test.
    """

    backends: str | Iterable[str] | None = None
    seeds: int | Iterable[int] | None = None
    patience: float = PATIENCE

    def backend_params(self) -> list[Any]:
        """Return the backends as parameters.

        Raises:
            UsageError: A backend is unknown.
        """
        names = self.backends
        if names is None:
            return [name for name in BACKENDS if is_available(name)]
        params: list[Any] = []
        for name in [names] if isinstance(names, str) else names:
            if name not in BACKENDS:
                msg = f"no backend is called {name!r} - the mark takes {', '.join(BACKENDS)}"
                raise pytest.UsageError(msg)
            skip = pytest.mark.skipif(not is_available(name), reason=f"{name} is not installed")
            params.append(pytest.param(name, marks=skip))
        return params

    def seed_params(self) -> list[Any]:
        """Return the seeds as parameters."""
        if self.seeds is None:
            return [None]
        seeds = range(self.seeds) if isinstance(self.seeds, int) else self.seeds
        return [pytest.param(seed, id=f"seed{seed}") for seed in seeds]


_way: ContextVar[dict[str, Any]] = ContextVar("_way")
"""The keyword arguments of `run` for the test that is being called."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    line = f"{MARK}(*, backends, seeds, patience): run the async test on each backend, with each "
    config.addinivalue_line("markers", f"{line}seed, in virtual time (see tukio.testing.plugin).")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> object:
    """Replace a marked async test by an ordinary function, and collect that."""
    mark = _mark_of(collector, obj) if collector.istestfunction(obj, name) else None
    hypothesis: Any = getattr(obj, "hypothesis", None)
    body: Any = obj if hypothesis is None else hypothesis.inner_test
    if mark is None or not inspect.iscoroutinefunction(body):
        return None
    params = pytest.mark.usefixtures(*([BACKEND] if mark.seeds is None else [BACKEND, SEED]))
    params(obj)
    if hypothesis is None:
        obj = _ordinary(body)
        setattr(collector.obj, name, obj)
    else:
        hypothesis.inner_test = _ordinary(body)
    return collector.ihook.pytest_pycollect_makeitem(collector=collector, name=name, obj=obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply a test by its backends and seeds."""
    mark = _mark_of(metafunc.definition) or VirtualTimeMark()
    if BACKEND in metafunc.fixturenames:
        metafunc.parametrize(BACKEND, mark.backend_params())
    if SEED in metafunc.fixturenames:
        metafunc.parametrize(SEED, mark.seed_params())


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Set the arguments of `run` while a replaced test is called."""
    __tracebackhide__ = True
    mark = _mark_of(pyfuncitem)
    if mark is None or BACKEND not in pyfuncitem.funcargs:
        return (yield)
    given = pyfuncitem.funcargs
    way = {"backend": given[BACKEND], "seed": given.get(SEED), "patience": mark.patience}
    token = _way.set(way)
    try:
        return (yield)
    finally:
        _way.reset(token)


def _mark_of(node: pytest.Collector | pytest.Item, test: object = None) -> VirtualTimeMark | None:
    """Return the mark of a test; None if the test has none.

    Args:
        node: The test, or the collector that has found the function.
        test: The function, if it was only found.

    Raises:
        UsageError: The mark has wrong arguments.
    """
    own: list[pytest.Mark] = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == MARK]
    mark = own[-1] if own else node.get_closest_marker(MARK)
    try:
        return None if mark is None else VirtualTimeMark(*mark.args, **mark.kwargs)
    except TypeError as error:
        msg = f"@pytest.mark.{MARK} takes backends=, seeds= and patience= ({error})"
        raise pytest.UsageError(msg) from None


def _ordinary(test: Callable[..., Awaitable[object]]) -> Callable[..., object]:
    """Return an ordinary function that runs an async test to its end."""

    @functools.wraps(test)
    def call(*args: object, **kwargs: object) -> object:
        __tracebackhide__ = True
        return run(functools.partial(test, *args, **kwargs), **_way.get({}))

    return call
