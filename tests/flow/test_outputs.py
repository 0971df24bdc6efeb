"""What tasks return is data again for those after them."""

from __future__ import annotations

import enum
import gc
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

import tukio
from tukio.flow import flow, task
from tukio.flow.outputs import dumped

if TYPE_CHECKING:
    from tukio.task import Registry


class Colour(enum.Enum):
    """An enum, by values."""

    RED = "red"


@dataclass
class Inner:
    """A record within others."""

    n: int


@dataclass
class Outer:
    """A record of everything."""

    inner: Inner
    many: list[Inner] = field(default_factory=list)
    by_name: dict[str, Inner] = field(default_factory=dict)
    pair: tuple[Inner, int] = (Inner(1), 2)
    colour: Colour = Colour.RED
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    nothing: None = None
    made: str = field(default="made", init=False)


def test_a_record_becomes_a_dict_of_its_fields() -> None:
    """And so do those within, wherever they are; a member of an enum becomes its value."""
    assert dumped(Outer(Inner(0), [Inner(1)], {"a": Inner(2)})) == {
        "inner": {"n": 0},
        "many": [{"n": 1}],
        "by_name": {"a": {"n": 2}},
        "pair": ({"n": 1}, 2),
        "colour": "red",
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "nothing": None,
    }


def test_all_else_is_data_already() -> None:
    """It is handed on as it is."""
    for value in ({"a": Inner(1)}, None, "text", 3, [Inner(1)], object()):
        assert dumped(value) is value


def test_a_type_with_a_form_in_json_is_left_alone() -> None:
    """It goes through reports as what it is; only what a task returns is always taken apart."""

    @dataclass
    class Money:
        amount: int

    @dataclass
    class Bill:
        total: Money

    tukio.codec(Money)
    assert dumped(Bill(Money(3))) == {"total": Money(3)}
    assert dumped(Money(3)) == {"amount": 3}


async def test_records_go_from_task_to_task(own: Registry) -> None:
    """What a task returns is in events and reports as data; the next makes its record of it."""

    @task(registry=own)
    async def make(event: tukio.Event) -> Outer:
        return Outer(Inner(event.data["n"]), [Inner(1)])

    @task(registry=own)
    async def check(outer: Outer) -> None:
        assert outer == Outer(Inner(7), [Inner(1)])

    @task(registry=own)
    async def end(outer: Outer) -> Inner:
        return outer.inner

    async with tukio.Engine(registry=own) as engine:
        run = await engine.start(flow("x", make >> check >> end), {"n": 7})
        await run.wait(check=True)
    assert run.output == {"end": {"n": 7}}
    report = tukio.report_from_json(tukio.report_to_json(run.report()))
    shown = {one["id"]: one["exec"]["outputs"] for one in report["tasks"]}
    assert shown == run.outputs | {"check": None}


async def test_a_flow_starts_with_a_record(own: Registry) -> None:
    """As the first task takes it."""

    @task(registry=own)
    async def first(inner: Inner) -> Any:
        return {"n": inner.n + 1}

    assert await flow("x", first).run(Inner(1)) == {"n": 2}


# What is in a record


@dataclass(frozen=True)
class Kept:
    """A record that may be in a set."""

    n: int


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    kept: Kept


class Level(enum.IntEnum):
    """An enum whose members are numbers, too."""

    LOW = 1


@dataclass
class Whole:
    """A record of anything."""

    it: Any


WITHIN: list[tuple[Any, Any]] = [
    ({Colour.RED: 1, "a": Kept(1)}, {"red": 1, "a": {"n": 1}}),
    ({(Colour.RED, 1): 2}, {("red", 1): 2}),
    ({Kept(1): 2}, {Kept(1): 2}),
    ({Colour.RED, 1}, {"red", 1}),
    (frozenset({Colour.RED}), frozenset({"red"})),
    ({Kept(1)}, [{"n": 1}]),
    (frozenset({Kept(1)}), [{"n": 1}]),
    (deque([Kept(1), Colour.RED]), [{"n": 1}, "red"]),
    (OrderedDict(a=Kept(1)), {"a": {"n": 1}}),
    (defaultdict(list, a=[Kept(1)]), {"a": [{"n": 1}]}),
    (Counter("aa"), {"a": 2}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (Point(1, Kept(2)), (1, {"n": 2})),
    (Level.LOW, 1),
    ([(Level.LOW, [Kept(1)])], [(1, [{"n": 1}])]),
]


@pytest.mark.parametrize(("value", "expected"), WITHIN, ids=[str(n) for n in range(len(WITHIN))])
def test_what_is_in_a_record_is_data(value: Any, expected: Any) -> None:
    """Of the types that JSON has, or reports have a form for; nothing of the record's own."""
    found = dumped(Whole(value))["it"]
    assert found == expected
    assert type(found) is type(expected)


@dataclass
class Parts:
    """A record with what JSON does not have."""

    keys: dict[Colour, int]
    some: set[Colour]
    records: frozenset[Kept]
    last: deque[Kept]
    ordered: OrderedDict[str, Kept]
    lists: defaultdict[str, list[int]]
    point: Point


async def test_a_record_goes_through_a_report(own: Registry) -> None:
    """As data that the next task makes the same record of."""
    made = Parts(
        {Colour.RED: 1},
        {Colour.RED},
        frozenset({Kept(1)}),
        deque([Kept(2)]),
        OrderedDict(a=Kept(3)),
        defaultdict(list, a=[1]),
        Point(1, Kept(4)),
    )
    seen: list[Parts] = []
    is_taken = anyio.Event()

    @task(registry=own)
    async def make(event: tukio.Event) -> Parts:
        return made

    @task(registry=own)
    async def take(parts: Parts) -> None:
        seen.append(parts)
        is_taken.set()
        await anyio.sleep(len(seen) % 2)

    template = flow("x", make >> take)
    async with tukio.Engine(registry=own) as engine:
        run = await engine.start(template, {})
        await is_taken.wait()
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        run.cancel()
        await run.wait()
        again = await engine.rescue(template, report)
        await again.wait(check=True)
    assert seen == [made, made]
    assert type(seen[1].last) is deque
    assert seen[1].lists["none"] == []


def test_what_is_given_to_a_class_alone_is_not_among_the_data() -> None:
    """As it is not kept."""

    @dataclass
    class Given:
        n: int
        secret: InitVar[str] = ""

    assert dumped(Given(1, "secret")) == {"n": 1}


def test_a_record_that_contains_itself_is_no_data() -> None:
    """Nor is one of any depth; it is said which."""
    around = Whole([])
    around.it.append(around)
    deep = Whole(0)
    for _ in range(10_000):
        deep = Whole(deep)
    for record in (around, deep):
        with pytest.raises(ValueError, match="Whole contains itself, or is nested too deeply"):
            dumped(record)


def test_what_is_known_of_a_class_goes_with_it() -> None:
    """Nothing is kept of a class that was made in a function."""

    def made() -> weakref.ref[Any]:
        @dataclass
        class Local:
            n: Any

        assert dumped(Local([Local(1)])) == {"n": [{"n": 1}]}
        return weakref.ref(Local)

    kind = made()
    gc.collect()
    assert kind() is None


async def test_a_task_that_says_any_may_return_a_record(own: Registry) -> None:
    """It is taken apart as that of a task that says which."""

    @task(registry=own)
    async def make(event: tukio.Event) -> Any:
        return Kept(3)

    @task(registry=own)
    async def take(kept: Kept) -> Any:
        return {"n": kept.n}

    assert await flow("x", make >> take).run() == {"n": 3}
