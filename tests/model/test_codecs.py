"""What JSON lacks: times in zones, types of the user's own, and documents that others read."""

from __future__ import annotations

import enum
import json
import pathlib
import sys
import time as clock
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

import tukio
from tukio._model.decoding import find_lost
from tukio._model.registered import CODECS
from tukio._model.report_json import TAG, Lost, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 1, 2, tzinfo=UTC)
NOTHING: dict[str, Any] = {"exec": {"id": "r", "start": START, "end": None}, "tasks": []}

PARIS = ZoneInfo("Europe/Paris")
FORWARD, BACK = datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - the zone comes later


def text_of(value: Any) -> str:
    """Return the text of a report with a value in it."""
    return tukio.report_to_json(NOTHING | {"meta": value})


def through_json(value: Any) -> Any:
    """Return what a value in a report is after it went through JSON text."""
    return tukio.report_from_json(text_of(value))["meta"]


# Values of the standard library


@pytest.mark.parametrize(
    "value",
    [
        BACK,
        BACK.replace(fold=1),
        BACK.replace(tzinfo=PARIS),
        BACK.replace(tzinfo=PARIS, fold=1),
        FORWARD.replace(tzinfo=PARIS),
        FORWARD.replace(tzinfo=PARIS, fold=1),
        datetime(2026, 3, 28, 12, tzinfo=PARIS),
        datetime(1850, 1, 1, tzinfo=PARIS),
        datetime(2026, 1, 2, tzinfo=ZoneInfo("UTC")),
        datetime(2026, 1, 2, tzinfo=UTC, fold=1),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1), "here")),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(microseconds=1))),
        time(2, 30, fold=1),
        time(2, 30, tzinfo=PARIS, fold=1),
        time(2, 30, tzinfo=UTC),
    ],
    ids=repr,
)
def test_a_time_comes_back_with_its_zone_and_its_fold(value: Any) -> None:
    """Equal, and of the same behaviour: also a day later, when the clock has changed."""
    back = through_json({value: [value]}) if value.fold == 0 else {value: [through_json(value)]}
    [[again]] = back.values()

    assert type(again) is type(value)
    assert again == value
    assert (again.fold, again.utcoffset(), again.tzname()) == (
        value.fold,
        value.utcoffset(),
        value.tzname(),
    )
    assert (again.tzinfo, repr(again)) == (value.tzinfo, repr(value))
    if isinstance(value, datetime):
        for days in range(-9, 9):
            later = timedelta(days)
            assert (again + later).utcoffset() == (value + later).utcoffset()


@given(
    st.datetimes(timezones=st.timezones(), allow_imaginary=True),
    st.integers(-400, 400),
    st.sampled_from([0, 1]),
)
def test_a_time_of_any_zone_comes_back_or_is_lost(value: datetime, days: int, fold: int) -> None:
    """Never another time without a word."""
    value = value.replace(fold=fold)
    again = through_json(value)

    assert again == value
    try:
        later = value + timedelta(days)
        assert (again + timedelta(days)).utcoffset() == later.utcoffset()
    except OverflowError:
        pass


class Own(tzinfo):
    """A zone of the user's own."""

    def utcoffset(self, _: datetime | None, /) -> timedelta:
        """Return an hour."""
        return timedelta(hours=1)

    def dst(self, _: datetime | None, /) -> None:
        """Tell nothing."""

    def tzname(self, _: datetime | None, /) -> str:
        """Return a name."""
        return "own"


def from_file() -> ZoneInfo:
    """Return a zone that says that it is Paris, and is Tokyo."""
    for folder in __import__("zoneinfo").TZPATH:
        path = pathlib.Path(folder, "Asia/Tokyo")
        if path.exists():
            with path.open("rb") as file:
                return ZoneInfo.from_file(file, key="Europe/Paris")
    return pytest.skip("this machine has no files of time zones")


@pytest.mark.parametrize("zone", [Own, from_file])
def test_a_time_in_a_zone_that_cannot_be_found_again_is_lost(zone: Callable[[], tzinfo]) -> None:
    """Its offset is not enough: the next day it may be another one."""
    value = datetime(2026, 1, 2, tzinfo=zone())
    data = through_json({"x": [value, value.timetz()]})

    assert [type(part) for part in data["x"]] == [Lost, Lost]
    assert find_lost(data) == "x[0]"


def test_a_time_that_the_clock_shows_twice_is_lost_with_a_zone_that_is_found_anew() -> None:
    """Another object of the same zone: no such time is equal to one of the zone's other objects."""
    twice = BACK.replace(tzinfo=ZoneInfo.no_cache("Europe/Paris"), fold=1)
    once = twice.replace(month=9)
    again = through_json([once, twice])

    assert again[0] == once
    assert type(again[1]) is Lost


@pytest.mark.parametrize(
    ("form", "word"),
    [
        (["2026-01-02T00:00:00", 0, {TAG: "zoneinfo", "value": "Mars/Base"}, 0], "Mars/Base"),
        (["2026-01-02T00:00:00", 0, {TAG: "zoneinfo", "value": "../../etc/passwd"}, 0], "passwd"),
        (["2026-01-02T00:00:00", 0, {TAG: "zoneinfo", "value": "Europe"}, 0], "Europe"),
        (["2026-01-02T00:00:00", 0, {TAG: "zoneinfo", "value": "Europe/Paris"}, 0], "another"),
    ],
)
def test_a_zone_of_another_machine_is_lost_here(form: Any, word: str) -> None:
    """Also if its rules have changed: then this was another moment."""
    text = json.dumps({"meta": {TAG: "datetime", "value": form}})
    lost = tukio.report_from_json(text)["meta"]

    assert type(lost) is Lost
    assert word in lost.shown


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.10"),
        Decimal("-0"),
        Decimal("NaN123"),
        Decimal("-sNaN"),
        Decimal("-Infinity"),
        Decimal("1E+999999"),
        Decimal(10**3000 + 1),
        uuid.UUID(int=5),
        date(1, 1, 1),
        timedelta.min,
        timedelta(-1, 5, 7),
        PARIS,
        UTC,
        timezone(timedelta(0), "Z"),
        pathlib.PurePosixPath("a/../b"),
        pathlib.PurePosixPath(""),
        pathlib.PurePosixPath("\udcff"),
        pathlib.PureWindowsPath("c:a"),
        pathlib.Path("/a"),
    ],
    ids=repr,
)
def test_a_value_of_the_standard_library_comes_back(value: Any) -> None:
    """Of the same type, and with the same text."""
    [again] = through_json([value])

    assert type(again) is type(value)
    assert repr(again) == repr(value)


def test_a_path_is_lost_if_its_text_is_that_of_another_path() -> None:
    """Before 3.12, the file `c:a` of this folder is written like the file `a` of the drive `c:`."""
    path = pathlib.PureWindowsPath("./c:a")
    again = through_json(path)

    assert type(again) is Lost or (type(again), again) == (type(path), path)


def test_a_path_of_another_system_is_lost_here() -> None:
    """Python has no such object here."""
    name = "PosixPath" if sys.platform == "win32" else "WindowsPath"
    text = json.dumps({"meta": {TAG: "path", "value": [name, "a"]}})

    assert type(tukio.report_from_json(text)["meta"]) is Lost


# Types of the user's own


class Colour(enum.Enum):
    """An enum."""

    RED = "red"
    SCARLET = "red"  # noqa: PIE796 - another name of the same member
    BLUE = object()


class Access(enum.IntFlag):
    """Flags, which can be combined."""

    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True)
class Point:
    """A dataclass that cannot be changed."""

    x: int
    y: Any = None


@dataclass
class Account:
    """A dataclass that does something when it is made."""

    owner: str
    made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.made += 1


class Money:
    """Any class."""

    def __init__(self, amount: Decimal, unit: str) -> None:
        self.amount, self.unit = amount, unit

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.unit)


def parts_of(money: Money) -> Any:
    """Return what money is made of."""
    return money.amount, money.unit


@pytest.fixture
def registered() -> Iterator[None]:
    """Register the types above."""
    kinds: list[Any] = [Colour, Access, Point, Account]
    for kind in kinds:
        tukio.codec(kind)
    tukio.codec(Money, parts_of, lambda parts: Money(*parts), name="money")
    yield
    for kind in [*kinds, Money]:
        CODECS.remove(kind)


VALUES = [
    Colour.RED,
    Colour.BLUE,
    Access.READ,
    Access.READ | Access.WRITE,
    Point(1, Point(2, {3: Colour.RED})),
    Account("me"),
    Money(Decimal("1.10"), "EUR"),
    {Point(1): [Money(Decimal(1), "EUR")]},
    {Money(Decimal(1), "EUR"), Colour.RED},
]
NAMES = ["red", "blue", "flag", "flags", "frozen", "account", "money", "keys", "members"]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_a_value_of_a_registered_type_comes_back(value: Any) -> None:
    """Wherever it is in the data; a dataclass without a call of what makes one."""
    again = through_json(value)

    assert type(again) is type(value)
    assert again == value
    assert find_lost(again) is None


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_a_value_of_a_type_that_is_not_registered_is_lost(value: Any) -> None:
    """As any other object; what it is and where is told."""
    assert find_lost(through_json({"a": [value]}), "x") is not None


@pytest.mark.parametrize("value", VALUES[:-2], ids=NAMES[:-2])
def test_who_has_not_registered_a_type_hands_its_values_on(value: Any) -> None:
    """They are lost there; another process, which has, reads the report that was written there."""
    kind: Any = type(value)
    functions: Any = (parts_of, Money) if kind is Money else ()
    tukio.codec(kind, *functions)
    if kind is Point:
        tukio.codec(Colour)
    try:
        text = text_of([value])
    finally:
        CODECS.remove(kind)
        if kind is Point:
            CODECS.remove(Colour)
    report = tukio.report_from_json(text)
    [lost] = report["meta"]

    assert type(lost) is Lost
    assert kind.__qualname__ in lost.shown
    assert "not registered" in lost.shown
    assert json.loads(tukio.report_to_json(report)) == json.loads(text)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("inner", [object(), {"a": [object()]}, {object(): 1}])
def test_a_value_with_something_lost_in_it_is_lost_itself(inner: Any) -> None:
    """Else nobody would find it: data is looked through, objects are not."""
    assert find_lost(through_json([Point(1, inner)]), "x") == "x[0]"


class Ends(BaseException):
    """Is no `Exception`."""


def fail(*_: object) -> Any:
    """Fail."""
    raise Ends


@pytest.mark.parametrize(
    ("encode", "decode"),
    [
        (fail, Money),
        (lambda money: money, lambda money: money),
        (parts_of, fail),
        (parts_of, list),
        (parts_of, lambda parts: Money(*parts, "more")),  # type: ignore[call-arg]
    ],
)
def test_a_codec_that_fails_loses_the_value_and_nothing_else(encode: Any, decode: Any) -> None:
    """With its path, as what has no codec."""
    tukio.codec(Money, encode, decode)
    try:
        data = through_json({"a": 1, "b": [Money(Decimal(1), "EUR")]})
    finally:
        CODECS.remove(Money)

    assert data["a"] == 1
    assert find_lost(data, "x") == "x.b[0]"


class Broken(Own):
    """A zone that does not know its offset."""

    def utcoffset(self, _: datetime | None, /) -> timedelta:
        """Fail."""
        raise LookupError


def test_a_time_in_a_registered_zone_that_fails_is_lost_alone() -> None:
    """The zone has a form; the time in it has none, for nobody can tell which time it is."""
    tukio.codec(Own, repr, lambda _: Own())
    tukio.codec(Broken, repr, lambda _: Broken())
    try:
        sound, broken = datetime(2026, 1, 2, tzinfo=Own()), datetime(2026, 1, 2, tzinfo=Broken())
        data = through_json({"x": [sound, broken.tzinfo, broken]})
    finally:
        CODECS.remove(Own)
        CODECS.remove(Broken)

    assert [type(part) for part in data["x"]] == [datetime, Broken, Lost]


def nest(value: Any) -> Any:
    """Go on until Python says that it is too deep."""
    return nest([value])


def test_a_codec_that_goes_too_deep_is_met_like_data_that_does() -> None:
    """A text cannot be written, or is refused: the value is not to blame."""
    tukio.codec(Money, nest, nest)
    try:
        with pytest.raises(RecursionError):
            text_of(Money(Decimal(1), "EUR"))
        document = {"meta": {TAG: "object", "value": [f"{__name__}.Money", 0]}}
        with pytest.raises(tukio.RescueError, match="recursion"):
            tukio.report_from_json(json.dumps(document))
    finally:
        CODECS.remove(Money)


@pytest.mark.usefixtures("registered")
def test_attributes_that_are_no_fields_are_not_lost_without_a_word() -> None:
    """A dataclass comes back with its fields alone."""
    account = Account("me")
    account.more = 1  # type: ignore[attr-defined]

    assert type(through_json(account)) is Lost


@pytest.mark.usefixtures("registered")
def test_a_dataclass_that_has_changed_since_is_lost() -> None:
    """Its fields are not those that were written."""
    text = text_of(Point(1)).replace('"y"', '"z"')

    assert type(tukio.report_from_json(text)["meta"]) is Lost


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((Point,), ValueError, "once"),
        ((int, str, int), ValueError, "already"),
        ((dict, list, dict), ValueError, "already"),
        ((Decimal, str, Decimal), ValueError, "already"),
        ((Lost, str, Lost), ValueError, "already"),
        ((Own,), TypeError, "both functions"),
        ((Own, str), TypeError, "both functions"),
        ((Own, str, 5), TypeError, "both functions"),
        ((Own(), str, Own), TypeError, "expected a type"),
    ],
)
def test_a_registration_that_cannot_work_is_refused(
    arguments: Any, error: type[Exception], words: str
) -> None:
    """At once, and nothing is registered."""
    with pytest.raises(error, match=words):
        tukio.codec(*arguments)

    assert CODECS.of(Own) is None


@pytest.mark.usefixtures("registered")
def test_a_name_is_that_of_one_type() -> None:
    """Else a document would not say which."""
    with pytest.raises(ValueError, match="'money' is the name of Money"):
        tukio.codec(Own, str, lambda _: Own(), name="money")


def test_a_document_calls_nothing_that_was_not_registered() -> None:
    """Whatever name it has in it."""
    names = ["builtins.exec", "os.system", "subprocess.Popen", f"{__name__}.Point", "money"]
    for name in names:
        document = {"meta": {TAG: "object", "value": [name, ["echo 1"]]}}
        assert type(tukio.report_from_json(json.dumps(document))["meta"]) is Lost


# Documents that others have read

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.datetimes() | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2) | st.just(TAG) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_a_report_that_somebody_else_has_read_is_decoded(value: Any) -> None:
    """It is the same, by whatever parser."""
    text = text_of(value)
    again = decoded(json.loads(text))

    assert again == tukio.report_from_json(text)
    assert again["meta"] == value
    assert TAG not in again


@given(values)
def test_a_report_that_was_decoded_is_not_decoded_again(value: Any) -> None:
    """Data of the user's own that looks like a form comes back as it was, or is refused."""
    for report in (NOTHING | {"meta": value}, tukio.report_from_json(text_of(value))):
        try:
            again = decoded(report)["meta"]
        except tukio.RescueError:
            # A report that is no JSON is never taken for one.
            assert isinstance(report["exec"]["start"], str)
        else:
            assert again == value


class SubText(str):
    """As databases have them."""

    __slots__ = ()


class SubDict(dict[str, Any]):
    """As databases have them."""


class SubInt(int):
    """As databases have them."""

    __slots__ = ()


class SubFloat(float):
    """As databases have them."""

    __slots__ = ()


def test_kinds_of_json_are_json() -> None:
    """Readers of databases have types of their own for texts, numbers and objects."""
    values = (1, "a", 2.5)
    report = json.loads(text_of(values))
    report = SubDict({SubText(key): value for key, value in report.items()})
    report["meta"] = SubDict(report["meta"])
    report["meta"]["value"] = [SubInt(1), SubText("a"), SubFloat(2.5)]
    again = decoded(report)["meta"]

    assert again == values
    assert [type(value) for value in again] == [int, str, float]


@pytest.mark.parametrize("value", [Decimal(1), b"x", {1: 2}, START])
def test_what_is_no_json_is_refused_in_a_document(value: Any) -> None:
    """Some parsers make decimals of numbers: what the data was cannot be told."""
    report = json.loads(text_of((1,)))
    report["meta"]["value"].append(value)
    with pytest.raises(tukio.RescueError, match="JSON form"):
        decoded(report)


def test_forms_without_the_key_that_says_so_are_refused_with_their_path() -> None:
    """They might be data of the user's own; they are never handed on."""
    report = json.loads(text_of({"a": [(1,)]}))
    del report[TAG]
    with pytest.raises(tukio.RescueError, match=r"meta\.a\[0\] is in the form of a JSON text"):
        decoded(report)


def test_data_that_only_looks_like_a_form_needs_no_key() -> None:
    """A form has a name that is known; and data of the user's own may be in it many times."""
    like = {TAG: "mine", "value": 1}
    report = NOTHING | {"meta": [like, like, {TAG: 5, "value": 1}]}
    report["exec"] = {"start": START.isoformat(), "end": None}

    assert decoded(report) is report


def test_a_document_without_forms_needs_no_key() -> None:
    """Its readers see nothing of tukio's."""
    assert TAG not in json.loads(text_of({"a": [1, "$tukio", {"$tukio_": None}]}))
    assert TAG in json.loads(text_of({"a": (1,)}))
    assert json.loads(text_of('"$tukio": ')).get(TAG) is None


def test_keys_of_one_hash_are_refused_before_they_take_long() -> None:
    """-1 and -2 have one hash, and so have all tuples of them."""

    def document(other: int) -> str:
        rows = [
            [300] * 250 + [other if i >> bit & 1 else -1 for bit in range(10)] for i in range(1000)
        ]
        tuples = [{TAG: "tuple", "value": row} for row in rows]
        return json.dumps({"x": {TAG: "set", "value": tuples}})

    assert len(tukio.report_from_json(document(-5))["x"]) == 1000
    begun = clock.process_time()
    with pytest.raises(tukio.RescueError, match="same hash"):
        tukio.report_from_json(document(-2))
    assert clock.process_time() - begun < 5
    few = {(a, b, c, d) for a in (-1, -2) for b in (-1, -2) for c in (-1, -2) for d in (-1, -2)}
    assert through_json(few) == few
