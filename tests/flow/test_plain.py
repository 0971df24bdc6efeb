"""Plain functions for threads and processes: which are refused, and when."""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.real_time import run
from tukio.flow import flow, task
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from tukio.task import Registry

every_backend = pytest.mark.parametrize("backend", BACKENDS)


def generates(event: Any) -> Generator[Any, None, None]:
    """Yield, so that a call of it does nothing."""
    yield {}


@contextmanager
def manages(event: Any) -> Generator[Any, None, None]:
    """Be the same, in a context manager."""
    yield {}


@asynccontextmanager
async def manages_async(event: Any) -> AsyncGenerator[Any, None]:
    """Be the same, for `async with`."""
    yield {}


class Callable:
    """Has no code of its own."""

    def __call__(self, event: Any) -> None:
        """Do nothing."""


@pytest.mark.parametrize("where", ["thread", "process"])
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (generates, "yields like a generator, so its body would not run - hand its result over by"),
        (manages, "yields like a generator, so its body would not run - hand its result over by"),
        (manages_async, "yields like a generator, so its body would not run - hand its result"),
        (functools.partial(generates), "has no code of its own, by which a task is known - define"),
        (Callable(), "has no code of its own, by which a task is known - define a function with"),
        (len, "has no code of its own, by which a task is known - define a function with 'def'"),
        (str.upper, "has no code of its own, by which a task is known - define a function with"),
    ],
    ids=["generator", "manager", "async manager", "partial", "object", "builtin", "descriptor"],
)
def test_what_would_not_do_what_it_says_is_refused(
    function: Any, words: str, where: Any, own: Registry
) -> None:
    """With what to write instead; nothing is registered."""
    options: Any = {where: True}
    with pytest.raises(TypeError) as caught:
        task(registry=own, name="work", **options)(function)
    assert words in str(caught.value)
    assert "async def" not in str(caught.value)
    assert "work" not in own.tasks


@pytest.mark.parametrize("where", ["thread", "process"])
@pytest.mark.parametrize("limiter", [2.5, "2", float("nan"), object(), True, False])
def test_a_limiter_is_a_number_or_a_limiter(limiter: Any, where: Any, own: Registry) -> None:
    """A number of calls, that is a whole one."""
    options: Any = {where: True, "limiter": limiter}
    with pytest.raises(TypeError, match=r"limiter must be a positive whole number or an anyio\."):
        task(registry=own, name="work", **options)(_work)
    assert "work" not in own.tasks


@pytest.mark.parametrize("limiter", [0, -1])
def test_a_limiter_lets_some_through(limiter: int, own: Registry) -> None:
    """One that lets none through would hold up its task for ever."""
    with pytest.raises(ValueError, match="limiter must be a positive whole number"):
        task(registry=own, name="work", thread=True, limiter=limiter)(_work)
    task(registry=own, name="work", thread=True, limiter=1)(_work)


def _work(event: Any) -> None: ...


@every_backend
def test_a_thread_may_raise_what_closes_generators(backend: str, own: Registry) -> None:
    """It is the error of its task, and the run goes on."""

    @task(registry=own, thread=True)
    def work(event: Any) -> None:
        raise GeneratorExit("mine")

    async def main() -> None:
        with anyio.fail_after(5):
            async with tukio.Engine(registry=own) as engine:
                it = await engine.start(flow("x", work), {})
                await it.wait()
        assert repr(it.errors["work"]) == "GeneratorExit('mine')"

    run(backend, main)


@every_backend
def test_a_thread_that_returns_a_coroutine_has_failed(backend: str, own: Registry) -> None:
    """Nobody awaits it there; it is closed."""

    async def inner() -> None: ...

    @task(registry=own, thread=True)
    def work(event: Any) -> Any:
        return inner()

    async def main() -> None:
        async with tukio.Engine(registry=own) as engine:
            it = await engine.start(flow("x", work), {})
            await it.wait()
        assert isinstance(it.errors["work"], tukio.errors.NotAwaited)

    run(backend, main)
