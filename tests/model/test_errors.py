"""Errors: facts for programs, advice for people, and what 1.x code catches."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from tukio import Reason, errors
from tukio._model.display import MOST_COMPARED, nearest
from tukio._model.errors import failure_of
from tukio.errors import (
    CleanupTimedOut,
    DAGValidationError,
    EngineError,
    Fault,
    GiveUp,
    IllegalMove,
    InvalidInput,
    InvalidResult,
    LeftBehind,
    Misfit,
    NotAwaited,
    ProcessFailed,
    RecordedError,
    RescueError,
    RetryLater,
    SkipTask,
    TemplateError,
    TemplateGraphError,
    TukioError,
    TukioTaskError,
    UnknownTaskName,
    WorkflowCancelled,
    WorkflowError,
    WorkflowFailed,
    WorkflowRootTaskError,
    WorkflowTimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS = (
    Fault("graph", "not acyclic: a -> a", "remove one of these edges", DAGValidationError),
    Fault("policy", "'zzz' is not one of skip", "did you mean 'skip'?"),
)
CAUSES = (KeyError("a"), ValueError("b"))

# The error, its facts by name in the order of its args, the built-in it also is, its words.
CASES: list[tuple[TukioError, dict[str, Any], type[Exception], str]] = [
    (SkipTask("nothing new"), {"reason": "nothing new"}, TukioError, "nothing new"),
    (SkipTask(), {"reason": None}, TukioError, "None"),
    (TukioTaskError({"n": 1}), {"task_outputs": {"n": 1}}, TukioError, "{'n': 1}"),
    (
        WorkflowRootTaskError(2),
        {"count": 2},
        WorkflowError,
        (
            "expected one root task, found 2"
            " - a workflow starts at the single task that no other task leads to"
        ),
    ),
    (
        UnknownTaskName("resize", ("other", "resizer")),
        {"name": "resize", "known": ("other", "resizer")},
        LookupError,
        "no task is registered as 'resize' - did you mean 'resizer'?",
    ),
    (
        UnknownTaskName(),
        {"name": None, "known": ()},
        LookupError,
        (
            "no task is registered as None - none is known yet;"
            " is the module that registers it imported?"
        ),
    ),
    (
        TemplateError(FAULTS[1:]),
        {"faults": FAULTS[1:]},
        ValueError,
        "policy: 'zzz' is not one of skip; did you mean 'skip'?",
    ),
    (
        TemplateError(FAULTS),
        {"faults": FAULTS},
        DAGValidationError,
        (
            "2 faults in the template:"
            "\n  graph: not acyclic: a -> a; remove one of these edges"
            "\n  policy: 'zzz' is not one of skip; did you mean 'skip'?"
        ),
    ),
    (
        RescueError("run", "task 'a' is not in the template"),
        {"uid": "run", "reason": "task 'a' is not in the template"},
        WorkflowError,
        "cannot rescue workflow 'run' from its report: task 'a' is not in the template",
    ),
    (
        IllegalMove("resume", "running", ("suspend", "stop")),
        {"move": "resume", "state": "running", "allowed": ("suspend", "stop")},
        RuntimeError,
        "cannot resume a workflow that is running - it can: suspend, stop",
    ),
    (
        IllegalMove("stop", "over"),
        {"move": "stop", "state": "over", "allowed": ()},
        RuntimeError,
        "cannot stop a workflow that is over - it is over; start another run",
    ),
    (
        LeftBehind("a", "a time limit"),
        {"task_id": "a", "what": "a time limit"},
        RuntimeError,
        (
            "task 'a' has left a time limit open - close a generator that is not read to its end,"
            " as by contextlib.aclosing(...), and leave each scope where it was entered"
        ),
    ),
    (GiveUp("no such order"), {"reason": "no such order"}, Exception, "no such order"),
    (RetryLater(30), {"delay": 30}, Exception, "30"),
    (
        InvalidInput("Job", [Misfit("url", "missing"), Misfit("", "is odd")]),
        {"kind": "Job", "misfits": (Misfit("url", "missing"), Misfit("", "is odd"))},
        ValueError,
        "the data is no Job: url: missing; is odd",
    ),
    (
        InvalidResult("a", "int"),
        {"task_id": "a", "result_type": "int"},
        TypeError,
        (
            "task 'a' returned a int, which its successors cannot receive"
            " - return a dict, an Event, or None to pass the inputs on"
        ),
    ),
    (
        NotAwaited("a", "coroutine"),
        {"task_id": "a", "result_type": "coroutine"},
        InvalidResult,
        (
            "task 'a' returned a coroutine, and not the result of awaiting it"
            " - is an 'await' missing?"
        ),
    ),
    (
        CleanupTimedOut("a", 2.5),
        {"task_id": "a", "limit": 2.5},
        TimeoutError,
        (
            "teardown of task 'a' was cut after 2.5 s"
            " - make it shorter or raise the engine's cleanup_timeout"
        ),
    ),
    (
        ProcessFailed("shop.count", "the process has ended with exit code 3", 3),
        {
            "place": "shop.count",
            "reason": "the process has ended with exit code 3",
            "exit_code": 3,
        },
        RuntimeError,
        "shop.count has failed in its process: the process has ended with exit code 3",
    ),
    (
        RecordedError("ValueError", "no such page"),
        {"kind": "ValueError", "message": "no such page"},
        WorkflowError,
        "ValueError: no such page",
    ),
    (WorkflowCancelled("run"), {"uid": "run"}, WorkflowError, "workflow run was cancelled"),
    (
        WorkflowTimedOut("run"),
        {"uid": "run"},
        TimeoutError,
        "workflow run reached its time limit",
    ),
    (
        WorkflowCancelled("run", "the user went away"),
        {"uid": "run", "reason": "the user went away"},
        WorkflowError,
        "workflow run was cancelled: the user went away",
    ),
    (
        errors.NoItems("a", "$.pages", "'$.pages' leads to a str"),
        {"task_id": "a", "path": "$.pages", "problem": "'$.pages' leads to a str"},
        TypeError,
        "task 'a' has no items: '$.pages' leads to a str",
    ),
    (
        errors.TaskTimedOut("a", 2.5),
        {"task_id": "a", "limit": 2.5},
        TimeoutError,
        "task 'a' has reached its time limit of 2.5 s",
    ),
    (
        errors.TaskTimedOut("a", None),
        {"task_id": "a", "limit": None},
        TimeoutError,
        "task 'a' has reached its time limit",
    ),
    (
        errors.TaskCancelled("a"),
        {"task_id": "a"},
        TukioError,
        "task 'a' was cancelled, and nothing that follows it was run",
    ),
    (
        errors.NotStarted(Reason.STOPPING, "flow"),
        {"reason": Reason.STOPPING, "template_id": "flow"},
        WorkflowError,
        (
            "workflow 'flow' was not started: the engine is stopping"
            " - start it before the engine is stopped or left"
        ),
    ),
    (
        errors.IdConflict("x", "flow"),
        {"uid": "x", "template_id": "flow"},
        WorkflowError,
        (
            "id 'x' is that of a run of workflow 'flow' with another template or other data"
            " - give each start an id of its own"
        ),
    ),
    (
        WorkflowFailed("workflow run failed", CAUSES),
        {"message": "workflow run failed", "exceptions": CAUSES},
        ExceptionGroup,
        "workflow run failed (2 sub-exceptions)",
    ),
    # These say what they are given.
    (TukioError("words"), {}, Exception, "words"),
    (WorkflowError("words"), {}, TukioError, "words"),
    (DAGValidationError("words"), {}, TukioError, "words"),
    (EngineError("words"), {}, RuntimeError, "words"),
    (TemplateGraphError("words"), {}, KeyError, "words"),
]

every_error = pytest.mark.parametrize(
    "case", CASES, ids=[f"{n} {type(case[0]).__name__}" for n, case in enumerate(CASES)]
)
Case = tuple[TukioError, dict[str, Any], type[Exception], str]


def defined() -> list[type[TukioError]]:
    """Return every exception that the module defines."""
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, TukioError)
    ]


def is_like(twin: BaseException, error: BaseException) -> bool:
    """Return whether two exceptions say the same, those in a group included."""
    return repr(twin) == repr(error) and str(twin) == str(error)


def test_every_error_is_looked_at_here() -> None:
    """One that is added needs a row."""
    looked_at = {kind for error, *_ in CASES for kind in type(error).__mro__}
    assert set(defined()) <= looked_at
    for kind in defined():
        assert any(type(error).__name__ == kind.__name__ for error, *_ in CASES), kind


def test_every_error_is_public() -> None:
    """A user can catch it by its name in `tukio.errors`, or by the root."""
    for kind in defined():
        assert getattr(errors, kind.__name__) is kind
        assert kind.__name__ in errors.__all__
        assert kind.__module__ == "tukio.errors"


@every_error
def test_the_facts_are_attributes_and_args(case: Case) -> None:
    """Nobody has to parse the words."""
    error, facts, kind, _ = case
    assert isinstance(error, kind)
    assert {name: getattr(error, name) for name in facts} == facts
    if not isinstance(error, WorkflowFailed):
        assert error.args == (tuple(facts.values()) or ("words",))


@every_error
def test_the_words_say_what_is_wrong_and_what_to_do(case: Case) -> None:
    """In this order, with a dash between, where there is something to do."""
    error, _, _, words = case
    assert str(error) == words
    assert words.count(" - ") <= 1


@every_error
@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
def test_an_error_survives(case: Case, way: str) -> None:
    """Into another process or a report: type, facts, words, notes."""
    error, facts, kind, words = case
    original = copy.copy(error)
    original.add_note("in task 'a'")
    ways: dict[str, Callable[[], Any]] = {
        "pickle": lambda: pickle.loads(pickle.dumps(original)),  # noqa: S301 - our own bytes
        "copy": lambda: copy.copy(original),
        "deepcopy": lambda: copy.deepcopy(original),
    }
    twin = ways[way]()
    assert type(twin).__name__ == type(error).__name__
    assert isinstance(twin, kind)
    assert str(twin) == words
    assert is_like(twin, error)
    for name, fact in facts.items():
        same = getattr(twin, name) == fact or repr(getattr(twin, name)) == repr(fact)
        assert same, name
    assert twin.__notes__ == ["in task 'a'"]


# Advice


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("resize", ["other", "resizer"], "did you mean 'resizer'?"),
        ("zzz", ["a", "b"], "known: a, b"),
        ("zzz", [], "none is known yet"),
        (5, ["a"], "known: a"),
        (None, ["none"], "did you mean 'none'?"),
        ("zzz", [f"n{n}" for n in range(12)], "known: " + ", ".join(f"n{n}" for n in range(12))),
        (
            "zzz",
            [f"n{n}" for n in range(13)],
            "known: " + ", ".join(f"n{n}" for n in range(12)) + ", ... (13 in all)",
        ),
    ],
    ids=["near", "far", "nothing known", "number", "None", "twelve", "thirteen"],
)
def test_a_wrong_name_gets_advice(name: object, known: list[str], words: str) -> None:
    """The nearest known name, or what there is, but never a page of it."""
    assert nearest(name, known) == words


@pytest.mark.parametrize("others", [MOST_COMPARED - 1, MOST_COMPARED])
def test_a_wrong_name_is_compared_with_so_many(others: int) -> None:
    """Of the names that are not too long, the first ones: however many there are."""
    strangers = ["x" * 100, *(f"{number:05}" for number in range(others))]
    advice = nearest("resize", [*strangers, "resizer"])
    assert (advice == "did you mean 'resizer'?") == (others < MOST_COMPARED)


def test_an_unknown_name_sorts_what_is_known_whatever_its_type() -> None:
    """Names are any hashable, and a set has no order."""
    assert UnknownTaskName("zzz", {"b", 5, "a"}).known == ("5", "a", "b")


# Errors that are more than one thing


def test_a_template_error_is_of_the_kind_of_each_fault() -> None:
    """So `except` clauses written for 1.x go on to work, and see the facts they look for."""
    faults = [
        *FAULTS,
        Fault("graph.a[0]", "unknown task 'z'", "known: a", TemplateGraphError, ("z",)),
        Fault("graph", "two roots", "remove one", WorkflowRootTaskError, (2,)),
        Fault("graph", "three roots", "remove two", WorkflowRootTaskError, (3,)),
        Fault("tasks[0].name", "unknown", "known: a", UnknownTaskName, ("b", ["c", "a"])),
    ]
    error = TemplateError(faults)
    facts: Any = error
    for kind in (
        TemplateError,
        WorkflowError,
        DAGValidationError,
        ValueError,
        TemplateGraphError,
        KeyError,
        WorkflowRootTaskError,
        UnknownTaskName,
        LookupError,
    ):
        assert isinstance(error, kind)
    assert not isinstance(error, TypeError)
    assert (facts.count, facts.name, facts.known) == (2, "b", ("a", "c"))
    assert error.args == (tuple(faults),)
    twin: Any = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (twin.count, twin.name, twin.known) == (2, "b", ("a", "c"))
    assert type(twin).__mro__[1:] == type(error).__mro__[1:]


def test_the_mixed_class_of_a_template_error_shows_the_public_name() -> None:
    """A traceback speaks of `tukio.errors.TemplateError`."""
    kind = type(TemplateError(FAULTS))
    assert (kind.__module__, kind.__name__, kind.__qualname__) == (
        "tukio.errors",
        "TemplateError",
        "TemplateError",
    )


def test_a_template_error_of_one_plain_kind_is_only_what_it_must_be() -> None:
    """It is not a `KeyError` because another one was."""
    only = TemplateError(FAULTS[1:])
    assert isinstance(only, ValueError)
    assert not isinstance(only, LookupError | TypeError | DAGValidationError)
    assert type(TemplateError(())) is TemplateError


def test_a_failed_workflow_keeps_its_type_when_it_is_split() -> None:
    """`except*` and task groups split groups; what is left still is a `WorkflowFailed`."""
    failed = WorkflowFailed("workflow run failed", [KeyError("a"), ValueError("b")])
    matched, rest = failed.split(KeyError)
    assert type(matched) is type(rest) is WorkflowFailed
    assert isinstance(failed.derive([OSError()]), WorkflowError)
    assert isinstance(matched, WorkflowFailed)
    assert [type(error) for error in matched.exceptions] == [KeyError]
    assert matched.message == "workflow run failed"
    assert type(failed.subgroup(ValueError)) is WorkflowFailed


def test_except_star_finds_the_errors_of_a_failed_workflow() -> None:
    """And what it does not handle goes on as a `WorkflowFailed`."""
    handled: list[BaseException] = []
    with pytest.raises(WorkflowFailed) as left:
        try:
            raise WorkflowFailed("workflow run failed", [KeyError("a"), ValueError("b")])
        except* KeyError as group:
            handled.extend(group.exceptions)
    assert [type(error) for error in handled] == [KeyError]
    assert [type(error) for error in left.value.exceptions] == [ValueError]


def test_a_failed_workflow_holds_errors_only() -> None:
    """A cancellation is no error."""
    causes: Any = [KeyboardInterrupt()]
    with pytest.raises(TypeError):
        WorkflowFailed("workflow run failed", causes)


class Nameless(BaseException):
    """Does not even say of what class it is."""

    @property
    def __class__(self) -> Any:
        """Raise instead."""
        raise ZeroDivisionError

    @__class__.setter
    def __class__(self, kind: Any) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        ({}, "nothing is known of the error"),
        ({"a": Nameless()}, "its errors cannot be shown"),
        ({"a": ValueError("b"), "c": Nameless()}, "its errors cannot be shown"),
        ({"a": GeneratorExit("b")}, "a task raised GeneratorExit: b"),
    ],
    ids=["none", "one", "one of two", "no Exception"],
)
def test_g7_a_run_fails_with_an_error_whatever_its_tasks_have_raised(
    raised: dict[str, BaseException], words: str
) -> None:
    """It is told even where there is nothing to tell, or the run would have no end."""
    failed = failure_of("flow", raised)

    assert failed.message == "workflow 'flow' failed"
    assert [(type(error), str(error)) for error in failed.exceptions] == [(TukioError, words)]


@given(st.text(), st.text(), st.text())
def test_a_fault_is_one_line_of_path_problem_and_advice(
    path: str, problem: str, advice: str
) -> None:
    """The template itself has no path."""
    expected = f"{path}: {problem}; {advice}" if path else f"{problem}; {advice}"
    assert str(Fault(path, problem, advice)) == expected
