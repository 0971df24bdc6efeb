"""Paths: their grammar, where the faults in them are, and how they look into data of any kind."""

from __future__ import annotations

import collections
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given, strategies as st

from support.hostile import NASTY, refusals
from tukio._model.lineage import ancestors_of
from tukio._model.paths import (
    LONGEST,
    NoPath,
    Path,
    find_ancestor_faults,
    find_path_faults,
    parse,
    step_text,
)

if TYPE_CHECKING:
    from tukio.errors import Fault

GOOD: list[tuple[str, str, str | None, tuple[str | int, ...]]] = [
    ("$", "$", None, ()),
    ("$.a", "$", None, ("a",)),
    ("$.a.b[0]", "$", None, ("a", "b", 0)),
    ("$[3][0].x", "$", None, (3, 0, "x")),
    ("$.été-1.2_3", "$", None, ("été-1", "2_3")),
    ('$["a b"]["[0]"][0]', "$", None, ("a b", "[0]", 0)),
    (r'$["\"\\]é"].a', "$", None, ('"\\]é', "a")),
    ('$[""]', "$", None, ("",)),
    ("$inputs", "$inputs", None, ()),
    ("$inputs.x", "$inputs", None, ("x",)),
    ("$outputs.login", "$outputs", "login", ()),
    ("$outputs.log-in.user[1]", "$outputs", "log-in", ("user", 1)),
    ('$outputs["etl.load"].x', "$outputs", "etl.load", ("x",)),
]


@pytest.mark.parametrize(("text", "root", "task", "steps"), GOOD)
def test_what_a_path_says(
    text: str, root: str, task: str | None, steps: tuple[str | int, ...]
) -> None:
    """And it is shown as it was written."""
    path = parse(text)
    assert path == Path(text, root, task, steps)
    assert str(path) == text
    assert [*find_path_faults("x", text)] == []


WRONG: list[tuple[str, int, str]] = [
    ("", 1, "'$' is missing"),
    ("a.b", 1, "'$' is missing"),
    (" $.a", 1, "'$' is missing"),
    ("$a", 1, "'$a' is not one of $, $inputs, $outputs"),
    ("$input.a", 1, "'$input' is not one of $, $inputs, $outputs"),
    ("$.a..b", 5, 'a key is missing; others than words stand in ["..."]'),
    ("$.", 3, 'a key is missing; others than words stand in ["..."]'),
    ("$.a.", 5, 'a key is missing; others than words stand in ["..."]'),
    ("$.a.*", 5, 'a key is missing; others than words stand in ["..."]'),
    ("$.a b", 4, "' ' begins no step; write '.' or '['"),
    ("$.a\n", 4, "'\\n' begins no step; write '.' or '['"),
    ("$.a[", 5, 'a place, as [0], or a key, as ["a b"], is missing'),
    ("$.a[]", 5, 'a place, as [0], or a key, as ["a b"], is missing'),
    ("$.a[-1]", 5, 'a place, as [0], or a key, as ["a b"], is missing'),
    ("$.a[b]", 5, 'a place, as [0], or a key, as ["a b"], is missing'),
    ("$.a[*]", 5, 'a place, as [0], or a key, as ["a b"], is missing'),
    ("$.a[1:2]", 5, 'a place, as [0], or a key, as ["a b"], is missing'),
    ("$.a[٣]", 5, 'a place, as [0], or a key, as ["a b"], is missing'),
    ("$[" + "9" * 900 + "]", 3, 'a place, as [0], or a key, as ["a b"], is missing'),
    ('$["a', 3, 'the text is not closed by "]'),
    ('$["a"', 3, 'the text is not closed by "]'),
    (r'$["\x"]', 3, "'\"\\\\x\"' is no JSON string"),
    ("$outputs", 9, "the id of a task is missing"),
    ("$outputs[0].a", 9, "the id of a task is missing"),
    ("$.a" * 400, LONGEST + 1, "it is longer than 1,000 characters"),
]


@pytest.mark.parametrize(("text", "position", "problem"), WRONG)
def test_the_place_of_a_fault_is_told(text: str, position: int, problem: str) -> None:
    """By the number of the character, and what is wrong there."""
    with pytest.raises(ValueError, match="is no path: at character") as error:
        parse(text)
    assert isinstance(error.value, NoPath)
    assert (error.value.text, error.value.position, error.value.problem) == (
        text,
        position,
        problem,
    )
    [fault] = find_path_faults("tasks[1].map.over", text)
    assert fault.path == "tasks[1].map.over"
    assert fault.problem == str(error.value)
    assert f"at character {position}, " in fault.problem


@pytest.mark.parametrize(
    ("value", "advice"),
    [("pages", 'write "$.pages"'), ("a.b[0]", 'write "$.a.b[0]"'), ("a b", 'write "$.a.b[0]"')],
)
def test_the_advice_is_what_is_meant(value: str, advice: str) -> None:
    """If only the begin of a path is missing."""
    [fault] = find_path_faults("x", value)
    assert fault.advice == advice


def test_of_some_keys_not_all_can_be_looked_into() -> None:
    """They say what can be."""
    [fault] = find_path_faults("x", "$outputs.a.b", ("$", "$inputs"))
    assert fault.problem == "$outputs cannot be looked into here"
    assert fault.advice == "begin with $ or $inputs"


@pytest.mark.parametrize("value", [None, 3, ["$.a"], {}, b"$.a"])
def test_only_a_text_is_a_path(value: Any) -> None:
    """Anything else is a fault, too."""
    [fault] = find_path_faults("x", value)
    assert fault.problem.startswith("must be a path, not ")
    assert fault.kind is TypeError


DATA: dict[str, Any] = {"a": {"b": [{"c": None}, ("x", "y")]}, "none": None, "": 1, "a b": 2}

FOUND: list[tuple[str, Any]] = [
    ("$", DATA),
    ("$.none", None),
    ("$.a.b[0].c", None),
    ("$.a.b[1][1]", "y"),
    ('$[""]', 1),
    ('$["a b"]', 2),
    ("$inputs[0]", 7),
    ("$outputs.get", None),
    ("$outputs.login.user", "me"),
]


@pytest.mark.parametrize(("text", "value"), FOUND)
def test_what_a_path_leads_to(text: str, value: Any) -> None:
    """None is a value like any other."""
    outputs = {"login": {"user": "me"}, "get": None}
    assert parse(text).find(DATA, inputs=[7], outputs=outputs) == value


NOTHING: list[tuple[str, str]] = [
    ("$.b", "$ has no 'b' - "),
    ("$.nonne", "$ has no 'nonne' - did you mean 'none'?"),
    ("$.a.b[2].c", "$.a.b has 2 items, and no [2]"),
    ("$.a.b[1][2]", "$.a.b[1] has 2 items, and no [2]"),
    ("$.a[0]", "$.a is no list, but <a dict>"),
    ("$.none.x", "$.none is no dict, but null"),
    ("$.a.b[1][0].z", "$.a.b[1][0] is no dict, but <a str>"),
    ("$.a.b[1][0][0]", "$.a.b[1][0] is no list, but <a str>"),
    ('$["a b"].z', '$["a b"] is no dict, but <a int>'),
    ("$inputs.a", "$inputs is not there"),
    ("$outputs.login.a", "$outputs.login is not there"),
]


@pytest.mark.parametrize(("text", "far"), NOTHING)
def test_a_path_that_leads_to_nothing_says_how_far_it_leads(text: str, far: str) -> None:
    """So a missing value is told apart from null."""
    with pytest.raises(LookupError) as error:
        parse(text).find(DATA)
    assert str(error.value).startswith(f"{text} leads to nothing: {far}")


class Raising(dict[Any, Any]):
    """A kind of dict whose methods are not to be called."""

    def __getitem__(self, key: Any) -> NoReturn:
        raise ZeroDivisionError

    get = __contains__ = __iter__ = keys = __len__ = __missing__ = __getitem__  # type: ignore[assignment]


class RaisingList(list[Any]):
    """The same of a list."""

    def __getitem__(self, key: Any) -> NoReturn:
        raise ZeroDivisionError

    __len__ = __iter__ = __getitem__  # type: ignore[assignment]


def test_no_method_of_a_kind_of_dict_is_called() -> None:
    """Nor of a list: what they have, they have."""
    data = Raising(a=RaisingList([1]))
    assert parse("$.a[0]").find(data) == 1
    for text in ("$.b", "$.a[1]", "$.a.x"):
        with pytest.raises(LookupError):
            parse(text).find(data)


def test_looking_makes_no_key() -> None:
    """A dict that fills itself stays as it is."""
    data: Any = collections.defaultdict(list)
    with pytest.raises(LookupError):
        parse("$.a").find(data)
    assert not data


class Mapped(collections.UserDict[Any, Any]):
    """A mapping that is no dict, which raises what it likes."""

    def __init__(self, error: BaseException) -> None:
        super().__init__({"a": 1})
        self.error = error

    def __getitem__(self, key: Any) -> NoReturn:
        raise self.error


def test_other_mappings_are_asked() -> None:
    """What they raise is the cause of the error."""
    assert parse("$.a").find(MappingProxyType({"a": 1})) == 1
    with pytest.raises(LookupError, match=r"\$ has no 'b'"):
        parse("$.b").find(MappingProxyType({"a": 1}))
    for problem in (ZeroDivisionError("x"), GeneratorExit()):
        with pytest.raises(LookupError, match="cannot be looked into") as error:
            parse("$.a").find(Mapped(problem))
        assert error.value.__cause__ is problem
    with pytest.raises(KeyboardInterrupt):
        parse("$.a").find(Mapped(KeyboardInterrupt()))


class Odd:
    """A key that has the hash of another one, and cannot be compared."""

    def __hash__(self) -> int:
        return hash("a")

    def __eq__(self, other: object) -> NoReturn:
        raise ZeroDivisionError


def test_odd_keys_only_hide_what_is_behind_them() -> None:
    """Keys that have nothing to do with it are in nobody's way."""
    assert parse("$.a").find({1: 2, (): 3, math.nan: 4, None: 5, "a": 6}) == 6
    with pytest.raises(LookupError, match="cannot be looked into") as error:
        parse("$.a").find({Odd(): 1})
    assert isinstance(error.value.__cause__, ZeroDivisionError)


class Fickle:
    """Something that does not say what it is."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise ZeroDivisionError


@pytest.mark.parametrize("make", NASTY.values(), ids=NASTY.keys())
@pytest.mark.parametrize("text", ["$.a", "$[0]", "$.a.a[0]"])
def test_nasty_data_is_no_danger(make: Any, text: str) -> None:
    """There is a value, or there is none."""
    for data in (make(), {"a": make()}, [make()], Fickle()):
        with refusals(LookupError, most=2_000):
            parse(text).find(data)


@given(st.text() | st.text(alphabet='$.[]"ab01\\inputs'))
def test_any_text_is_a_path_or_has_a_fault(text: str) -> None:
    """A path that was read is written again by its parts."""
    path = None
    with refusals(NoPath, most=2_000) as refused:
        path = parse(text)
    if path is None:
        [error] = refused
        assert isinstance(error, NoPath)
        assert 1 <= error.position <= LONGEST + 1
        return
    assert path.text == text
    task = () if path.task is None else (path.task,)
    again = parse(path.root + "".join(map(step_text, (*task, *path.steps))))
    assert (again.root, again.task, again.steps) == (path.root, path.task, path.steps)


PARENTS = {"b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["d"]}


def faults_of(text: str, uid: str) -> list[Fault]:
    """Return the faults of a path in a task, by the tasks before it."""
    return [*find_ancestor_faults("tasks[3].x", parse(text), uid, PARENTS)]


def test_only_tasks_that_come_before_have_an_output() -> None:
    """Directly or not; the nearest name is told."""
    assert ancestors_of("e", PARENTS) == ["d", "b", "c", "a"]
    assert ancestors_of("a", PARENTS) == []
    for text in ("$.x", "$inputs.x", "$outputs.a.x", "$outputs.d.x"):
        assert faults_of(text, "e") == []
    [fault] = faults_of("$outputs.c.x", "b")
    assert (fault.path, fault.problem) == ("tasks[3].x", "$outputs: 'c' does not come before 'b'")
    assert fault.advice.startswith("known: a")
    [fault] = faults_of("$outputs.a.x", "a")
    assert fault.problem == "$outputs: 'a' does not come before 'a'"


def test_a_circle_of_tasks_is_gone_through_once() -> None:
    """It is a fault of its own."""
    assert sorted(ancestors_of("a", {"a": ["b", "b"], "b": ["a"]})) == ["a", "b"]
