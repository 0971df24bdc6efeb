"""The JSON form of reports: what comes back is equal and of the same type, or is named as lost."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, namedtuple
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, strategies as st

from tukio._model.decoding import FORMS
from tukio._model.report_json import TAG, Lost, find_lost, report_from_json, report_to_json
from tukio.errors import RescueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy

NOTHING: dict[str, Any] = {"exec": {"id": "r", "start": None, "end": None}, "tasks": []}

# Surrogates as well: a report may hold the name of any file.
texts = st.text(max_size=4) | st.text(st.characters(), max_size=4)
zones: SearchStrategy[Any] = (
    st.none()
    | st.timezones()
    | st.builds(timezone, st.timedeltas(timedelta(hours=-9), timedelta(hours=9)), texts)
    | st.just(UTC)
    # In whole seconds: before 3.12, Python cannot read a fraction of one that it wrote itself.
    | st.integers(-86_000, 86_000).map(lambda seconds: timezone(timedelta(seconds=seconds)))
)
hashable: SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63), 2**64, -(10**400)])
    | st.floats()
    | texts
    | st.just(TAG)
    | st.binary(max_size=4)
    | st.datetimes(timezones=zones, allow_imaginary=True)
    | st.times(timezones=zones)
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | zones
    | st.builds(PurePosixPath, st.text(max_size=3), st.text(max_size=3))
    | st.builds(PureWindowsPath, st.sampled_from(["", "c:", "c:/", "//a/b/", "./c:", "a"])),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
supported: SearchStrategy[Any] = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashable, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.dictionaries(texts | st.just(TAG), inner, max_size=3)
    ),
    max_leaves=8,
)


class Colour(StrEnum):
    """A text that is more than its letters."""

    RED = "red"


class Level(IntEnum):
    """A number that is more than its value."""

    HIGH = 1


class Name(str):
    """A text of the user's own kind."""

    __slots__ = ()


class Mute:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise ValueError


class Nowhere(tzinfo):
    """A time zone that does not work."""

    def utcoffset(self, when: datetime | None, /) -> timedelta | None:
        """Fail."""
        raise LookupError

    def dst(self, when: datetime | None, /) -> timedelta | None:
        """Fail as well."""
        raise LookupError

    def tzname(self, when: datetime | None, /) -> str | None:
        """Fail as well."""
        raise LookupError


Point = namedtuple("Point", "x y")  # noqa: PYI024 - as users write them

KINDS = sorted(FORMS)

OTHERS: list[Any] = [
    object(),
    Mute(),
    Colour.RED,
    Level.HIGH,
    Name("x"),
    Point(1, 2),
    OrderedDict(a=1),
    Fraction(1, 2),
    datetime(2026, 1, 2, tzinfo=Nowhere()),
    bytearray(b"x"),
    1j,
    KeyError("x"),
    int,
    len,
]


def through_json(value: Any) -> Any:
    """Return what a value in a report is after it went through JSON text."""
    text = report_to_json(NOTHING | {"meta": value})
    # Strictly: no NaN, and nothing that UTF-8 cannot carry.
    assert text.encode().decode() == text
    json.loads(text, parse_constant=pytest.fail)
    return report_from_json(text)["meta"]


def exact(value: Any) -> str:
    """Return a text that tells values apart, and the types of all their parts."""
    kind = type(value).__name__
    if isinstance(value, set | frozenset):
        return f"{kind}{sorted(map(exact, value))}"
    if isinstance(value, list | tuple):
        return f"{kind}{[exact(part) for part in value]}"
    if isinstance(value, dict):
        return f"{kind}{[(exact(key), exact(part)) for key, part in value.items()]}"
    if isinstance(value, datetime | time):
        # Two that differ in `fold` only may be equal, and have the same text.
        return f"{kind} {value!r} {value.fold}"
    return f"{kind} {value!r}"


@given(supported)
@example({TAG: "tuple", "value": [1]})
@example({TAG: {TAG: "lost"}})
@example({"a": {TAG: "unknown"}})
@example({1: "a", "1": "b", None: "c", "null": "d", (1, (2,)): "e"})
@example([math.nan, math.inf, -math.inf, -0.0])
@example({math.nan: {math.inf}})
@example("\ud83d\ude00")
@example({"\ud83d\ude00": 1, "\N{GRINNING FACE}": 2})
@example("\x00\udcff")
@example([True, 1, 1.0, "1", b"1"])
def test_what_json_carries_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    """A rescued run must not see a list where there was a tuple, nor 1 where there was True."""
    assert exact(through_json(value)) == exact(value)


@given(supported)
def test_encoding_changes_nothing(value: Any) -> None:
    """The report can still be used after a text was made of it, and gives the same text again."""
    report = NOTHING | {"meta": value}
    text = report_to_json(report)

    assert report["meta"] is value
    assert report_to_json(report) == text
    assert report_to_json(report_from_json(text)) == text or _has_set(value)


def _has_set(value: Any) -> bool:
    """Say whether there is a set in some data: its order need not be the same again."""
    if isinstance(value, dict):
        return any(map(_has_set, [*value, *value.values()]))
    return isinstance(value, set | frozenset) or (
        isinstance(value, list | tuple) and any(map(_has_set, value))
    )


@pytest.mark.parametrize("value", OTHERS, ids=[type(value).__name__ for value in OTHERS])
@pytest.mark.parametrize("path", ["x", "x[0]", "x[1]", "x.a.b", "x.1"])
def test_anything_else_is_named_as_lost(value: Any, path: str) -> None:
    """Also kinds of text, number and dict of the user's own: they would come back as less."""
    around = {"x[0]": [value], "x[1]": (1, value), "x.a.b": {"a": {"b": value}}, "x.1": {1: value}}
    data = through_json(around.get(path, value))
    (lost,) = list(_leaves(data))[-1:]

    assert type(lost) is Lost
    assert lost.shown == ("<a Mute>" if isinstance(value, Mute) else repr(value))
    assert repr(lost) == f"<lost: {lost.shown}>"
    assert find_lost(data, "x") == path


def _leaves(data: Any) -> Iterator[Any]:
    """Yield the values in some data that are no containers."""
    if isinstance(data, dict):
        data = list(data.values())
    if not isinstance(data, list | tuple):
        yield data
        return
    for part in data:
        yield from _leaves(part)


@pytest.mark.parametrize("value", [Point(1, 2), Fraction(1, 2)])
def test_what_is_lost_from_a_set_or_from_the_keys_of_a_dict_is_found(value: Any) -> None:
    """A rescue asks `find_lost` whether all is there."""
    in_set, in_keys = through_json([{value}, {value: 1}])

    assert find_lost(in_set, "x") == "x[0]"
    assert find_lost(in_keys, "x") == f"x.<lost: {value!r}>"
    assert find_lost({"a": [frozenset({(1, value)})]}) is None


def test_what_was_lost_once_stays_lost() -> None:
    """A report may go through JSON more than once; what is shown does not grow."""
    once = through_json(len)
    twice = through_json(once)

    assert type(twice) is Lost
    assert twice.shown == once.shown == "<built-in function len>"


def test_nothing_is_lost_where_all_is_there() -> None:
    """No false alarm."""
    assert find_lost({"a": [1, (2, {3: None}), {4}, frozenset()], "b": Decimal(1)}) is None


def test_a_number_with_thousands_of_digits_comes_back() -> None:
    """Python refuses to write it as a decimal."""
    assert through_json([10**5000, -(10**5000)]) == [10**5000, -(10**5000)]


@pytest.mark.parametrize("fold", [0, 1])
def test_a_datetime_keeps_its_instant_and_its_offset(fold: int) -> None:
    """And its zone: a day later it is the same time on the clocks there."""
    when = datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin"))
    back = through_json(when)

    assert back == when
    assert (back - timedelta(1)).utcoffset() == timedelta(hours=2)
    assert back.timestamp() == when.timestamp()
    assert back.utcoffset() == when.utcoffset() == timedelta(hours=2 - fold)


def test_times_of_executions_are_plain_texts() -> None:
    """Readers in other languages find ISO 8601 there, as a rescue does."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    execution = {"id": "r", "start": moment, "end": None}
    report = {"exec": execution, "tasks": [{"exec": execution}, {"exec": None}, {}]}
    text = "2026-01-02T03:04:05+00:00"
    known = {"id": "r", "start": text, "end": None}

    assert json.loads(report_to_json(report)) == {
        "exec": known,
        "tasks": [{"exec": known}, {"exec": None}, {"exec": None}],
    }
    # A report that was read back can be written again.
    back = report_from_json(report_to_json(report))
    assert json.loads(report_to_json(back)) == json.loads(report_to_json(report))
    assert execution["start"] is moment


def test_data_that_contains_itself_has_no_json_form() -> None:
    """It is said so, where a text would have no end."""
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(RecursionError):
        report_to_json(NOTHING | {"meta": endless})


def tagged(tag: Any, *value: Any) -> str:
    """Return the text of an object with our key in it."""
    return json.dumps({"meta": {TAG: tag} | ({"value": value[0]} if value else {})})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not the JSON form of a report (Expecting value: line 1 column 1 (char 0))"),
        ("{", "it is not the JSON form of a report ("),
        (b"\xff", "it is not the JSON form of a report ("),
        ("[" * 100_000, "it is not the JSON form of a report ("),
        ("9" * 5_000, "it is not the JSON form of a report ("),
        (None, "it is not the JSON form of a report ("),
        ("null", "it is a JSON NoneType, not an object"),
        ("[]", "it is a JSON list, not an object"),
        ('"x"', "it is a JSON str, not an object"),
        (tagged("list", []), "it is not the JSON form of a report ('list' is no type of it)"),
        (tagged(None, []), "it is not the JSON form of a report (None is no type of it)"),
        (tagged([], []), "it is not the JSON form of a report ([] is no type of it)"),
        (tagged("tuple"), "it is not the JSON form of a report (a tuple without a value)"),
        (tagged("tuple", 5), "it is not the JSON form of a report ("),
        (tagged("set", [[]]), "it is not the JSON form of a report ("),
        (tagged("set", None), "it is not the JSON form of a report ("),
        (tagged("dict", [1]), "it is not the JSON form of a report ("),
        (tagged("dict", [[[], 1]]), "it is not the JSON form of a report ("),
        (tagged("float", "x"), "it is not the JSON form of a report ("),
        (tagged("float", []), "it is not the JSON form of a report ("),
        (tagged("int", "x"), "it is not the JSON form of a report ("),
        (tagged("int", 5), "it is not the JSON form of a report ("),
        (tagged("str", "x"), "it is not the JSON form of a report ("),
        (tagged("bytes", "x"), "it is not the JSON form of a report ("),
        (tagged("bytes", 5), "it is not the JSON form of a report ("),
        (tagged("datetime", "today"), "it is not the JSON form of a report ("),
        (tagged("datetime", 5), "it is not the JSON form of a report ("),
        (tagged("lost", 5), "it is not the JSON form of a report ("),
        (tagged("date", 5), "it is not the JSON form of a report (5 is no text)"),
        (tagged("timedelta", [1.5, 0, 0]), "it is not the JSON form of a report ([1.5, 0, 0] is"),
        (tagged("timezone", ["x"]), "it is not the JSON form of a report ('x' is no offset)"),
        (tagged("zoneinfo", 5), "it is not the JSON form of a report (5 is no time zone)"),
        (tagged("object", [5, 0]), "it is not the JSON form of a report (5 is no name of a type)"),
        *[
            (tagged(kind, [text, *rest]), f"it is not the JSON form of a report (['{text}', ")
            for kind, text in (("datetime", "2026-01-02T00:00:00"), ("time", "00:00:00"))
            for rest in ([2, None, None], [0, "UTC", None])
        ],
    ],
)
def test_a_text_that_is_no_report_is_refused(text: Any, reason: str) -> None:
    """By the one error that callers of a rescue look for, whatever is wrong with the text."""
    with pytest.raises(RescueError) as caught:
        report_from_json(text)

    assert caught.value.uid is None
    assert caught.value.reason.startswith(reason)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([TAG, "value", "a"]), inner, max_size=3)
            | st.fixed_dictionaries({TAG: st.sampled_from(KINDS), "value": inner})
        ),
        max_leaves=8,
    )
)
def test_reading_raises_nothing_else(document: Any) -> None:
    """Whatever JSON it is: a whole report, or a `RescueError`."""
    try:
        report = report_from_json(json.dumps(document))
    except RescueError:
        return
    assert isinstance(report, dict)


@given(supported)
def test_a_text_that_another_reader_has_read_becomes_the_same_text(value: Any) -> None:
    """The forms of its values are not written once more."""
    begun = {"id": "r", "start": datetime(2026, 1, 2, tzinfo=UTC), "end": None}
    text = report_to_json({"exec": begun, "tasks": [], "meta": value})

    again = report_from_json(report_to_json(json.loads(text)))
    assert exact(again["meta"]) == exact(value)
