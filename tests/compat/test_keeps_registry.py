"""Tasks are registered, found and refused as in tukio 1.1.2."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from tukio.task import TaskRegistry, UnknownTaskName, register

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clean() -> Iterator[None]:
    """Have the registry afterwards as it was."""
    names, codes = TaskRegistry.all().copy(), TaskRegistry.codes().copy()
    yield
    for registry, before in ((TaskRegistry.all(), names), (TaskRegistry.codes(), codes)):
        known: Any = registry
        known.clear()
        known.update(before)


def test_a_coroutine_function_is_registered_by_a_name(clean: None) -> None:
    """The decorator hands back what it was given."""

    async def work(data: Any) -> Any:
        return data

    assert register("work")(work) is work
    assert TaskRegistry.get("work") == (None, work)
    assert TaskRegistry.all()["work"] == (None, work)
    assert TaskRegistry.codes()[work.__code__] == "work"


def test_a_class_is_registered_by_a_name_and_a_method(clean: None) -> None:
    """It learns its name, whatever it is derived from."""

    @register("plain", "execute")
    class Plain:
        def __init__(self, config: Any) -> None:
            self.config = config

        async def execute(self, data: Any) -> Any:
            return data

    @register("derived", "work")
    class Derived(tukio.TaskHolder):
        async def work(self, data: Any) -> Any:
            return data

    kinds_by_name: Any = {"plain": (Plain, Plain.execute), "derived": (Derived, Derived.work)}
    for name, (kind, function) in kinds_by_name.items():
        assert TaskRegistry.get(name) == (kind, function)
        assert TaskRegistry.codes()[function.__code__] == name
        assert name == kind.TASK_NAME
    assert tukio.TaskHolder.TASK_NAME is None


def test_the_registry_registers_without_the_decorator(clean: None) -> None:
    """The task first, then its name, and the method for a class."""

    async def work(data: Any) -> Any:
        return data

    class Holder(tukio.TaskHolder):
        async def execute(self, data: Any) -> Any:
            return data

    TaskRegistry.register(work, "work")
    TaskRegistry.register(Holder, "holder", "execute")
    assert TaskRegistry.get("work") == (None, work)
    assert TaskRegistry.get("holder") == (Holder, Holder.execute)


def test_an_instance_of_the_registry_is_the_registry(clean: None) -> None:
    """Its methods are those of the class, which has no state but that of the process."""

    async def work(data: Any) -> Any:
        return data

    registry: Any = TaskRegistry()
    registry.register(work, "work")
    assert registry.get("work") == TaskRegistry.get("work") == (None, work)
    assert registry.all() is TaskRegistry.all()
    assert registry.codes() is TaskRegistry.codes()
    registry.remove("work")
    assert "work" not in TaskRegistry.all()


def test_a_task_may_have_several_names(clean: None) -> None:
    """Any hashable one; its code is known by the last of them."""

    async def work(data: Any) -> Any:
        return data

    for name in ("one", 5, ("a", "tuple")):
        register(name, "ignored for a function")(work)
        assert TaskRegistry.get(name) == (None, work)
        assert TaskRegistry.codes()[work.__code__] == name


def test_a_name_is_taken_once(clean: None) -> None:
    """Even by the same task."""

    @register("work")
    async def work(data: Any) -> Any:
        return data

    with pytest.raises(ValueError, match="'work' already registered"):
        register("work")(work)


def yields(data: Any) -> Iterator[Any]:
    """Do what a task did before there was `async def`."""
    yield data


async def streams(data: Any) -> Any:  # noqa: ASYNC900 - it is here to be refused
    """Be async, but no coroutine function."""
    yield data


class Wrong:
    """Has nothing that can be a task."""

    def sync(self, data: Any) -> Any:
        """Not be async."""
        return data


@pytest.mark.parametrize(
    ("task", "method", "kind"),
    [
        (len, None, TypeError),
        (yields, None, TypeError),
        (streams, None, TypeError),
        (Wrong, "sync", TypeError),
        (Wrong, None, TypeError),
        (Wrong, "other", AttributeError),
        (functools.partial(asyncio.sleep, 1), None, AttributeError),
    ],
    ids=["sync", "generator", "async generator", "method", "no method", "bad method", "partial"],
)
def test_what_is_no_coroutine_function_is_no_task(
    clean: None, task: Any, method: Any, kind: Any
) -> None:
    """Its name stays free, as far as templates can tell."""
    with pytest.raises(kind):
        register("work", method)(task)
    if kind is TypeError:
        assert "work" not in TaskRegistry.all()


def test_an_unknown_name_is_an_error_of_its_own() -> None:
    """With the KeyError as its cause."""
    with pytest.raises(UnknownTaskName) as unknown:
        TaskRegistry.get("unheard of")
    assert isinstance(unknown.value.__cause__, KeyError)


def test_the_registry_is_one_and_live(clean: None) -> None:
    """Programs list what is registered, with the schema that a class may have."""
    before = TaskRegistry.all()
    assert TaskRegistry.get("join") == (tukio.JoinTask, tukio.JoinTask.execute)

    @register("later", "execute")
    class Later(tukio.TaskHolder):
        SCHEMA = {"type": "object"}  # noqa: RUF012 - as a user writes it

        async def execute(self, data: Any) -> Any:
            return data

    assert TaskRegistry.all() is before
    schemas = {name: getattr(kind, "SCHEMA", None) for name, (kind, _) in before.items()}
    assert schemas["later"] == {"type": "object"}
