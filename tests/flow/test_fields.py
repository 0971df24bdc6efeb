"""The fields of records: which of them a class has, and what each is converted to."""

from __future__ import annotations

import enum
import gc
import typing
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Reversible, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Self, TypedDict, TypeVar

import attrs
import pytest
import typing_extensions

from tukio.flow.inputs import COMPILER
from tukio.flow.outputs import dumped
from tukio.flow.records import Record
from tukio.flow.wrong import Wrong

from .converting import converted

T = TypeVar("T")
Few = TypeVar("Few", int, str)


class Colour(enum.Enum):
    """An enum, by values."""

    RED = "red"
    PAIR = (1, 2)


class Strict(enum.Enum):
    """An enum that refuses in its own way."""

    A = 1

    @classmethod
    def _missing_(cls, value: object) -> Any:
        raise KeyError(value)


@dataclass(frozen=True)
class Inner:
    """A record within others."""

    n: int


@dataclass
class Unhashable:
    """A record that is in no set."""

    n: int


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: Inner = Inner(0)


class Extended(typing_extensions.TypedDict):
    """A TypedDict of the other library."""

    a: int
    b: typing_extensions.NotRequired[typing_extensions.ReadOnly[int]]


@dataclass
class Linked:
    """A record that names itself without its name."""

    n: int
    next: Self | None = None


@dataclass
class Box(Generic[T]):
    """A record of anything."""

    it: T
    more: list[T] = field(default_factory=list)
    next: Box[T] | None = None


@dataclass
class Pair(Box[int], Generic[T]):
    """A record of two, with one parameter that is also that of its base."""

    other: T | None = None


class Held(TypedDict, Generic[T]):
    """A dict of anything."""

    it: T


class HeldToo(Held[int]):
    """A dict that is made of another."""

    n: int


@attrs.define
class Crate(Generic[T]):
    """A class of attrs, of anything."""

    it: T


class Two(NamedTuple, Generic[T]):
    """A named tuple of anything."""

    it: T
    n: int


FITS: list[tuple[Any, Any, Any]] = [
    (Point, [1, {"n": 2}], Point(1, Inner(2))),
    (Point, [1], Point(1)),
    (Point, (1,), Point(1)),
    (Point, Point(1), Point(1)),
    (Iterable[Inner], [{"n": 1}], [Inner(1)]),
    (Reversible[Inner], [{"n": 1}], [Inner(1)]),
    (Collection[Inner], [{"n": 1}], [Inner(1)]),
    (deque[Inner], [{"n": 1}], deque([Inner(1)])),
    (typing.OrderedDict[str, Inner], {"a": {"n": 1}}, OrderedDict(a=Inner(1))),
    (typing.OrderedDict[str, int], OrderedDict(a=1), OrderedDict(a=1)),
    (defaultdict[str, list[int]], {"a": [1]}, defaultdict(list, {"a": [1]})),
    (defaultdict[str, Inner], {"a": {"n": 1}}, defaultdict(None, {"a": Inner(1)})),
    (Counter[str], {"a": 2}, Counter("aa")),
    (Extended, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    (list[Extended], [{"a": 1}], [{"a": 1}]),
    (Colour, [1, 2], Colour.PAIR),
    (Literal[Colour.RED], "red", Colour.RED),
    (Literal[Colour.RED], Colour.RED, Colour.RED),
    (Linked, {"n": 1, "next": {"n": 2}}, Linked(1, Linked(2))),
    (tuple[int, *tuple[str, ...]], [1, "a", "b"], (1, "a", "b")),
    (set[int] | list[int], [1, 1], [1, 1]),
    (Inner | dict[str, int], {"n": 1}, Inner(1)),
    (Inner | dict[str, int], {"m": 1}, {"m": 1}),
    (Box[int], {"it": 1, "next": {"it": 2}}, Box(1, next=Box(2))),
    (Box[Inner], {"it": {"n": 1}, "more": [{"n": 2}]}, Box(Inner(1), [Inner(2)])),
    (Pair[str], {"it": 1, "other": "a"}, Pair(1, other="a")),
    (Crate[Inner], {"it": {"n": 1}}, Crate(Inner(1))),
    (Two[Inner], [{"n": 1}, 2], Two(Inner(1), 2)),
    (Few, "a", "a"),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), FITS, ids=[str(n) for n in range(len(FITS))]
)
def test_what_fits(annotation: Any, value: Any, expected: Any) -> None:
    """It becomes what the annotation names, from the form that JSON has for it."""
    found = converted(annotation, value)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(expected, defaultdict):
        assert found.default_factory is expected.default_factory


MISFITS: list[tuple[Any, Any, list[str]]] = [
    (Point, [], ["must have 1 to 2 items, not 0"]),
    (Point, "ab", ["must be Point, not str"]),
    (Point, ["a", {}], ["[0]: must be int, not str", "[1].n: missing"]),
    (Sequence[str], "abc", ["must be Sequence, not str"]),
    (Sequence[int], b"abc", ["must be Sequence, not bytes"]),
    (Sequence, "abc", ["must be Sequence, not str"]),
    (Iterable[str], "abc", ["must be Iterable, not str"]),
    (Collection[str], {"a": 1}, ["must be Collection, not dict"]),
    (Iterable[Inner], iter([]), ["must be list, not list_iterator"]),
    (Extended, {"a": "secret"}, ["a: must be int, not str"]),
    (Extended, {"b": 1}, ["a: missing"]),
    (set[Unhashable], [{"n": 1}], ["has items of which no set can be made"]),
    (range, [1], ["has items of which no range can be made"]),
    (Strict, "secret", ["is no Strict"]),
    (Literal[Colour.RED], "secret", ["must be 'red'"]),
    (Counter[str], {"a": "secret"}, ["[key 0]: must be int, not str"]),
    (dict[str, int], {"secret": "a", "b": 1}, ["[key 0]: must be int, not str"]),
    (
        dict[int, Inner],
        {"secret": {}},
        ["[key 0]: the key must be int, not str", "[key 0].n: missing"],
    ),
    (Linked, {"n": 1, "next": {}}, ["next.n: missing"]),
    (Linked, {"n": 1, "next": 3}, ["next: must be Linked or None, not int"]),
    (Box[int], {"it": "secret"}, ["it: must be int, not str"]),
    (Box[int], {"it": 1, "more": ["a"]}, ["more[0]: must be int, not str"]),
    (Box[int], {"it": 1, "next": {"it": "a"}}, ["next.it: must be int, not str"]),
    (list[Box[str]], [{"it": 1}], ["[0].it: must be str, not int"]),
    (
        Pair[str],
        {"it": "a", "other": 1},
        ["it: must be int, not str", "other: must be str or None, not int"],
    ),
    (Held[int], {"it": "a"}, ["it: must be int, not str"]),
    (HeldToo, {"it": "a", "n": 1}, ["it: must be int, not str"]),
    (Crate[int], {"it": "a"}, ["it: must be int, not str"]),
    (Two[int], ["a", 1], ["[0]: must be int, not str"]),
    (Few, 1.5, ["must be int or str, not float"]),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), MISFITS, ids=[str(n) for n in range(len(MISFITS))]
)
def test_what_does_not_fit(annotation: Any, value: Any, expected: list[str]) -> None:
    """It is told with its path, in which a key of a dict is told by its place."""
    assert converted(annotation, value) == expected


def test_what_needs_no_conversion_is_handed_over_itself() -> None:
    """No copy of it is made."""
    for annotation, value in (
        (typing.OrderedDict[str, int], OrderedDict(a=1)),
        (defaultdict[str, int], defaultdict(int, a=1)),
        (list[str], ["a"]),
        (Sequence[str], ("a",)),
        (dict[str, int], {"a": 1}),
    ):
        assert converted(annotation, value) is value


# Of several types


@dataclass
class Circle:
    """A record that says what it is."""

    kind: Literal["circle"]
    radius: float


class Square(TypedDict):
    """A record that says what it is, as a dict."""

    kind: Literal["square"]
    side: float


@dataclass
class Both:
    """A record with others, of which a tag tells the type."""

    kind: Literal["both"]
    left: Circle | Square | Both
    right: Circle | Square | Both


@dataclass
class Other:
    """A record that says nothing."""

    m: str


UNIONS: list[tuple[Any, Any, list[str]]] = [
    (Inner | None, {}, ["n: missing"]),
    (Inner | None, 3, ["must be Inner or None, not int"]),
    (list[Inner] | None, [{}], ["[0].n: missing"]),
    (dict[str, int] | None, {"a": "b"}, ["[key 0]: must be int, not str"]),
    (Inner | Other, {"n": "a"}, ["n: must be int, not str, as Inner", "m: missing, as Other"]),
    (Circle | Square, {"kind": "circle", "radius": "a"}, ["radius: must be float, not str"]),
    (Circle | Square, {"kind": "square"}, ["side: missing"]),
    (
        Circle | Square | None,
        {"kind": "secret"},
        ["kind: must be 'circle', as Circle", "kind: must be 'square', as Square"],
    ),
    (Circle | Square, {}, ["kind: missing, as Circle", "kind: missing, as Square"]),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), UNIONS, ids=[str(n) for n in range(len(UNIONS))]
)
def test_what_is_none_of_several_types(annotation: Any, value: Any, expected: list[str]) -> None:
    """It is told why it is not the one that it could be, or for each of these."""
    assert converted(annotation, value) == expected


def test_the_search_for_what_is_wrong_is_no_longer_than_the_data() -> None:
    """Each value is looked at once, however deep it is."""
    linked: dict[str, Any] = {"n": "wrong"}
    both: dict[str, Any] = {"kind": "circle", "radius": "wrong"}
    for _ in range(60):
        linked = {"n": 1, "next": linked}
        both = {"kind": "both", "left": {"kind": "circle", "radius": 1}, "right": both}
    assert converted(Linked, linked) == ["next." * 60 + "n: must be int, not str"]
    assert converted(Both, both) == ["right." * 60 + "radius: must be float, not str"]


# Which fields a class has


@dataclass
class Given:
    """A record with what is given to it alone."""

    x: int
    y: InitVar[int] = 0
    z: int = 0
    told: int = field(default=0, init=False)

    def __post_init__(self, y: int) -> None:
        """Keep what is given."""
        self.told = y


@dataclass
class NeedsGiven:
    """A record that needs what it does not keep."""

    x: int
    y: InitVar[int]


@dataclass
class Turned:
    """A record that is made in another order."""

    a: int
    b: int

    def __init__(self, b: int, a: int) -> None:
        """Take the fields the other way round."""
        self.a, self.b = a, b


def quickly(kind: Any, data: Any) -> Any:
    """Return a record as a task takes it."""
    record = COMPILER.record(kind)
    assert isinstance(record, Record)
    return record.quickly()(data)


@pytest.mark.parametrize("take", [converted, quickly])
def test_each_value_is_given_to_its_own_parameter(take: Any) -> None:
    """Whatever the order of them, and whether it is kept."""
    assert take(Given, {"x": 1, "y": 5, "z": 3}) == Given(1, 5, 3)
    assert take(Given, {"x": 1, "y": 5, "z": 3}).told == 5
    assert vars(take(Turned, {"a": 1, "b": 2})) == {"a": 1, "b": 2}
    assert converted(NeedsGiven, {"x": 1}) == ["y: missing"]


@pytest.mark.parametrize("data", [defaultdict(int, most=1), Counter(most=1)])
def test_a_dict_is_not_asked_for_what_it_does_not_have(data: Any) -> None:
    """A value that it would make is none of the data."""
    with pytest.raises(Wrong) as caught:
        quickly(Inner, data)
    assert [str(one) for one in caught.value.misfits] == ["n: missing"]


@dataclass
class Checked:
    """A record that fails in its own way."""

    error: str
    calls: typing.ClassVar[list[str]] = []

    def __post_init__(self) -> None:
        """Fail."""
        self.calls.append(self.error)
        raise {"key": KeyError, "type": TypeError, "value": ValueError}[self.error](self.error)


@pytest.mark.parametrize(
    ("error", "raised"), [("key", KeyError), ("type", TypeError), ("value", Wrong)]
)
def test_a_record_is_made_once(error: str, raised: type[Exception]) -> None:
    """Also when it fails."""
    Checked.calls.clear()
    with pytest.raises(raised):
        quickly(Checked, {"error": error})
    assert Checked.calls == [error]


# Types that refer to themselves

Json = typing_extensions.TypeAliasType("Json", "dict[str, Json] | list[Json] | int")
Pairs = typing_extensions.TypeAliasType("Pairs", list[tuple[T, T]], type_params=(T,))
Endless = typing_extensions.TypeAliasType("Endless", "Endless")  # type: ignore[misc]
Around = typing_extensions.TypeAliasType("Around", "Around | int")  # type: ignore[misc]
There = typing_extensions.TypeAliasType("There", "Back | None")
Back = typing_extensions.TypeAliasType("Back", "There | int")  # type: ignore[misc]
Missing = typing_extensions.TypeAliasType("Missing", "list[Nowhere]")  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Growing(Generic[T]):
    """A record of which each one has another type."""

    it: T
    next: Growing[list[T]] | None = None


@dataclass
class WithJson:
    """A record with data of any shape, of some types."""

    it: Json


def test_a_name_for_a_type_may_be_in_that_type() -> None:
    """As for what JSON has."""
    data: Any = {"it": {"a": [1, {"b": 2}]}}
    assert converted(WithJson, data) == WithJson(data["it"])
    data = {"it": {"a": [1, {"b": "secret"}]}}
    [problem] = converted(WithJson, data)
    assert problem.startswith("it[key 0][1][key 0]: must be dict")
    assert problem.endswith(" or int, not str")


def test_a_name_for_a_type_may_have_parameters() -> None:
    """What is given for them counts."""
    assert converted(Pairs[Inner], [[{"n": 1}, {"n": 2}]]) == [(Inner(1), Inner(2))]
    assert converted(Pairs[int], [[1, "a"]]) == ["[0][1]: must be int, not str"]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Endless, "the type Endless stands for itself"),
        (Around, "the type Around stands for itself"),
        (There, "the type There stands for itself"),
        (Growing[int], "Growing[int] has no end"),
        (Missing, "the type Missing names what is not there"),
    ],
)
def test_a_type_that_has_no_end_or_no_meaning_is_refused(annotation: Any, words: str) -> None:
    """It is said which."""
    with pytest.raises(TypeError) as caught:
        COMPILER.convert(annotation)
    assert words in str(caught.value)


def test_what_a_class_was_compiled_to_goes_with_it() -> None:
    """Nothing is kept of a class that was made in a function."""

    def made() -> weakref.ref[Any]:
        @dataclass
        class Local:
            n: int
            next: Self | None = None

        assert dumped(converted(Local, {"n": 1})) == {"n": 1, "next": None}
        return weakref.ref(Local)

    kind = made()
    gc.collect()
    assert kind() is None


def test_a_class_that_could_not_be_compiled_leaves_nothing_behind() -> None:
    """Another that refers to it is compiled as if it had not been tried."""
    later = globals()
    with pytest.raises(TypeError, match="its field 'x' names 'Later', which is not there"):
        COMPILER.record(First)
    later["Later"] = int
    try:
        assert converted(Second, {"first": {"n": 5}}) == Second(First(5))
    finally:
        del later["Later"]


@dataclass
class Third:
    """A record that names what comes later."""

    x: Later  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Second:
    """A record that names one that names it."""

    first: First | None = None


@dataclass
class First:
    """A record that names one that names it, and one that cannot be read."""

    n: int = 0
    second: Second | None = None
    third: Third | None = None
