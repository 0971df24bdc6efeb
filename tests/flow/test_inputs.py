"""What a task takes: data is checked and converted by the annotation of its argument."""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    NotRequired,
    Protocol,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import pytest

import tukio
from tukio.errors import InvalidInput
from tukio.flow import flow, task
from tukio.flow.inputs import COMPILER, taker_of
from tukio.flow.wrong import Wrong

from .converting import converted

if TYPE_CHECKING:
    from tukio.task import Registry

T = TypeVar("T")
Name = NewType("Name", str)


class Colour(enum.Enum):
    """An enum, by values."""

    RED = "red"


@dataclass
class Inner:
    """A record within others."""

    n: int


@dataclass
class Outer:
    """A record that refers to itself, and to another one."""

    url: str
    _: KW_ONLY
    inner: Inner | None = None
    more: list[Inner] = field(default_factory=list)
    next: Outer | None = None
    made: str = field(default="", init=False)


@dataclass(frozen=True, slots=True)
class Positive:
    """A record that checks itself."""

    n: int

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        if self.n < 1:
            raise ValueError("n must be positive")


@dataclass
class Box(Generic[T]):
    """A record of anything."""

    it: T


class Order(TypedDict):
    """A record that is a dict."""

    item: str
    many: NotRequired[int]


class HasName(Protocol):
    """What no `isinstance` can tell."""

    name: str


ID = UUID(int=7)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

FITS: list[tuple[Any, Any, Any]] = [
    (str, "a", "a"),
    (int, 1, 1),
    (int, True, True),
    (float, 1, 1),
    (float, 0.5, 0.5),
    (Name, "a", "a"),
    (Annotated[int, "positive"], 1, 1),
    (Any, [1], [1]),
    (object, 1, 1),
    (None, None, None),
    (str | None, None, None),
    (int | str, "a", "a"),
    (Inner | None, {"n": 1}, Inner(1)),
    (Inner, Inner(1), Inner(1)),
    (Inner, {"n": 1, "other": 2}, Inner(1)),
    (list[int], [1, 2], [1, 2]),
    (list[Inner], [{"n": 1}], [Inner(1)]),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2], (1, 2)),
    (tuple[int, ...], (1, 2), (1, 2)),
    (set[str], ["a", "a"], {"a"}),
    (frozenset[str], ["a"], frozenset({"a"})),
    (Sequence[Inner], ({"n": 1},), [Inner(1)]),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[str, Inner], {"a": {"n": 1}}, {"a": Inner(1)}),
    (Mapping[str, Any], {"a": 1}, {"a": 1}),
    (dict, {"a": 1}, {"a": 1}),
    (list, ["a", 1], ["a", 1]),
    (Literal["a", 1], 1, 1),
    (Colour, "red", Colour.RED),
    (Colour, Colour.RED, Colour.RED),
    (datetime, NOON.isoformat(), NOON),
    (datetime, NOON, NOON),
    (date, "2026-01-01", date(2026, 1, 1)),
    (Decimal, "1.50", Decimal("1.50")),
    (UUID, str(ID), ID),
    (Path, "a/b", Path("a/b")),
    (HasName, 3, 3),
    (T, 3, 3),
    (Box, {"it": "anything"}, Box("anything")),
    (Box[int], {"it": 1}, Box(1)),
    (Order, {"item": "cup", "other": 1}, {"item": "cup", "other": 1}),
    (
        Outer,
        {"url": "a", "inner": {"n": 1}, "more": [{"n": 2}], "next": {"url": "b"}},
        Outer("a", inner=Inner(1), more=[Inner(2)], next=Outer("b")),
    ),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), FITS, ids=[str(n) for n in range(len(FITS))]
)
def test_what_fits(annotation: Any, value: Any, expected: Any) -> None:
    """It is handed over as it is, or as what the annotation names."""
    found = converted(annotation, value)
    assert found == expected
    assert type(found) is type(expected)


MISFITS: list[tuple[Any, Any, list[str]]] = [
    (str, 1, ["must be str, not int"]),
    (int, "1", ["must be int, not str"]),
    (int, 1.5, ["must be int, not float"]),
    (str, None, ["must be str, not None"]),
    (None, 1, ["must be None, not int"]),
    (str | None, 1, ["must be str or None, not int"]),
    (list[int], (1,), ["must be list, not tuple"]),
    (list[int], "ab", ["must be list, not str"]),
    (list[int], ["a", 1, "b"], ["[0]: must be int, not str", "[2]: must be int, not str"]),
    (tuple[int, str], [1], ["must have 2 items, not 1"]),
    (dict[str, int], {"a": "b"}, ["[key 0]: must be int, not str"]),
    (dict[str, int], {1: 1}, ["[key 0]: the key must be str, not int"]),
    (dict[str, int], [], ["must be dict, not list"]),
    (Literal["a", 1], True, ["must be 'a' or 1"]),
    (Colour, "blue", ["is no Colour"]),
    (Colour, [], ["is no Colour"]),
    (datetime, "noon", ["is a str, but no datetime"]),
    (Decimal, "x", ["is a str, but no Decimal"]),
    (UUID, "x", ["is a str, but no UUID"]),
    (UUID, 3, ["must be UUID, not int"]),
    (Inner, [], ["must be Inner, not list"]),
    (Inner, {}, ["n: missing"]),
    (Inner, {"n": "x"}, ["n: must be int, not str"]),
    (Inner, {"n": None}, ["n: must be int, not None"]),
    (Order, {"many": "x"}, ["item: missing", "many: must be int, not str"]),
    (Positive, {"n": 0}, ["n must be positive"]),
    (list[Positive], [{"n": 0}], ["[0]: n must be positive"]),
    (
        Outer,
        {"inner": {"n": "x"}, "more": [{"n": 1}, {}], "next": {"url": "b", "next": {}}},
        [
            "url: missing",
            "inner.n: must be int, not str",
            "more[1].n: missing",
            "next.next.url: missing",
        ],
    ),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), MISFITS, ids=[str(n) for n in range(len(MISFITS))]
)
def test_what_does_not_fit(annotation: Any, value: Any, expected: list[str]) -> None:
    """All that is wrong is told with its path; no value is."""
    assert converted(annotation, value) == expected


# A task with such an argument


async def started(function: Any, data: dict[str, Any], own: Registry) -> tukio.Workflow:
    """Run a workflow of one task to its end."""
    async with tukio.Engine(registry=own) as engine:
        run = await engine.start(flow("x", task(registry=own)(function)), data)
        await run.wait()
    return run


async def test_a_task_takes_a_record(own: Registry) -> None:
    """It is made of the data of the event; further keys are left alone, and travel on."""
    seen: list[object] = []

    async def work(inner: Inner) -> None:
        seen.append(inner)

    run = await started(work, {"n": 1, "other": 2}, own)
    assert seen == [Inner(1)]
    assert run.outputs == {"work": None}
    [step] = run.tasks
    assert step.inputs == {"n": 1, "other": 2}


async def test_data_that_does_not_fit_is_an_error_of_the_task(own: Registry) -> None:
    """The function is not called; what is wrong is told with its path, and without any value."""
    called: list[object] = []

    async def work(outer: Outer) -> None:
        called.append(outer)

    run = await started(work, {"more": [{"n": "secret"}]}, own)
    error = run.errors["work"]
    assert isinstance(error, InvalidInput)
    assert isinstance(error, ValueError)
    assert str(error) == "the data is no Outer: url: missing; more[0].n: must be int, not str"
    assert [misfit.path for misfit in error.misfits] == ["url", "more[0].n"]
    assert called == []
    assert "secret" not in str(run.report()["tasks"][0]["exec"]["error"])


def test_the_text_of_very_many_misfits_is_bounded() -> None:
    """The error has all of them."""
    misfits = COMPILER.convert(list[int])
    assert misfits is not None
    with pytest.raises(Wrong) as caught:
        misfits(["x"] * 1_000)
    error = InvalidInput("list", caught.value.misfits)
    assert len(error.misfits) == 1_000
    assert str(error).endswith("[9]: must be int, not str; and 990 more")


async def test_what_a_record_says_of_itself_is_the_cause(own: Registry) -> None:
    """As it raised it."""

    async def work(it: Positive) -> None: ...

    run = await started(work, {"n": 0}, own)
    assert str(run.errors["work"]) == "the data is no Positive: n must be positive"
    assert isinstance(run.errors["work"].__cause__, ValueError)


@dataclass
class Named:
    """A record with a field that has an enum, a dict and a linked list of records in it."""

    colours: dict[str, Colour]
    next: Named | None = None


async def test_no_key_and_no_value_is_told(own: Registry) -> None:
    """Nor may a line of a log be forged by one; and the text is bounded."""

    async def work(named: Named) -> None: ...

    data = {"colours": {"k" * 1_000_000: "red", "SECRET\nERROR forged": "SECRET"}}
    run = await started(work, data, own)
    assert str(run.errors["work"]) == "the data is no Named: colours[key 1]: is no Colour"
    assert run.errors["work"].__context__ is None


async def test_what_a_record_says_of_itself_is_on_one_line(own: Registry) -> None:
    """And not at any length."""

    @dataclass
    class Loud:
        n: int

        def __post_init__(self) -> None:
            raise ValueError("no\nERROR forged " + "x" * 1_000_000)

    async def work(loud: Loud) -> None: ...

    run = await started(work, {"n": 1}, own)
    text = str(run.errors["work"])
    assert text.startswith(r"the data is no Loud: no\nERROR forged xxx")
    assert len(text) < 1_000


async def test_data_that_contains_itself_does_not_fit(own: Registry) -> None:
    """Nor does data of any depth."""

    async def work(named: Named) -> None: ...

    take = taker_of(work)
    assert take is not None
    data: dict[str, Any] = {"colours": {}}
    data["next"] = data
    with pytest.raises(InvalidInput, match="contains itself, or is nested too deeply"):
        take(tukio.Event(data))


async def test_a_task_takes_one_of_several_records(own: Registry) -> None:
    """The first that fits."""
    seen: list[object] = []

    async def work(it: Inner | Order) -> None:
        seen.append(it)

    await started(work, {"item": "cup"}, own)
    assert seen == [{"item": "cup"}]


async def test_a_task_takes_a_dict(own: Registry) -> None:
    """The data of the event, which is the task's own."""
    seen: list[object] = []

    async def whole(data: dict[str, Any]) -> None:
        seen.append(data)

    async def numbers(data: Mapping[str, int]) -> None:
        seen.append(data)

    await started(whole, {"n": "x"}, own)
    run = await started(numbers, {"n": "x"}, own)
    assert seen == [{"n": "x"}]
    assert str(run.errors["numbers"]) == "the data is no dict: [key 0]: must be int, not str"


async def test_a_task_takes_the_event(own: Registry) -> None:
    """Where it says so, and where it says nothing; it is registered as it is, at no cost."""

    async def plain(event): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    async def said(event: tukio.Event) -> dict[str, Any]:
        return {}

    async def anything(event: Any) -> None: ...

    async def unknown(event: Event) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for function in (plain, said, anything, unknown):
        made = task(registry=own)(function)
        assert own.get(made.name) == (None, function)


def test_the_names_in_annotations_may_be_local(own: Registry) -> None:
    """As those of a test are."""

    @dataclass
    class Local:
        n: int

    @task(registry=own)
    async def work(it: Local) -> Local:
        return it

    assert own.get("work")[1] is not work.function


async def test_a_task_takes_other_mappings(own: Registry) -> None:
    """Each of the kind that it says, and with its keys converted."""
    seen: list[Any] = []

    async def ordered(data: OrderedDict[str, Any]) -> None:
        seen.append(data)

    async def coloured(data: dict[Colour, Any]) -> None:
        seen.append(data)

    await started(ordered, {"red": 1}, own)
    await started(coloured, {"red": 1}, own)
    assert seen == [OrderedDict(red=1), {Colour.RED: 1}]
    assert type(seen[0]) is OrderedDict


REFUSED: dict[str, Any] = {
    "its argument is of type int, and the data of an event is a dict - take a dataclass": int,
    "its argument is of type list[int]": list[int],
    "its argument is of type tests.flow.test_inputs.Inner | None": Inner | None,
    "the annotation 'Nowhere' of its argument names what is not there": "Nowhere",
    "the annotation 'Inner.nothing' of its argument names what is not": "Inner.nothing",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_no_data_is_cannot_be_taken(words: str, own: Registry) -> None:
    """It is said where the task is defined."""

    async def work(it: Any) -> None: ...

    work.__annotations__["it"] = REFUSED[words]
    with pytest.raises(TypeError) as caught:
        task(registry=own)(work)
    assert words in str(caught.value)
    assert "work" not in own.tasks
