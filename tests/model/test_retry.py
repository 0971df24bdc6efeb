"""`retry` of a task as data: its faults, its defaults, and how long it waits."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tukio._model.retry import Retry
from tukio._model.template import WorkflowTemplate
from tukio.errors import TemplateError


def faults_of(**task: Any) -> list[tuple[str, str, str | None]]:
    """Return the faults of a template of one task: path, problem and advice of each."""
    document = {"tasks": [{"id": "a", "name": "a", **task}]}
    try:
        WorkflowTemplate.from_dict(document)
    except TemplateError as error:
        return [(fault.path, fault.problem, fault.advice) for fault in error.faults]
    return []


FAULTS: list[tuple[Any, str, str]] = [
    ("3", "", "must be an object, not str"),
    ([3], "", "must be an object, not list"),
    ({"attempts": 0}, ".attempts", "must be a positive number or null, not 0"),
    ({"attempts": -1}, ".attempts", "must be a positive number or null, not -1"),
    ({"attempts": True}, ".attempts", "must be a positive number or null, not True"),
    ({"attempts": 2.5}, ".attempts", "must be a positive number or null, not 2.5"),
    ({"attempts": None}, "", "would go on for ever"),
    ({"attempts": None, "within": None}, "", "would go on for ever"),
    ({"attempts": None, "within": 0}, "", "would go on for ever"),
    ({"initial": -1}, ".initial", "must be a number from 0 on, not -1"),
    ({"initial": "1"}, ".initial", "must be a number from 0 on, not '1'"),
    ({"factor": None}, ".factor", "must be a number from 0 on, not None"),
    ({"max": math.nan}, ".max", "must be a number from 0 on, not nan"),
    ({"max": math.inf}, ".max", "must be a number from 0 on, not inf"),
    ({"within": False}, ".within", "must be a number from 0 on, not False"),
    ({"jitter": "some"}, ".jitter", "'some' is not one of full, none"),
    ({"jitter": 1}, ".jitter", "1 is not one of full, none"),
    ({"retry_on": "OSError"}, ".retry_on", "must be a list of names of exceptions, not str"),
    ({"retry_on": [1]}, ".retry_on[0]", "must be the name of an exception, not 1"),
    ({"give_up_on": ["a b"]}, ".give_up_on[0]", "must be the name of an exception, not 'a b'"),
    (
        {"give_up_on": ["OSError", "a..b"]},
        ".give_up_on[1]",
        "must be the name of an exception, not 'a..b'",
    ),
    ({"attempt": 2}, ".attempt", "unknown key"),
]


@pytest.mark.parametrize(("retry", "path", "problem"), FAULTS, ids=repr)
def test_each_fault_is_told_with_its_path(retry: Any, path: str, problem: str) -> None:
    """It is the only one, and says what to do."""
    [(where, told, advice)] = faults_of(retry=retry)
    assert (where, told) == (f"tasks[0].retry{path}", problem)
    assert advice


def test_a_misspelt_key_is_told_with_the_nearest() -> None:
    """Inside this object all keys are known."""
    [(_, _, advice)] = faults_of(retry={"attempt": 2})
    assert advice is not None
    assert "'attempts'" in advice


def test_all_faults_are_told_together() -> None:
    """One hides no other."""
    paths = [path for path, *_ in faults_of(retry={"attempts": 0, "max": -1, "retry_on": [None]})]
    assert paths == [
        "tasks[0].retry.attempts",
        "tasks[0].retry.max",
        "tasks[0].retry.retry_on[0]",
    ]


@pytest.mark.parametrize(
    "retry",
    [
        None,
        {},
        {"attempts": None, "within": 5},
        {"within": None},
        {"retry_on": None, "give_up_on": []},
        {"retry_on": ["OSError", "httpx.HTTPError"], "jitter": "none", "factor": 0, "initial": 0},
    ],
)
def test_what_has_no_fault(retry: Any) -> None:
    """And comes back as it was written."""
    assert faults_of(retry=retry) == []
    document = {"tasks": [{"id": "a", "name": "a", "retry": retry}]}
    [task] = WorkflowTemplate.from_dict(document).as_dict()["tasks"]
    assert task.get("retry") == retry


def test_nothing_to_retry_by() -> None:
    """A limit that is to be followed by another attempt needs `retry`."""
    [fault] = faults_of(timeout=1, on_timeout="retry")
    assert fault == (
        "tasks[0].on_timeout",
        "there is nothing to retry by",
        "give 'retry', or write 'fail'",
    )
    assert faults_of(timeout=1, on_timeout="retry", retry={}) == []


@pytest.mark.parametrize("word", ["ignore", 3, ["fail"]])
def test_no_other_word_is_for_what_follows_a_limit(word: Any) -> None:
    """The words are a closed set."""
    [(path, problem, _)] = faults_of(timeout=1, on_timeout=word)
    assert (path, problem.partition(" is not one of ")[2]) == (
        "tasks[0].on_timeout",
        "continue, fail, retry",
    )


def test_a_wait_that_is_beyond_any_float_is_the_longest() -> None:
    """However many attempts were made."""
    retry = Retry(attempts=None, within=1e300, factor=10.0, jitter="none")
    assert retry.delay(OSError(), 5_000, 0.0, "key") == 60


def test_the_wait_is_drawn_from_the_key_and_the_number() -> None:
    """The same ones have the same wait, whatever text the key is; others have others."""
    retry = Retry(attempts=99, factor=1, initial=50)
    waits = [retry.delay(OSError(), number, 0.0, "\udcff/a") for number in range(1, 40)]
    assert waits == [retry.delay(OSError(), number, 0.0, "\udcff/a") for number in range(1, 40)]
    assert len(set(waits)) == len(waits)
    assert all(wait is not None and 0 <= wait <= 50 for wait in waits)
