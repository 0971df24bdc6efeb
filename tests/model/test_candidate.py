"""What can be a task, and what users see of what cannot: each text as a whole."""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from typing import TYPE_CHECKING, Any, assert_type
from unittest import mock

import pytest

import tukio
from tukio._model.candidate import place_of, resolve
from tukio._model.registry import Registry, TaskRegistry
from tukio.errors import UnknownTaskName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

HERE = __name__

IN_A_THREAD = (
    " is not a coroutine function - define it with 'async def', and call what blocks in it"
    " by 'await anyio.to_thread.run_sync(...)'"
)


@pytest.fixture
def registry() -> Registry:
    """Return a registry of the test's own."""
    return Registry()


@pytest.fixture
def clean() -> Iterator[None]:
    """Have the registry of the process afterwards as it was."""
    before = [*TaskRegistry.all()]
    yield
    for name in [name for name in TaskRegistry.all() if name not in before]:
        TaskRegistry.remove(name)


async def fetch(event: Any) -> Any:
    """Be a task."""
    return event


class Store:
    """Has coroutine methods of several kinds."""

    TASK_NAME: str

    async def execute(self, event: Any) -> Any:
        """Be a task."""
        return event

    async def run(self, event: Any) -> None:
        """Be another one."""

    def report(self) -> None:
        """Be an ordinary method."""

    async def alone(self) -> None:
        """Take no event."""

    async def picky(self, event: Any, limit: int) -> None:
        """Take more than an event."""

    @staticmethod
    async def static(event: Any) -> None:
        """Take no holder."""

    @staticmethod
    async def static_of_both(holder: Any, event: Any) -> None:
        """Take the holder by another name."""

    @classmethod
    async def of_class(cls, event: Any) -> None:
        """Take the class, and no holder."""

    @classmethod
    async def of_class_and_holder(cls, holder: Any, event: Any) -> None:
        """Take all three."""


# With and without brackets


def test_a_function_goes_by_its_own_name(registry: Registry) -> None:
    """Without brackets, with empty ones, and it is handed back."""
    assert registry.task(fetch) is fetch
    assert registry.get("fetch") == (None, fetch)
    registry.remove("fetch")
    assert registry.task()(fetch) is fetch
    assert registry.get("fetch") == (None, fetch)
    assert registry.task("etl.fetch")(fetch) is fetch
    assert registry.get("etl.fetch") == (None, fetch)


def test_a_class_goes_by_its_own_name_and_execute(registry: Registry) -> None:
    """Unless another method is named; it learns its name."""
    assert registry.task(Store) is Store
    assert registry.get("Store") == (Store, Store.execute)
    assert Store.TASK_NAME == "Store"
    assert registry.task("store")(Store) is Store
    assert registry.get("store") == (Store, Store.execute)
    assert Store.TASK_NAME == "store"
    registry.remove("Store")
    assert registry.task(coro_name="run")(Store) is Store
    assert registry.get("Store") == (Store, Store.run)
    registry.remove("Store")
    assert registry.task(Store, "run") is Store
    assert registry.get("Store") == (Store, Store.run)


async def test_the_decorator_of_the_process_has_the_same_forms(clean: None) -> None:
    """And what it is about keeps its type: a type checker says so, and it can be called."""

    @tukio.register
    async def bare(event: Any) -> int:
        return 1

    @tukio.register()
    async def with_brackets(event: Any) -> int:
        return 2

    @tukio.register("by another name")
    async def named(event: Any) -> int:
        return 3

    @tukio.register
    class Bare(tukio.TaskHolder):
        async def execute(self, event: Any) -> int:
            return 4

    @tukio.register(coro_name="run")
    class Runs(tukio.TaskHolder):
        async def run(self, event: Any) -> int:
            return 5

    results = [
        assert_type(await bare(None), int),
        assert_type(await with_brackets(None), int),
        assert_type(await named(None), int),
        assert_type(await assert_type(Bare(), Bare).execute(None), int),
        assert_type(await assert_type(Runs(), Runs).run(None), int),
    ]
    assert results == [1, 2, 3, 4, 5]
    assert TaskRegistry.get("bare") == (None, bare)
    assert TaskRegistry.get("with_brackets") == (None, with_brackets)
    assert TaskRegistry.get("by another name") == (None, named)
    assert TaskRegistry.get("Bare") == (Bare, Bare.execute)
    assert TaskRegistry.get("Runs") == (Runs, Runs.run)
    assert Bare.TASK_NAME == "Bare"


def test_help_says_what_is_there_without_a_name() -> None:
    """And not the address of an object."""
    parameters = inspect.signature(tukio.register).parameters
    assert str(parameters["task_name"]) == "task_name: 'Any' = its own name"


def test_a_class_that_cannot_learn_its_name_is_not_registered(registry: Registry) -> None:
    """Nothing is half done."""

    class Closed(type):
        def __setattr__(cls, name: str, value: object) -> None:
            raise LookupError(name)

    class Sealed(metaclass=Closed):
        async def execute(self, event: object) -> None:
            pass

    with pytest.raises(LookupError, match="TASK_NAME"):
        registry.task(Sealed)
    assert "Sealed" not in registry.tasks
    assert Sealed.execute.__code__ not in registry.codes


def test_a_name_may_still_be_none(registry: Registry) -> None:
    """As in 1.x: any hashable that nobody can call."""
    registry.task(None)(fetch)
    assert registry.get(None) == (None, fetch)
    with pytest.raises(UnknownTaskName):
        registry.get("fetch")


def test_a_function_in_place_of_a_method_name_is_refused(registry: Registry) -> None:
    """Otherwise it would be handed back, and nothing be registered."""
    method: Any = fetch
    with pytest.raises(TypeError) as refusal:
        registry.task("etl.fetch", method)
    assert str(refusal.value) == (
        f"expected the name of a method, not {HERE}.fetch - write @register('etl.fetch') above it"
    )


@pytest.mark.parametrize("method", [5, b"execute", ("execute",)])
def test_a_method_name_that_is_no_text_is_refused(registry: Registry, method: Any) -> None:
    """In the words of the package."""
    with pytest.raises(TypeError) as refusal:
        registry.task("x", method)(Store)
    assert str(refusal.value) == f"expected the name of a method, not {method!r}"
    assert "x" not in registry.tasks


# What is no coroutine function


def blocking(event: Any) -> Any:
    """Be an ordinary function."""
    return event


async def streaming(event: Any) -> AsyncIterator[int]:  # noqa: ASYNC900 - it is here to be refused
    """Be an async generator."""
    yield 1


@functools.wraps(fetch)
def wrapped(*args: Any) -> Any:
    """Know nothing of async."""
    return fetch(*args)


def endless() -> None:
    """Say that it wraps itself."""


endless.__wrapped__ = endless  # type: ignore[attr-defined]  # as a tool might


class Cached:
    """Has a method that returns the same coroutine twice."""

    @functools.cache  # noqa: B019 - it is here to be refused
    async def get(self, event: Any) -> None:
        """Be awaited once."""


AROUND_IT = " - define a function with 'async def', and await it there"


@pytest.mark.parametrize(
    ("task", "method", "words"),
    [
        (blocking, None, f"{HERE}.blocking{IN_A_THREAD}"),
        (len, None, f"builtins.len{IN_A_THREAD}"),
        (5, None, f"5{IN_A_THREAD}"),
        (Store, "report", f"{HERE}.Store.report{IN_A_THREAD}"),
        (
            wrapped,
            None,
            f"{HERE}.fetch is not a coroutine function, though the one that it wraps is{AROUND_IT}",
        ),
        (
            Cached,
            "get",
            (
                "<functools._lru_cache_wrapper object> is not a coroutine function, though the one"
                f" that it wraps is{AROUND_IT}"
            ),
        ),
        (endless, None, f"{HERE}.endless{IN_A_THREAD}"),
        (
            streaming,
            None,
            (
                f"{HERE}.streaming is not a coroutine function, but yields like a generator"
                " - hand its result over by 'return'"
            ),
        ),
    ],
    ids=["def", "builtin", "number", "method", "wrapped", "cached", "endless", "async generator"],
)
def test_what_is_no_coroutine_function_comes_with_the_ways_out(
    registry: Registry, task: Any, method: str | None, words: str
) -> None:
    """To write `async def`, or to leave what blocks to a thread."""
    with pytest.raises(TypeError) as refusal:
        registry.register(task, "x", method)
    assert re.sub(" at 0x[0-9a-f]+", "", str(refusal.value)) == words
    assert "x" not in registry.tasks


def test_a_partial_is_refused_with_the_way_out(registry: Registry) -> None:
    """It has no code of its own; as in 1.x, an `AttributeError`."""
    with pytest.raises(AttributeError) as refusal:
        registry.task(functools.partial(asyncio.sleep, 1))
    text = str(refusal.value)
    assert text.startswith("functools.partial(<function sleep at 0x")
    assert text.endswith(
        " has no code of its own, by which a task is known"
        " - define a function with 'async def', and call it there"
    )


# Methods


class Empty:
    """Has no coroutine method."""


class Mean(type):
    """A metaclass that lets nobody look around."""

    def __dir__(cls) -> list[str]:
        raise RuntimeError


class Walled(metaclass=Mean):
    """Has a method all the same."""

    async def execute(self, event: object) -> None:
        """Be a task."""


@pytest.mark.parametrize(
    ("holder", "method", "kind", "words"),
    [
        (
            Store,
            "execcute",
            AttributeError,
            "Store has no method 'execcute' - did you mean 'execute'?",
        ),
        (
            Store,
            "work",
            AttributeError,
            "Store has no method 'work' - known: alone, execute, picky, run",
        ),
        (
            Store,
            "",
            AttributeError,
            "Store has no method '' - known: alone, execute, picky, run",
        ),
        (
            Empty,
            "run",
            AttributeError,
            "Empty has no method 'run' - define it with 'async def'",
        ),
        (
            Walled,
            "run",
            AttributeError,
            "Walled has no method 'run' - define it with 'async def'",
        ),
        (
            Empty,
            None,
            TypeError,
            (
                "Empty has no method 'execute'"
                " - define it, or name another one: @register('name', 'method')"
            ),
        ),
    ],
    ids=["near", "far", "empty", "none at all", "walled", "no name"],
)
def test_a_method_that_does_not_exist_is_refused_with_the_nearest(
    registry: Registry, holder: Any, method: str | None, kind: type[Exception], words: str
) -> None:
    """With the coroutine methods that there are."""
    with pytest.raises(kind) as refusal:
        registry.task("x", method)(holder)
    assert str(refusal.value) == f"class {HERE}.{words}"
    assert "x" not in registry.tasks


# What cannot be called with an event


async def no_event() -> None:
    """Take nothing."""


async def by_name(*, event: Any) -> None:
    """Take it by its name alone."""


async def more(event: Any, url: str, limit: int = 3, *, user: str, retries: int = 0) -> None:
    """Take more than an event."""


async def loose(self: Any, event: Any) -> None:
    """Be the method of a class that was not decorated."""


MISFITS: dict[str, tuple[Any, str | None, str]] = {
    "no parameter": (
        no_event,
        None,
        "no_event cannot be called with an event - write 'async def no_event(event): ...'",
    ),
    "by name": (
        by_name,
        None,
        "by_name cannot be called with an event - write 'async def by_name(event): ...'",
    ),
    "more": (
        more,
        None,
        (
            "more cannot be called with an event alone"
            " - give a default to url, user, or take it from the config of a holder class"
        ),
    ),
    "a method without its class": (
        loose,
        None,
        (
            "loose cannot be called with an event alone"
            " - register its class: @register('name', 'loose')"
        ),
    ),
    "method": (
        Store,
        "alone",
        ("Store.alone cannot be called with an event - write 'async def alone(self, event): ...'"),
    ),
    "method that takes more": (
        Store,
        "picky",
        (
            "Store.picky cannot be called with an event alone"
            " - give a default to limit, or take it from the config of a holder class"
        ),
    ),
    "static method": (
        Store,
        "static",
        (
            "Store.static cannot be called with an event"
            " - write 'async def static(self, event): ...'"
        ),
    ),
    "class method": (
        Store,
        "of_class",
        (
            "Store.of_class cannot be called with an event"
            " - write 'async def of_class(self, event): ...'"
        ),
    ),
    "bound method": (
        Store().alone,
        None,
        "Store.alone cannot be called with an event - write 'async def alone(event): ...'",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_no_event_can_be_given_to_is_refused(registry: Registry, case: str) -> None:
    """It would fail each time it is run."""
    task, method, words = MISFITS[case]
    with pytest.raises(TypeError) as refusal:
        registry.register(task, "x", method)
    assert str(refusal.value) == f"{HERE}.{words}"
    assert "x" not in registry.tasks


async def anything(*args: Any, **kwargs: Any) -> None:
    """Take whatever comes."""


async def with_defaults(event: Any = None, limit: int = 3, *, user: str = "") -> None:
    """Need nothing."""


async def by_position(event: Any, /) -> None:
    """Take it by its place."""


@functools.wraps(no_event)
async def wrapper(*args: Any) -> None:
    """Look like a function that takes nothing."""


def stand_in() -> Any:
    """Return what behaves like a coroutine function, with the code of one that takes nothing."""
    odd = mock.AsyncMock()
    odd.__code__ = no_event.__code__
    return odd


@pytest.mark.parametrize(
    ("task", "method"),
    [
        (anything, None),
        (with_defaults, None),
        (by_position, None),
        (wrapper, None),
        (Store().execute, None),
        (stand_in(), None),
        (Store, "static_of_both"),
        (Store, "of_class_and_holder"),
    ],
    ids=[
        "any",
        "defaults",
        "position",
        "wrapper",
        "bound",
        "mock",
        "static method",
        "class method",
    ],
)
def test_what_may_be_called_with_an_event_is_a_task(
    registry: Registry, task: Any, method: str | None
) -> None:
    """Refused is only what cannot, for certain; what a signature says is not asked."""
    registry.register(task, "x", method)
    assert "x" in registry.tasks


def test_a_function_is_asked_how_it_is_called_and_not_what_it_says(registry: Registry) -> None:
    """A decorator may show another signature."""

    async def odd(event: Any) -> None:
        pass

    odd.__signature__ = inspect.signature(no_event)  # type: ignore[attr-defined]  # as tools do
    assert resolve(odd, None) == (None, odd)


# A name that is taken


def test_a_taken_name_names_both(registry: Registry) -> None:
    """And the ways out."""
    registry.register(fetch, "dup")
    with pytest.raises(ValueError, match="already registered") as refusal:
        registry.register(Store, "dup", "execute")
    assert str(refusal.value) == (
        f"task name 'dup' already registered with {HERE}.fetch, so {HERE}.Store cannot have it"
        " - give it another name, or call remove('dup') of the registry before"
    )


def test_a_module_that_is_executed_again_is_told_what_to_do(registry: Registry) -> None:
    """As a cell of a notebook: it is the same name, and another function."""
    registry.register(Store, "dup", "execute")
    with pytest.raises(ValueError, match="already registered") as refusal:
        registry.register(Store, "dup", "run")
    assert str(refusal.value) == (
        f"task name 'dup' already registered with {HERE}.Store"
        " - before its module is executed again, call remove('dup') of the registry"
    )


# Where things are


def test_places_of_odd_things_are_shown_without_failing() -> None:
    """Names may be anything, for they can be assigned."""

    async def odd(event: Any) -> None:
        pass

    odd.__qualname__ = "bad\nname"
    assert place_of(odd) == f"{HERE}.bad\\nname"
    odd.__module__ = None  # type: ignore[assignment]  # as of what `exec` has made
    assert place_of(odd) == "bad\\nname"

    class Silent(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError

    assert place_of(Silent("Odd", (), {})).startswith("<")
