"""The names in annotations: where they are looked up, and what those are that mean nothing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict
from unittest.mock import AsyncMock

import msgspec
import pydantic
import pydantic.dataclasses
import pytest

import tukio
from tukio.flow import task
from tukio.flow.inputs import UNRESOLVED, resolved, returns_data, taker_of

from . import elsewhere
from .elsewhere import define

if TYPE_CHECKING:
    from tukio.task import Registry


@dataclass
class Job:
    """A class whose name another module has, too."""

    url: str = "none"


def taken(function: Any, data: dict[str, Any]) -> Any:
    """Return what a function is called with, for some data."""
    take = taker_of(function)
    assert take is not None
    return take(tukio.Event(data))


def test_a_name_is_that_of_the_module_of_the_function() -> None:
    """Whoever makes a task of it, and whatever the same name means there."""
    Job = int  # noqa: N806, F841 - as in the module of the function
    take = taker_of(elsewhere.fetch)
    assert take is not None
    assert take(tukio.Event({"url": "a"})) == elsewhere.Job("a")


def test_a_name_is_that_of_the_function_around() -> None:
    """Which Python would take, too: it is nearer than that of the module."""

    @dataclass
    class Job:
        n: int

    async def work(job: Job) -> None: ...

    assert taken(work, {"n": 1}) == Job(1)
    # Also if something else calls the decorator, which has local names of its own.
    assert define(lambda: taken(work, {"n": 1})) == Job(1)


def test_the_fields_of_local_classes_may_name_local_classes(own: Registry) -> None:
    """Themselves, too."""

    @dataclass
    class Outer:
        page: Page
        next: Outer | None = None

    class Dict(TypedDict):
        page: Page

    @dataclass
    class Page:
        n: int

    async def work(outer: Outer) -> None: ...
    async def other(outer: Dict) -> None: ...

    task(registry=own)(work)
    data = {"page": {"n": 1}, "next": {"page": {"n": 2}}}
    assert taken(work, data) == Outer(Page(1), Outer(Page(2)))
    assert taken(other, data)["page"] == Page(1)


def test_those_of_pydantic_may_name_local_classes() -> None:
    """Also if these come later."""

    class Model(pydantic.BaseModel):
        page: Page

    @pydantic.dataclasses.dataclass
    class Data:
        page: Page

    class Page(pydantic.BaseModel):
        n: int

    async def work(it: Model | Data) -> None: ...
    async def other(it: Data) -> None: ...

    assert taken(work, {"page": {"n": 1}}) == Model(page=Page(n=1))
    assert taken(other, {"page": {"n": 1}}) == Data(page=Page(n=1))


def test_a_class_may_be_of_a_function_that_has_returned() -> None:
    """Then its names are gone, and it is said which one is missing."""

    async def work(it: Any) -> None: ...

    work.__annotations__["it"] = elsewhere.made()
    with pytest.raises(TypeError) as caught:
        taker_of(work)
    assert str(caught.value).endswith(
        "tests.flow.elsewhere.made.<locals>.Outer: the annotation of its field 'page' names"
        " 'Page', which is not there - define or import it before the task"
    )


def test_a_field_that_means_nothing_is_told_with_its_class() -> None:
    """Of a class of a library in the words of that."""

    @dataclass
    class Prose:
        it: int

    @dataclass
    class Missing:
        it: Nowhere  # type: ignore[name-defined]  # noqa: F821

    class Model(pydantic.BaseModel):
        it: Nowhere  # type: ignore[name-defined]  # noqa: F821

    class Struct(msgspec.Struct):
        it: Nowhere  # type: ignore[name-defined]  # noqa: F821

    async def work(it: Any) -> None: ...

    Prose.__annotations__["it"] = "the name of Nowhere"
    for kind, words in {
        Prose: "field 'it' is no type: ",
        Missing: "field 'it' names 'Nowhere', which is not there",
        Model: "pydantic cannot make any",
        Struct: "msgspec cannot make any",
    }.items():
        work.__annotations__["it"] = kind
        with pytest.raises(TypeError) as caught:
            taker_of(work)
        assert "Nowhere" in str(caught.value)
        assert f"{kind.__name__}: " in str(caught.value)
        assert words in str(caught.value)


PROSE = ["the job", "", "1/0", "(", "a" * 1_000_000]


@pytest.mark.parametrize("text", PROSE, ids=[str(n) for n in range(len(PROSE))])
def test_a_text_that_is_no_type_is_refused_for_the_argument_only(text: str) -> None:
    """It is said of which function; what a function returns may be described by any words."""

    async def work(it: Any) -> None: ...

    work.__annotations__ = {"it": text, "return": text}
    with pytest.raises(TypeError) as caught:
        taker_of(work)
    assert "work: the annotation " in str(caught.value)
    assert " of its argument " in str(caught.value)
    assert len(str(caught.value)) < 1_000
    assert not returns_data(work)
    assert resolved(work, text) is UNRESOLVED


def test_what_only_behaves_like_a_function_has_annotations_or_none() -> None:
    """Nothing of it fails here."""

    class Callable:
        def __call__(self, job: Job) -> None: ...

    def plain(job: Job) -> None: ...

    async def itself(data: dict[str, Any]) -> None: ...

    itself.__wrapped__ = itself  # type: ignore[attr-defined]
    assert taken(Callable(), {"url": "a"}) == Job("a")
    assert taken(functools.partial(plain), {"url": "a"}) == Job("a")
    assert taker_of(itself) is None
    assert returns_data(itself)
    assert taker_of(AsyncMock()) is None
    assert returns_data(AsyncMock())


async def _said(event: Any) -> None: ...
async def _unsaid(event): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
async def _a_dict(event: Any) -> dict[str, Any]: ...  # type: ignore[empty-body]
async def _anything(event: Any) -> Any: ...
async def _a_record(event: Any) -> Job: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "is_data"),
    [(_said, True), (_unsaid, True), (_a_dict, True), (_anything, False), (_a_record, False)],
)
def test_what_is_said_to_be_data(function: Any, is_data: bool) -> None:
    """`Any` may be a record; one that says nothing at all is taken at its word."""
    assert returns_data(function) is is_data
