"""`map` of a task as data: its faults, what an item is given, and what is passed on."""

from __future__ import annotations

import json
from collections import UserDict, UserList, defaultdict
from typing import Any

import pytest

from tukio._model.account import RecordedError
from tukio._model.item_template import item_class, item_id, place_in
from tukio._model.items import Items, let_go_of_frames
from tukio._model.items_record import read_items
from tukio._model.mapping import Mapped, input_of
from tukio._model.task_template import TaskTemplate
from tukio._model.template import WorkflowTemplate
from tukio.errors import NoItems, TemplateError


def faults_of(name: Any = "a", **task: Any) -> list[tuple[str, str, str | None]]:
    """Return the faults of a template of one task: path, problem and advice of each."""
    document = {"tasks": [{"id": "a", "name": name, **task}]}
    try:
        WorkflowTemplate.from_dict(document)
    except TemplateError as error:
        return [(fault.path, fault.problem, fault.advice) for fault in error.faults]
    return []


def saying(**words: Any) -> dict[str, Any]:
    """Return a sound `map` that says something more."""
    return {"over": "$.list", **words}


SHARE = 'must be a number from 0 on, a share as "10%", or "all", not '

FAULTS: list[tuple[Any, str, str]] = [
    ("$.list", "", "must be an object, not str"),
    ([], "", "must be an object, not list"),
    ({}, ".over", "missing"),
    ({"over": 3}, ".over", "must be a path, not int"),
    ({"over": "list"}, ".over", "'list' is no path: at character 1, '$' is missing"),
    ({"over": "$outputs.a.list"}, ".over", "$outputs cannot be looked into here"),
    (saying(limit=0), ".limit", "must be a positive number or null, not 0"),
    (saying(limit=True), ".limit", "must be a positive number or null, not True"),
    (saying(limit=2.5), ".limit", "must be a positive number or null, not 2.5"),
    (saying(tolerate=-1), ".tolerate", f"{SHARE}-1"),
    (saying(tolerate=True), ".tolerate", f"{SHARE}True"),
    (saying(tolerate=0.5), ".tolerate", f"{SHARE}0.5"),
    (saying(tolerate="10"), ".tolerate", f"{SHARE}'10'"),
    (saying(tolerate="101%"), ".tolerate", f"{SHARE}'101%'"),
    (saying(tolerate="1000%"), ".tolerate", f"{SHARE}'1000%'"),
    (saying(tolerate="-1%"), ".tolerate", f"{SHARE}'-1%'"),
    (saying(tolerate="²%"), ".tolerate", f"{SHARE}'²%'"),
    (saying(tolerate=[]), ".tolerate", f"{SHARE}[]"),
    (saying(into=""), ".into", "must be a text that is not empty, not ''"),
    (saying(into=3), ".into", "must be a text that is not empty, not 3"),
    (saying(timeout=-1), ".timeout", "-1 is not a time limit"),
    (saying(timeout="1"), ".timeout", "must be a number of seconds or null, not str '1'"),
    (saying(map={}), ".map", "an item cannot be mapped itself"),
    (saying(limits=2), ".limits", "unknown key"),
    (saying(**{"1": 2}), ".1", "unknown key"),
]


@pytest.mark.parametrize(("words", "path", "problem"), FAULTS, ids=repr)
def test_each_fault_is_told_with_its_path(words: Any, path: str, problem: str) -> None:
    """It is the only one, and says what to do."""
    [(where, told, advice)] = faults_of(map=words)
    assert (where, told) == (f"tasks[0].map{path}", problem)
    assert advice


def test_what_is_near_is_told() -> None:
    """Of a misspelt key, and of a path without its root."""
    assert faults_of(map=saying(limits=2))[0][2] == "did you mean 'limit'?"
    assert faults_of(map={"over": "list"})[0][2] == 'write "$.list"'
    [(path, _, advice)] = faults_of(pam=None, mpa=None)
    assert (path, str(advice)[:19]) == ("tasks[0].mpa", "did you mean 'map'?")


def test_all_faults_are_told_together() -> None:
    """None hides another one."""
    paths = [path for path, *_ in faults_of(map={"limit": 0, "into": 3, "tolerate": None})]
    assert paths == ["tasks[0].map.over", "tasks[0].map.limit", "tasks[0].map.into"]


def test_a_join_cannot_be_mapped() -> None:
    """It waits for parents, and an item has none."""
    faults = faults_of("join", map=saying())
    assert ("tasks[0].map", "a join cannot be mapped") in [fault[:2] for fault in faults]


SOUND: list[Any] = [
    None,
    saying(),
    saying(limit=None, tolerate=None, into=None, timeout=None),
    saying(limit=1, tolerate=0, into="found", timeout=0),
    saying(tolerate="0%"),
    saying(tolerate="100%"),
    saying(tolerate="all"),
    {"over": "$"},
]


@pytest.mark.parametrize("words", SOUND, ids=repr)
def test_what_has_no_fault(words: Any) -> None:
    """It goes through JSON, and comes back as it was written."""
    assert faults_of(map=words) == []
    template = WorkflowTemplate.from_dict({"tasks": [{"id": "a", "name": "a", "map": words}]})
    document = json.loads(json.dumps(template.as_dict()))
    assert document["tasks"][0].get("map") == words
    assert WorkflowTemplate.from_dict(document).as_dict() == document


def test_what_is_made_of_a_map_is_its_own() -> None:
    """Changing the document changes no template, and the other way round."""
    words = saying()
    task = TaskTemplate.from_dict({"name": "a", "map": words})
    words["limit"] = 1
    assert task.map == saying()
    assert TaskTemplate("a", map=words).as_dict()["map"] == words
    task.map = None
    assert "map" not in task.as_dict()


def test_no_task_has_the_id_of_an_item() -> None:
    """Errors and events of the two could not be told apart."""
    tasks = [
        {"id": "each", "name": "a", "map": saying()},
        {"id": "each[3]", "name": "a"},
        {"id": "each[03]", "name": "a"},
        {"id": "other[3]", "name": "a"},
        {"id": 7, "name": "a"},
    ]
    graph: dict[str, list[str]] = {"each": ["each[3]", "each[03]", "other[3]"]}
    with pytest.raises(TemplateError) as refused:
        WorkflowTemplate.from_dict({"tasks": tasks, "graph": graph})
    told = [(fault.path, fault.problem) for fault in refused.value.faults]
    assert ("tasks[1].id", "'each[3]' is the id of an item of 'each'") in told
    assert [path for path, _ in told].count("tasks[2].id") == 0


# Items and what is passed on


class Liar(list[Any]):
    """A list that shows something else than it has."""

    def __iter__(self) -> Any:
        raise OSError

    def __len__(self) -> int:
        return 10**9


class OddDict(dict[Any, Any]):
    """A dict whose methods cannot be called."""

    def items(self) -> Any:
        """Raise."""
        raise OSError

    def keys(self) -> Any:
        """Raise."""
        raise OSError

    def __getitem__(self, key: object) -> Any:
        raise OSError


def test_items_are_those_of_a_list_or_tuple_of_any_kind() -> None:
    """No method of its class is called; a list of one's own is made of it."""
    mapped = Mapped.of(saying())
    for items in ([1, 2], (1, 2), Liar([1, 2])):
        assert mapped.items_in("a", {"list": items}) == [1, 2]
    assert mapped.items_in("a", OddDict(list=[1])) == [1]


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (None, "null"),
        ("ab", "<a str>"),
        ({}, "<a dict>"),
        ({1}, "<a set>"),
        (UserList([1]), "<a UserList>"),
        (iter([1]), "<a list_iterator>"),
    ],
)
def test_anything_else_is_no_list(found: Any, what: str) -> None:
    """Its class is told, and nothing of what it is."""
    with pytest.raises(NoItems) as refused:
        Mapped.of(saying()).items_in("a", {"list": found})
    assert refused.value.problem == f"$.list is no list, but {what}"
    assert (refused.value.task_id, refused.value.path) == ("a", "$.list")


def test_an_item_is_given_as_a_plain_dict() -> None:
    """A dict of another kind is copied, and what is none has a key."""
    item = {"a": 1}
    assert input_of(item) is item
    for odd in (OddDict(a=1), defaultdict(int, a=1)):
        given = input_of(odd)
        assert (type(given), given) == (dict, item)
    other = UserDict(a=1)
    assert input_of(other) == {"item": other}


@pytest.mark.parametrize(
    ("tolerate", "expected"), [(0, 0), (3, 3), ("all", 7), ("0%", 0), ("29%", 2), ("100%", 7)]
)
def test_how_many_may_go_wrong(tolerate: Any, expected: int) -> None:
    """A share is rounded down."""
    assert Mapped.of(saying(tolerate=tolerate)).tolerated(7) == expected


def test_what_is_passed_on() -> None:
    """The inputs, of any kind of dict, and the results."""
    mapped = Mapped.of(saying(into="found"))
    assert mapped.passed_on({"list": [0]}, [1]) == {"list": [0], "found": [1]}
    assert mapped.passed_on(OddDict(list=[0]), [1]) == {"list": [0], "found": [1]}
    assert mapped.passed_on(None, [1]) == {"found": [1]}


def test_words_of_any_kind_of_text() -> None:
    """They are read as plain ones."""

    class Word(str):
        """A text of the user's own."""

        __slots__ = ()

    words: Any = {Word("over"): Word("$.list"), Word("tolerate"): Word("all")}
    mapped = Mapped.of(words)
    assert (mapped.over.text, mapped.tolerate, mapped.into) == ("$.list", "all", "results")


# The ids and the templates of items


@pytest.mark.parametrize(
    ("uid", "place"),
    [
        ("a[0]", 0),
        ("a[12]", 12),
        ("a[01]", None),
        ("a[]", None),
        ("a[x]", None),
        ("a[²]", None),
        ("b[1]", None),
        ("a1", None),
        ("a", None),
        ("", None),
        ("a[1", None),
        ("a(1]", None),
    ],
)
def test_the_place_in_an_id(uid: str, place: int | None) -> None:
    """Only what is the id of an item of that task has one."""
    assert place_in("a", uid) == place
    if place is not None:
        assert item_id("a", place) == uid


def test_the_template_of_an_item_answers_like_that_of_its_task() -> None:
    """It has its place, and nothing else of its own."""
    task = TaskTemplate("fetch", "each", {"a": 1}, 60, map=saying(), retry={"attempts": 2})
    kind = item_class(task, 5)
    one = kind(3)
    assert (one.uid, one.name, one.timeout, one.map) == ("each[3]", "fetch", 5, None)
    assert (one.config, one.retry, one.listen) == (task.config, task.retry, task.listen)
    assert repr(one) == "<TaskTemplate name=fetch, uid=each[3]>"
    expected = {**task.as_dict(), "id": "each[3]", "timeout": 5}
    del expected["map"]
    assert one.as_dict() == expected
    assert not hasattr(one, "__dict__")
    with pytest.raises(AttributeError):
        one.nothing  # noqa: B018 - it raises


class Priced(TaskTemplate):
    """What users may make of a task: it has something of its own, and of each instance."""

    currency = "EUR"
    amount: int

    def price(self) -> str:
        """Return what the task costs."""
        return f"{self.amount} {self.currency}"

    def __init__(self, amount: int) -> None:
        super().__init__("fetch", "each", map=saying())
        object.__setattr__(self, "amount", amount)

    def __bool__(self) -> bool:
        """Return what an item does not have, as Python looks it up in the class."""
        return False


def test_the_template_of_an_item_has_what_a_user_has_added_to_that_of_its_task() -> None:
    """As of any other step: its methods, and what is kept in it."""
    task = Priced(3)
    one = item_class(task, None)(0)
    assert (one.price(), one.currency, one.amount) == ("3 EUR", "EUR", 3)
    assert bool(one) is True
    task.extra["note"] = "changed"
    assert one.extra == {"note": "changed"}


# What becomes of them


def test_what_has_become_of_items() -> None:
    """Each is in one of three places."""
    items = Items()
    assert not items.are_over()
    items.total = 4
    items.results[1] = {"a": 1}
    items.failed[2] = ValueError("x")
    items.cancelled.add(0)
    assert [*items.left()] == [3]
    assert not items.are_over()
    items.results[3] = None
    assert items.are_over()
    assert items.went_wrong == 2
    assert items.in_order() == [None, {"a": 1}, None, None]
    group = items.problem("a")
    assert str(group) == "2 items of 4 of task 'a' failed (2 sub-exceptions)"
    assert [str(one) for one in group.exceptions] == [
        "x",
        "task 'a[0]' was cancelled, and nothing that follows it was run",
    ]


def test_what_is_no_exception_does_not_end_the_program() -> None:
    """In the group there is an account of it."""
    items = Items()
    items.total = 1
    items.failed[0] = GeneratorExit("x")
    [error] = items.problem("a").exceptions
    assert type(error) is RecordedError
    assert str(error) == "GeneratorExit: x"


def with_frames(error: Exception, cause: Exception | None = None) -> Exception:
    """Return an exception that was raised."""

    def fail() -> None:
        raise error from cause

    try:
        fail()
    except Exception as raised:  # noqa: BLE001 - it is handed on
        return raised
    raise AssertionError


def test_frames_are_let_go_of_wherever_they_are() -> None:
    """Also of causes, and in groups, however they are tied to each other."""
    inner, cause = with_frames(ValueError("in")), with_frames(KeyError("cause"))
    group = with_frames(ExceptionGroup("all", [inner]), cause)
    cause.__context__ = group
    let_go_of_frames(group)
    assert [one.__traceback__ for one in (group, inner, cause)] == [None] * 3
    error = with_frames(ValueError())
    for _ in range(200):
        error = with_frames(ValueError(), error)
    let_go_of_frames(error)
    assert error.__traceback__ is None


def test_no_items_in_a_report_are_none() -> None:
    """Of a task that is not mapped, or had not begun."""
    assert read_items(None, str) is None  # type: ignore[arg-type]  # no time is read
    nothing: dict[str, Any] = {"total": None, "done": {}, "failed": {}, "attempts": {}}
    known = read_items(nothing, lambda time: time)
    assert known is not None
    assert [*known.facts("a", is_over=False)] == []
