"""Predicates: what can be one, by which name, and what is refused with the way out."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import tukio
from tukio._model.predicate_table import Predicates
from tukio.errors import TemplateError
from tukio.task import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def of_one(error: BaseException) -> bool:
    """Take what it is asked about."""
    return isinstance(error, OSError)


def of_two(error: BaseException, attempt: int) -> bool:
    """Take the number of the attempt, too."""
    return attempt < 3


def with_default(error: Any, attempt: int = 7, *, more: int = 1) -> int:
    """Need less than it takes."""
    return attempt


def of_any(*args: Any) -> int:
    """Take whatever comes."""
    return len(args)


class Called:
    """An object that can be called."""

    def __call__(self, error: object) -> bool:
        """Take what it is asked about."""
        return True

    def method(self, error: object, attempt: int) -> bool:
        """Take both."""
        return False


GOOD: list[tuple[Any, int, int]] = [
    (of_one, 1, 1),
    (of_two, 2, 2),
    (with_default, 1, 2),
    (of_any, 1, 2),
    (lambda error: error, 1, 1),
    (Called(), 1, 1),
    (Called().method, 2, 2),
    (functools.partial(of_two, attempt=1), 1, 1),
    (operator.truth, 1, 1),
    (vars, 1, 1),
]


@pytest.mark.parametrize(("function", "fewest", "most"), GOOD)
def test_what_can_be_a_predicate(function: Any, fewest: int, most: int) -> None:
    """A plain function that can be called with one argument, or with two."""
    table = Predicates()
    table.add("p", function)
    assert table.get("p") == (function, fewest, most)
    assert (list(table), len(table), "p" in table, "q" in table) == (["p"], 1, True, False)


async def waits(error: object) -> bool:
    """Be async."""
    return True


async def streams(error: object) -> AsyncIterator[bool]:  # noqa: ASYNC900 - it is refused
    """Be an async generator."""
    yield True


def yields(error: object) -> Iterator[bool]:
    """Be a generator."""
    yield False


class Waits:
    """An object that can be called, and awaited."""

    async def __call__(self, error: object) -> bool:
        """Be async."""
        return True


def of_none() -> bool:
    """Take nothing."""
    return True


def of_three(error: object, attempt: int, more: object) -> bool:
    """Take too much."""
    return True


def by_name(error: object, *, attempt: int) -> bool:
    """Take what nobody gives."""
    return True


BAD: list[tuple[Any, str]] = [
    (waits, "waits is async - a predicate is called between two steps: define it with 'def'"),
    (streams, "streams is async"),
    (Waits(), "is async"),
    (functools.partial(waits), "is async"),
    (yields, "yields yields, which is always true - hand over by 'return'"),
    (of_none, "of_none cannot be called with one argument, or with two"),
    (of_three, "of_three cannot be called with one argument, or with two"),
    (by_name, "by_name cannot be called with one argument, or with two"),
    (bool, "expected a function, not builtins.bool"),
    (3, "expected a function, not 3"),
    (None, "expected a function, not None"),
]


@pytest.mark.parametrize(("function", "words"), BAD)
def test_what_is_refused(function: Any, words: str) -> None:
    """With the way out; nothing is registered."""
    table = Predicates()
    with pytest.raises(TypeError) as error:
        table.add("p", function)
    assert words in str(error.value)
    assert len(table) == 0


@pytest.mark.parametrize(("name", "kind"), [(3, TypeError), (None, TypeError), ("", ValueError)])
def test_a_name_is_a_text(name: Any, kind: type[Exception]) -> None:
    """Templates are data."""
    with pytest.raises(kind, match="the name of a predicate"):
        Predicates().add(name, of_one)


def test_a_name_is_taken_once() -> None:
    """Unless it is removed."""
    table = Predicates()
    table.add("p", of_one)
    with pytest.raises(ValueError, match=r"'p' is already registered: .*of_one") as error:
        table.add("p", of_two)
    assert "another name, or a registry of its own: registry=" in str(error.value)
    with pytest.raises(ValueError, match=r"executed again, call remove\('p'\)"):
        table.add("p", of_one)
    table.remove("p")
    table.add("p", of_two)
    assert table.get("p").function is of_two
    with pytest.raises(LookupError, match="no predicate is called 'q' - did you mean 'qq'"):
        table.add("qq", of_one)
        table.get("q")
    with pytest.raises(LookupError, match="no predicate is called 'x'"):
        table.remove("x")


def test_it_is_given_what_it_takes() -> None:
    """Its answer is whether that is true."""
    table = Predicates()
    for number, (function, *_) in enumerate(GOOD[:4]):
        table.add(str(number), function)
    asked = [table.get(name).ask(ValueError(), 5) for name in table]
    assert asked == [False, False, True, True]
    assert table.get("3").ask(None) is True


class Unclear:
    """Neither true nor false."""

    def __bool__(self) -> NoReturn:
        raise ZeroDivisionError


def test_an_answer_is_true_or_false() -> None:
    """What is to be awaited is neither, and is not left behind."""
    table = Predicates()
    table.add("unclear", lambda _: Unclear())
    with pytest.raises(ZeroDivisionError):
        table.get("unclear").ask(None)
    table.add("later", lambda _: waits(None))
    with pytest.raises(TypeError, match="answered with what is to be awaited"):
        table.get("later").ask(None)

    class Later:
        def __await__(self) -> Iterator[None]:
            yield

    table.add("object", lambda _: Later())
    with pytest.raises(TypeError, match="answered with what is to be awaited"):
        table.get("object").ask(None)


# The decorator -----------------------------------------------------------------------------------


def test_the_decorator_registers_and_returns_the_function() -> None:
    """Under a name, or that of the function; in the registry of the process, or another one."""
    registry = Registry()
    assert tukio.predicate("a", registry=registry)(of_one) is of_one
    assert tukio.predicate(registry=registry)(of_two) is of_two
    assert list(registry.predicates) == ["a", "of_two"]
    home = tukio.TaskRegistry.predicates()
    assert "of_one" not in home
    try:
        assert tukio.predicate(of_one) is of_one
        assert home.get("of_one").function is of_one
    finally:
        home.remove("of_one")


def test_the_decorator_refuses() -> None:
    """What is no registry, or has no name."""
    with pytest.raises(TypeError, match=r"expected a tukio\.task\.Registry"):
        tukio.predicate("x", registry=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="the name of a predicate is a text, not None"):
        tukio.predicate(registry=Registry())(functools.partial(of_one))


# In a template -----------------------------------------------------------------------------------


@pytest.fixture
def registry() -> Registry:
    """Return a registry of a task and a predicate."""
    made = Registry()
    made.register(waits, "step")
    tukio.predicate("is-transient", registry=made)(of_one)
    return made


def document(retry: Any) -> dict[str, Any]:
    """Return a template whose second task is tried again."""
    tasks = [{"id": "a", "name": "step"}, {"id": "b", "name": "step", "retry": retry}]
    return {"tasks": tasks, "graph": {"a": ["b"]}}


def faults(retry: Any, registry: Registry) -> list[str]:
    """Return the faults of such a template, by the road of objects and by that of documents."""
    found: list[list[str]] = []
    for validate in (
        lambda: tukio.WorkflowTemplate.from_dict(document(retry)).validate(registry),
        lambda: tukio.Engine(registry=registry)._as_template(document(retry)),
    ):
        with pytest.raises(TemplateError) as error:
            validate()
        found.append([str(fault) for fault in error.value.faults])
    assert found[0] == found[1]
    return found[0]


def test_a_predicate_that_is_not_registered_is_a_fault(registry: Registry) -> None:
    """Found when the template is loaded; the nearest name is told."""
    where = "tasks[1].retry.retry_if"
    assert faults({"retry_if": "is-transien"}, registry) == [
        f"{where}: no predicate is called 'is-transien'; did you mean 'is-transient'?"
    ]
    template = tukio.WorkflowTemplate.from_dict(document({"retry_if": "is-transient"}))
    assert template.validate(registry)
    assert template.as_dict()["tasks"][1]["retry"] == {"retry_if": "is-transient"}


@pytest.mark.parametrize("name", [3, "", ["a"], {"path": "$.a"}, True])
def test_what_is_no_name_is_a_fault_alone(name: Any, registry: Registry) -> None:
    """Found before, so that it is not said twice."""
    [fault] = faults({"retry_if": name}, registry)
    assert fault.startswith("tasks[1].retry.retry_if: must be the name of a predicate, not ")
