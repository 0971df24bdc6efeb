"""Whatever comes from outside is accepted or refused: with one error that fits a screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from support.gallery import WORKFLOWS
from support.hostile import (
    NASTY,
    PAGE,
    TEXTS,
    deeds,
    examples,
    laughter,
    nested,
    refusals,
    spoilt,
)
from support.strategies import json_values
from tukio._model import findings, links, size_limits as bounds
from tukio._model.decoding import MOST_ALIKE
from tukio._model.display import MOST_CHARACTERS, listed, nearest, plain, shown
from tukio._model.location import Location
from tukio._model.plan import Plan
from tukio._model.record import read
from tukio._model.report_json import TAG, report_from_json, report_to_json
from tukio._model.rescue import restore
from tukio._model.shape import shape_of
from tukio._model.step import Step
from tukio._model.template import WorkflowTemplate
from tukio.errors import RescueError, TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks
    from support.hostile import Deed


def refusal_of(document: Any) -> TemplateError:
    """Return the error that a document is refused with."""
    with pytest.raises(TemplateError) as caught:
        WorkflowTemplate.from_dict(document)
    assert len(str(caught.value)) <= PAGE
    return caught.value


def words(document: Any) -> list[str]:
    """Return what is wrong with a document, as its error says it."""
    return [f"{fault.path}: {fault.problem}" for fault in refusal_of(document).faults]


# Templates: anything at all

DOCUMENTS = [
    *(template.as_dict() for template in WORKFLOWS.values()),
    {
        "id": "all",
        "policy": "skip",
        "topics": ["t"],
        "timeout": 60,
        "schema": 2,
        "title": "All there is",
        "meta": {"a": [1, {"b": None}]},
        "on_error": "abort",
        "mine": {"c": [True]},
        "tasks": [
            {"id": "a", "name": "x", "timeout": 1.5, "topics": None, "also mine": ["d"]},
            {"id": "b", "name": "x", "config": {"e": {"f": [0.5]}}, "topics": ["t", "u"]},
        ],
        "graph": {"a": ["b"]},
    },
]


@settings(max_examples=examples(300))
@given(st.sampled_from(DOCUMENTS), deeds(NASTY))
def test_g12_a_spoilt_document_gives_a_template_or_a_template_error(
    sound: dict[str, Any], done: list[Deed]
) -> None:
    """What is accepted is whole: it can be copied, shown, validated and read back."""
    with refusals(TemplateError) as refused:
        template = WorkflowTemplate.from_dict(spoilt(sound, done))
    if refused:
        return
    again = WorkflowTemplate.from_dict(template.as_dict())
    assert len(again.copy().tasks) == len(template.tasks)
    with refusals(TemplateError) as refused:
        again.validate()
    # Most of its tasks are not registered; the join is, and may be all that is left.
    assert refused


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize(
    "path", ["id", "timeout", "policy", "topics", "meta", "x", "tasks", "graph", "task", "name"]
)
def test_g12_nothing_nasty_is_met_with_another_error(name: str, path: str) -> None:
    """In each place of a document where it would be shown, counted, hashed or copied."""
    nasty = NASTY[name]()
    document: dict[str, Any] = {"tasks": [{"id": "a", "name": "x"}], "graph": {}}
    if path == "task":
        document["tasks"].append(nasty)
    elif path == "name":
        document["tasks"][0] |= {"name": nasty, "config": nasty, "timeout": nasty}
        document["graph"]["a"] = [nasty]
    else:
        document[path] = nasty
    with refusals(TemplateError) as refused:
        template = WorkflowTemplate.from_dict(document)
    if not refused:
        template.copy().as_dict()
        with refusals(TemplateError) as refused:
            template.validate()
    assert refused


@pytest.mark.parametrize("name", ["deepest", "deepest tuple", "itself", "lock"])
@pytest.mark.parametrize("place", ["config", "name", "uid"])
def test_g12_a_template_built_by_hand_is_looked_at_as_well(name: str, place: str) -> None:
    """It is validated before it is loaded; nothing of it was looked at until then."""
    template = WorkflowTemplate.from_dict({"tasks": [{"id": "a", "name": "join"}]})
    if place == "uid":
        template.uid = NASTY[name]()
    else:
        setattr(template.tasks[0], place, NASTY[name]())
    with refusals(TemplateError) as refused:
        template.validate()
    assert refused


def test_g12_what_cannot_be_copied_is_named_with_the_other_faults() -> None:
    """Each run gets a copy of it; found out in a run, the run would fail."""
    lock = NASTY["lock"]
    document = {
        "tasks": [{"id": "a", "name": "x", "config": {"l": lock()}, "mine": lock()}],
        "meta": [lock()],
        "yours": lock(),
        "timeout": -1,
    }
    problem = """cannot be copied: TypeError("cannot pickle '_thread.lock' object")"""
    assert words(document) == [
        "timeout: -1 is not a time limit",
        f"meta: {problem}",
        f"yours: {problem}",
        f"tasks[0].config: {problem}",
        f"tasks[0].mine: {problem}",
    ]


def test_g12_a_check_of_the_config_that_fails_is_a_fault(task: Tasks) -> None:
    """It is the user's own, and has not thought of everything."""

    @task
    class careless:  # noqa: N801 - named like a task
        @staticmethod
        def find_faults(config: Any, _: object) -> Iterator[tuple[str, str, str]]:
            yield "a", "wrong", "mend it"
            yield "b", config["b"], "mend it"

        async def execute(self, event: object) -> None:
            pass

    template = WorkflowTemplate.from_dict({"tasks": [{"id": "a", "name": "careless"}]})
    with pytest.raises(TemplateError) as refused:
        template.validate()
    first, second = map(str, refused.value.faults)
    assert first == "tasks[0].config.a: wrong; mend it"
    assert second.startswith("tasks[0].config: cannot be checked: KeyError('b'); mend the config")


# How large a template may be


class Untouched(list[Any]):
    """A list that nobody may look into."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("it was looked into")


def test_g12_a_document_of_a_million_tasks_is_refused_by_its_length() -> None:
    """Nothing is made of it."""
    tasks = Untouched([{"name": "x"}] * 1_000_001)
    assert words({"tasks": tasks, "timeout": -1}) == ["tasks: 1,000,001 tasks, and 100,000 at most"]


def test_g12_so_is_one_of_more_links_than_a_million() -> None:
    """However few the tasks: a list of the same task a thousand times a thousand times."""
    graph = {f"t{number}": range(10**12) for number in range(3)} | {"f": Untouched([1])}
    document = {"tasks": [{"name": "x"}], "graph": graph}
    assert words(document) == ["graph: 3,000,000,000,001 links, and 1,000,000 at most"]


@pytest.mark.parametrize("name", ["deepest", "itself"])
def test_g12_so_is_one_that_is_nested_deeply(name: str) -> None:
    """By the recursion limit of Python it would end the caller."""
    [word] = words({"meta": {"b": 1, "c": [0, NASTY[name]()]}})
    steps = "[0]" * 40 if name == "deepest" else ".a" * 60
    assert word == f"{f'meta.c[1]{steps}'[:MOST_CHARACTERS]}...: nested deeper than 100 levels"


def test_g12_so_is_one_that_is_small_and_has_a_million_million_values() -> None:
    """Its JSON form, hence a report, would have them all."""
    assert words({"meta": laughter()}) == [": more than 2,000,000 values"]


def test_g12_a_document_at_its_limits_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more of anything is refused."""
    document = {
        "tasks": [{"id": uid, "name": "x"} for uid in "abc"],
        "graph": {"a": ["b", "c"], "b": ["c"]},
        "meta": [[1, 2], [[]]],
    }
    for name, limit in {"TASKS": 3, "EDGES": 3, "VALUES": 22, "DEEPEST": 3}.items():
        constant = name if name == "DEEPEST" else f"MOST_{name}"
        with monkeypatch.context() as patch:
            patch.setattr(bounds, constant, limit)
            WorkflowTemplate.from_dict(document)
            patch.setattr(bounds, constant, limit - 1)
            [fault] = refusal_of(document).faults
            assert fault.path == {"TASKS": "tasks", "EDGES": "graph"}.get(name, fault.path)


def test_g12_what_is_as_deep_as_it_may_be_can_be_worked_with() -> None:
    """Copied for a run, shown in a report, carried by JSON."""
    for depth, is_sound in ((bounds.DEEPEST - 4, True), (bounds.DEEPEST - 3, False)):
        config = nested(depth, lambda inner: {"a": [inner]} if inner == 0 else {"a": inner})
        document = {"tasks": [{"id": "a", "name": "x", "config": config}]}
        if is_sound:
            template = WorkflowTemplate.from_dict(document).copy()
            assert json.loads(json.dumps(template.as_dict()))["tasks"][0]["config"] == config
        else:
            refusal_of(document)


# Templates: the work that a refusal takes


def test_g12_of_very_many_faults_the_first_hundred_are_reported() -> None:
    """No more are looked for: each is compared with the names there are."""
    found = refusal_of({"tasks": [{"name": []}] * 5000, "graph": {}}).faults
    roots = ", ".join(f"tasks[{number}]" for number in range(12)) + ", ... (5000 in all)"
    assert [fault.path for fault in found[:2]] == ["tasks[0].name", "tasks[1].name"]
    assert [str(fault) for fault in found[findings.MOST_FAULTS :]] == [
        "more than 100 faults; mend these, then look again",
        f"graph: expected one root task, found 5000 ({roots}); {links.ONE_ROOT}",
    ]


def test_g12_a_hundred_faults_are_all_reported() -> None:
    """It is the next one that is only mentioned."""
    found = refusal_of({"tasks": [{"name": []}] * findings.MOST_FAULTS, "graph": {}}).faults
    assert [fault.path for fault in found[:-1]] == [
        f"tasks[{number}].name" for number in range(findings.MOST_FAULTS)
    ]


class Counted(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)


def fan_in(size: int, wait_for: Any) -> dict[str, Any]:
    """Return a document in which a join follows many tasks."""
    ids = [Counted(f"t{number}") for number in range(size)]
    tasks = [{"id": uid, "name": "join", "config": {"wait_for": 1}} for uid in ["root", *ids]]
    join = {"id": "j", "name": "join", "config": {"wait_for": wait_for}}
    return {"tasks": [*tasks, join], "graph": {"root": ids, **{uid: ["j"] for uid in ids}}}


@pytest.mark.parametrize("wait_for", [0, "all", "nobody", "twice", "reversed"])
def test_g12_a_join_of_thousands_is_checked_in_linear_time(wait_for: Any) -> None:
    """Whatever it waits for, nobody is compared with everybody."""
    size = 2000
    document = fan_in(size, wait_for)
    ids: list[str] = document["graph"]["root"]
    lists = {"all": ids, "nobody": [f"x{n}" for n in ids], "twice": ids * 2, "reversed": ids[::-1]}
    document["tasks"][-1]["config"]["wait_for"] = lists.get(wait_for, 0)
    Counted.compared = 0
    template = WorkflowTemplate.from_dict(document)
    with pytest.raises(TemplateError) as refused:
        template.validate()
    assert Counted.compared < 20 * size
    assert len(str(refused.value)) <= PAGE


def test_g12_a_choice_among_thousands_is_made_in_linear_time() -> None:
    """Of all of them, for one."""
    size = 2000
    document = fan_in(size, 1)
    template = WorkflowTemplate.from_dict(document)
    plan: Plan[Step] = Plan(shape_of(template), Step)
    root = plan.begin({})
    Counted.compared = 0
    plan.choose(root, list(map(Counted, document["graph"]["root"])))
    assert root.chosen is not None
    assert len(root.chosen) == size
    assert Counted.compared < 20 * size


@pytest.mark.parametrize(
    ("graph", "word"),
    [
        (
            {f"t{n}": [f"t{(n + 1) % 5000}"] for n in range(5000)},
            ("not acyclic: ", " -> ... -> "),
        ),
        ({}, ("expected one root task, found 5000 (t0, t1, ", ", t11, ... (5000 in all))")),
        ({f"x{n}": [f"y{n}"] for n in range(5000)}, ("unknown task 'x0'", "unknown task 'y48'")),
    ],
    ids=["cycle", "roots", "strangers"],
)
def test_g12_thousands_of_names_are_not_all_shown(
    graph: dict[str, list[str]], word: tuple[str, ...]
) -> None:
    """In a cycle that goes through all of them, for one."""
    tasks = [{"id": f"t{number}", "name": "x"} for number in range(5000)]
    error = refusal_of({"tasks": tasks, "graph": graph, "timeout": -1})
    assert all(part in str(error) for part in word)
    assert all(len(str(fault)) < 500 for fault in error.faults)


def test_a_long_chain_is_a_sound_template() -> None:
    """Nothing goes down it by recursion."""
    size = 5000
    tasks = [{"id": f"t{number}", "name": "x"} for number in range(size)]
    graph = {f"t{number}": [f"t{number + 1}"] for number in range(size - 1)}
    template = WorkflowTemplate.from_dict({"tasks": tasks, "graph": graph})
    plan: Plan[Step] = Plan(shape_of(template), Step)
    step = plan.begin({})
    assert plan.open_parents(step) == set()
    for _ in range(size):
        step = plan.ready.popleft()
        step.ended_at = 0.0
        plan.follow(step, {})
    assert step.number == size - 1
    assert not plan.ready


# Words


@pytest.mark.parametrize("name", [*NASTY, "laughter"])
def test_whatever_is_shown_is_shown_on_one_short_line(name: str) -> None:
    """Never an error of the message itself."""
    nasty = laughter() if name == "laughter" else NASTY[name]()
    for word in (
        shown(nasty),
        plain(nasty),
        listed([nasty] * 20),
        nearest(nasty, ["a", "b" * 999]),
    ):
        assert word.isprintable()
        assert len(word) < 15 * MOST_CHARACTERS


def test_short_values_are_shown_in_full() -> None:
    """A number as it is, a name without quotes."""
    assert shown("a'b") == '''"a'b"'''
    assert shown(10**20) == "1" + "0" * 20
    assert shown(10**5000) == "<int of 16610 bits>"
    assert shown({"a": [1, None]}) == "{'a': [1, None]}"
    assert plain("a b") == "a b"
    assert plain("a\nb") == r"'a\nb'"
    assert plain(5) == "5"
    assert listed(["a", 1]) == "a, 1"


class Odd:
    """Something that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_fails_to_show_itself_is_shown_by_its_type() -> None:
    """The message is about something else."""
    assert shown([Odd()]).startswith("[<Odd instance at ")

    class list(Odd):  # noqa: A001, N801 - as someone else might call it
        def __len__(self) -> int:
            raise RuntimeError("no")

    assert shown(list()).startswith("<")


class Nameless(type):
    """The class of a class that does not tell its name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]  # it is anything but the name
        """Raise instead."""
        raise ZeroDivisionError


def test_what_has_no_name_either_is_an_object() -> None:
    """Nothing else is known of it."""

    class Odd(metaclass=Nameless):
        pass

    assert shown(Odd()) == "<an object>"
    assert shown([Odd()]) == "<a list>"


@given(json_values)
def test_every_location_in_some_data_can_be_named(data: Any) -> None:
    """By its keys and numbers; followed again, they lead there."""
    waiting = [Location(data)]
    while waiting:
        location = waiting.pop()
        assert (location.path() == "") is (location.outer is None or not location.path())
        assert location.path("x").startswith("x")
        if location.outer is not None:
            assert location.outer.value[location.key] is location.value
            assert location.depth == location.outer.depth + 1
        waiting += location.inner((list, dict)) if isinstance(location.value, list | dict) else []


# The JSON form of reports


@settings(max_examples=examples(200))
@given(st.text() | st.binary() | st.from_regex(r'[\[\]{}",:$a-z0-9\\]{0,40}', fullmatch=True))
def test_any_text_is_a_report_or_refused(text: str | bytes) -> None:
    """Invalid JSON and invalid UTF-8 as well."""
    with refusals(RescueError, 1000):
        assert type(report_from_json(text)) is dict


ALIKE = [str(number * (2**61 - 1)) for number in range(MOST_ALIKE + 1)]
UNLIKE = [str(number) for number in range(2000)]


def tagged(kind: str, values: list[str]) -> str:
    """Return the JSON form of a set or a dict with these keys."""
    parts = [f"[{value}, 0]" for value in values] if kind == "dict" else values
    return f'{{"a": {{"{TAG}": "{kind}", "value": [{", ".join(parts)}]}}}}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, ""),
        ('{"a":' * 100_000, ""),
        ('{"a": ' + "1" * 5000 + "}", ""),
        ('{"a": 1, "b": {"a": 1, "a": 2}}', "(a key is in an object twice)"),
        (b"\xff\xfe{", ""),
        (b"\xef\xbb\xbf{}x", ""),
        ("\ufeff{}", ""),
        (bytearray(b"{"), ""),
        (tagged("float", ['"x"']), ""),
        ('{"$tukio": "' + "x" * 9999 + '", "value": 0}', "is no type of it"),
        ('{"$tukio": "float", "value": "' + "x" * 9999 + '"}', ""),
        ('{"$tukio": "datetime", "value": "' + "x" * 9999 + '"}', ""),
        *[
            (tagged(kind, ALIKE), "(more than 32 keys have the same hash)")
            for kind in ("set", "frozenset", "dict")
        ],
    ],
)
def test_a_text_that_would_do_harm_is_refused(text: Any, reason: str) -> None:
    """Soon, and in few words."""
    with pytest.raises(RescueError) as caught:
        report_from_json(text)

    assert caught.value.reason.startswith("it is not the JSON form of a report (")
    assert reason in caught.value.reason
    assert len(caught.value.reason) < 300


def tuples_alike(many: int) -> list[str]:
    """Return the JSON forms of so many tuples of one hash: that of -1 is that of -2."""
    rows = [[-1 - (n >> bit & 1) for bit in range(10)] for n in range(many)]
    return [f'{{"{TAG}": "tuple", "value": {row}}}' for row in rows]


def sets_alike(many: int) -> list[str]:
    """Return the JSON forms of so many sets of one hash, of two tuples of one hash each."""
    pairs = [(n, m) for m in range(12) for n in range(m)][:many]
    rows = tuples_alike(12)
    return [f'{{"{TAG}": "frozenset", "value": [{rows[n]}, {rows[m]}]}}' for n, m in pairs]


@pytest.mark.parametrize("kind", ["set", "frozenset", "dict"])
def test_keys_of_one_hash_are_read_if_they_are_few(kind: str) -> None:
    """They are compared each with each, and as a whole."""
    [value] = report_from_json(tagged(kind, tuples_alike(MOST_ALIKE))).values()
    assert len(value) == MOST_ALIKE
    assert len(set(map(hash, value))) == 1
    with pytest.raises(RescueError, match="more than 32 keys have the same hash"):
        report_from_json(tagged(kind, tuples_alike(MOST_ALIKE + 1)))


@pytest.mark.parametrize("kind", ["set", "frozenset", "dict"])
def test_keys_of_one_hash_are_in_no_keys_of_one_hash(kind: str) -> None:
    """A comparison of two would be one of each within with each: the cost is raised to a power."""
    pair = sets_alike(2)
    [value] = report_from_json(tagged(kind, pair[:1])).values()
    assert len(value) == 1
    assert len({hash(frozenset({(-1, -1), (-1, -2)})), hash(frozenset({(-1, -1), (-2, -1)}))}) == 1
    with pytest.raises(RescueError, match="within keys with the same hash"):
        report_from_json(tagged(kind, pair))


@pytest.mark.parametrize("kind", ["set", "frozenset", "dict"])
def test_a_large_set_is_read_like_any_other(kind: str) -> None:
    """Its keys are unlike each other."""
    [value] = report_from_json(tagged(kind, UNLIKE)).values()
    assert len(value) == len(UNLIKE)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": "\\ud800"}', '{"a": -Infinity}', b"{}"])
def test_what_json_stretches_to_is_read(text: str | bytes) -> None:
    """As Python reads it; and it is written again as JSON of everybody's."""
    report = report_from_json(text) | {"exec": {"start": None, "end": None}, "tasks": []}
    json.loads(report_to_json(report), parse_constant=pytest.fail)


# Reports as data


@pytest.mark.parametrize("name", [*NASTY, "laughter"])
@pytest.mark.parametrize(
    "path",
    [
        "id",
        "exec",
        "exec.id",
        "exec.start",
        "exec.state",
        "exec.elapsed",
        "tasks",
        "tasks.0",
        "tasks.0.id",
        "tasks.0.exec",
        *[
            f"tasks.0.exec.{key}"
            for key in ("id", "start", "end", "state", "inputs", "outputs", "chosen", "error")
        ],
    ],
)
def test_nothing_nasty_in_a_report_is_met_with_another_error(name: str, path: str) -> None:
    """It is refused, or a plan comes of it."""
    template = WorkflowTemplate.from_dict(
        {
            "id": "flow",
            "tasks": [{"id": "a", "name": "x"}, {"id": "b", "name": "x"}],
            "graph": {"a": ["b"]},
        }
    )
    execution = {
        "id": "run",
        "start": "2026-01-01T00:00:00",
        "end": "2026-01-01T00:00:00",
        "state": "finished",
    }
    first = execution | {"inputs": {}, "outputs": {"n": 1}, "chosen": ["b"], "error": None}
    report = template.as_dict() | {"exec": execution}
    report["tasks"][0]["exec"], report["tasks"][1]["exec"] = first, None
    place: Any = report
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys:
        place = place[key]
    place[last] = laughter() if name == "laughter" else NASTY[name]()
    plan: Plan[Step] = Plan(shape_of(template), Step)
    with refusals(RescueError, 1000):
        restore(plan, read(report, template))
        assert [step.template.uid for step in plan.ready] == ["b"]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_what_json_can_carry_is_among_what_is_tried(name: str) -> None:
    """Otherwise the reports that are spoilt in the engine's tests would not be read."""
    report_from_json(json.dumps({"a": NASTY[name]()}))
