"""The registry: what can be a task, and the errors when it cannot."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tukio._model.registry import REGISTRY, TaskRegistry, register
from tukio.errors import UnknownTaskName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NAME = "test-registry"


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Put the registry of the process back as it was."""
    tasks, codes = TaskRegistry.all().copy(), TaskRegistry.codes().copy()
    yield
    for live, kept in ((TaskRegistry.all(), tasks), (TaskRegistry.codes(), codes)):
        live.clear()
        live.update(kept)


async def execute(event: object) -> None:
    """Be a task."""


async def stream(event: object) -> AsyncIterator[int]:  # noqa: ASYNC900
    """Be an async generator, which is no task."""
    yield 1


def ordinary(event: object) -> None:
    """Be an ordinary function."""


class Holder:
    """Has one method that is a task, and one that is not."""

    async def execute(self, event: object) -> None:
        """Be a task."""

    def report(self) -> None:
        """Be an ordinary method."""


def test_a_function_is_registered_as_it_is() -> None:
    """It can still be called, and has no holder."""
    assert register(NAME)(execute) is execute
    assert TaskRegistry.get(NAME) == (None, execute)
    assert TaskRegistry.all()[NAME] == (None, execute)
    assert TaskRegistry.codes()[execute.__code__] == NAME


def test_a_class_is_registered_with_its_method_and_learns_its_name() -> None:
    """As in 1.x, `TASK_NAME` tells under which name."""

    class Local(Holder):
        TASK_NAME: str

    assert register(NAME, "execute")(Local) is Local
    assert TaskRegistry.get(NAME) == (Local, Holder.execute)
    assert Local.TASK_NAME == NAME
    assert TaskRegistry.codes()[Holder.execute.__code__] == NAME


def test_a_method_name_for_a_function_is_ignored() -> None:
    """As in 1.x."""
    register(NAME, "whatever")(execute)
    assert TaskRegistry.get(NAME) == (None, execute)


@pytest.mark.parametrize("name", [5, ("a", 1), None])
def test_a_name_is_any_hashable(name: Any) -> None:
    """As in 1.x."""
    register(name)(execute)
    assert TaskRegistry.get(name) == (None, execute)


def test_the_name_of_a_code_is_the_last_one() -> None:
    """One function may serve under several names."""
    register(NAME)(execute)
    register("test-registry again")(execute)
    assert TaskRegistry.get(NAME) == TaskRegistry.get("test-registry again")
    assert TaskRegistry.codes()[execute.__code__] == "test-registry again"


def test_a_name_is_taken_once() -> None:
    """The first one stays."""
    register(NAME)(execute)

    async def other(event: object) -> None:
        pass

    with pytest.raises(ValueError, match=rf"task name '{NAME}' already registered with .*execute"):
        register(NAME)(other)
    assert TaskRegistry.get(NAME) == (None, execute)
    assert other.__code__ not in TaskRegistry.codes()


@pytest.mark.parametrize(
    ("task", "method"),
    [(len, None), (ordinary, None), (stream, None), (Holder, "report"), (5, None)],
    ids=["builtin", "function", "async generator", "method", "number"],
)
def test_what_is_no_coroutine_function_is_refused(task: Any, method: str | None) -> None:
    """It would fail only when it is awaited, deep inside a run."""
    with pytest.raises(
        TypeError, match=r"is not a coroutine function( - define it with 'async def'|, but yields)"
    ):
        register(NAME, method)(task)
    assert NAME not in TaskRegistry.all()


def test_a_class_without_method_name_has_an_execute_or_is_refused() -> None:
    """With the way to write it."""

    class Other:
        async def work(self, event: object) -> None:
            pass

    with pytest.raises(TypeError, match="has no method 'execute' - define it, or name another"):
        register(NAME)(Other)
    assert NAME not in TaskRegistry.all()
    assert not hasattr(Other, "TASK_NAME")
    register(NAME)(Holder)
    assert TaskRegistry.get(NAME) == (Holder, Holder.execute)


def test_a_method_that_does_not_exist_is_refused() -> None:
    """As in 1.x, an `AttributeError`."""
    with pytest.raises(AttributeError, match="run_me"):
        register(NAME, "run_me")(Holder)
    assert NAME not in TaskRegistry.all()


def test_a_partial_is_refused_and_its_name_stays_free() -> None:
    """It has no code of its own, by which a task is known."""
    with pytest.raises(AttributeError, match="has no code of its own"):
        register(NAME)(functools.partial(execute, None))
    assert NAME not in TaskRegistry.all()


@pytest.mark.parametrize("name", ["test-registri", 5, [], {}])
def test_an_unknown_name_is_refused_with_the_nearest(name: Any) -> None:
    """Also one that could not be a name at all."""
    register(NAME)(execute)
    with pytest.raises(UnknownTaskName) as refusal:
        TaskRegistry.get(name)
    assert refusal.value.name == name
    assert NAME in refusal.value.known
    if name == "test-registri":
        assert str(refusal.value) == (
            "no task is registered as 'test-registri' - did you mean 'test-registry'?"
        )


async def waits(event: Any) -> None:
    """Await something."""
    await event


async def loops(event: Any) -> None:
    """Await one thing after another."""
    async for _ in event:
        pass


async def enters(event: Any) -> None:
    """Await the beginning and the end of something."""
    async with event:
        pass


async def comprehends(event: Any) -> list[Any]:
    """Await in a comprehension."""
    return [each async for each in event]


async def hides(event: Any) -> Any:
    """Make something that awaits, and do not await it."""

    async def inner() -> None:
        await event

    return inner


@pytest.mark.parametrize("task", [waits, loops, enters, comprehends])
def test_a_task_with_an_await_in_its_code_may_suspend(task: Any) -> None:
    """Whether it will is not known before."""
    register(NAME)(task)
    assert REGISTRY.may_suspend(NAME)


@pytest.mark.parametrize("task", [execute, hides])
def test_a_task_without_an_await_in_its_code_never_suspends(task: Any) -> None:
    """A function within it is another one's code."""
    register(NAME)(task)
    assert not REGISTRY.may_suspend(NAME)


def test_the_method_of_a_holder_counts() -> None:
    """Whatever else the class has."""

    class Mixed(Holder):
        async def wait(self, event: Any) -> None:
            await event

    register(NAME, "wait")(Mixed)
    register("test-registry again", "execute")(Mixed)
    assert REGISTRY.may_suspend(NAME)
    assert not REGISTRY.may_suspend("test-registry again")


@pytest.mark.parametrize("name", ["nobody", []])
def test_what_is_not_registered_may_suspend(name: Any) -> None:
    """It fails where every task begins."""
    assert REGISTRY.may_suspend(name)


def test_a_name_says_nothing_of_what_it_was_given_to_before() -> None:
    """The function counts that has the name now, and the code that it has now."""
    register(NAME)(execute)
    TaskRegistry.all()[NAME] = (None, waits)
    assert REGISTRY.may_suspend(NAME)
    TaskRegistry.remove(NAME)
    register(NAME)(waits)
    assert REGISTRY.may_suspend(NAME)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="inspect marks functions since Python 3.12")
def test_a_function_that_is_only_marked_as_a_coroutine_function_may_suspend() -> None:
    """Its code does not tell what it returns to be awaited."""

    def marked(event: Any) -> Any:
        return waits(event)

    register(NAME)(inspect.markcoroutinefunction(marked))  # type: ignore[attr-defined]  # since 3.12
    assert REGISTRY.may_suspend(NAME)


def test_a_function_that_is_removed_keeps_its_other_names() -> None:
    """Its code still tells that it is a task."""
    register(NAME)(execute)
    register("test-registry again")(execute)
    TaskRegistry.remove("test-registry again")
    assert TaskRegistry.codes()[execute.__code__] == NAME
    TaskRegistry.remove(NAME)
    assert execute.__code__ not in TaskRegistry.codes()


def test_a_task_can_be_removed() -> None:
    """Its name and its code are free again."""
    register(NAME)(execute)
    TaskRegistry.remove(NAME)
    assert NAME not in TaskRegistry.all()
    assert execute.__code__ not in TaskRegistry.codes()
    with pytest.raises(UnknownTaskName, match=NAME):
        TaskRegistry.remove(NAME)
