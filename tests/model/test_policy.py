"""Overrun policies: what happens to data that meets a run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from tukio._model.policy import Decision, ErrorPolicy, OverrunPolicy, decide

START, SKIP, ABORT = Decision.START, Decision.SKIP, Decision.ABORT_OTHERS_THEN_START


@pytest.mark.parametrize(
    ("policy", "none_runs", "one_unlocked", "one_locked"),
    [
        (OverrunPolicy.START_NEW, START, START, START),
        (OverrunPolicy.SKIP, START, SKIP, SKIP),
        (OverrunPolicy.SKIP_UNTIL_UNLOCK, START, START, SKIP),
        (OverrunPolicy.ABORT_RUNNING, START, ABORT, ABORT),
    ],
)
def test_a_policy_decides(
    policy: OverrunPolicy, none_runs: Decision, one_unlocked: Decision, one_locked: Decision
) -> None:
    """The whole truth, as one table."""
    assert decide(policy, running=0, locked=0) is none_runs
    assert decide(policy, running=1, locked=0) is one_unlocked
    assert decide(policy, running=1, locked=1) is one_locked


def test_what_is_no_policy_decides_nothing() -> None:
    """A word in the place of a policy was not found when the template was checked."""
    word: Any = "skip"
    with pytest.raises(AssertionError):
        decide(word, running=0, locked=0)


@given(st.sampled_from(OverrunPolicy), st.integers(1, 9), st.data())
def test_only_whether_there_are_runs_counts_not_how_many(
    policy: OverrunPolicy, running: int, data: st.DataObject
) -> None:
    """Nine runs are met like one."""
    locked = data.draw(st.integers(0, running))
    decision = decide(policy, running=running, locked=locked)
    assert decision is decide(policy, running=1, locked=min(locked, 1))


def test_the_default_policy_is_that_of_1_x() -> None:
    """A template that names none skips until unlocked."""
    assert OverrunPolicy.get_default_policy() is OverrunPolicy.SKIP_UNTIL_UNLOCK
    assert OverrunPolicy.get() is OverrunPolicy.SKIP_UNTIL_UNLOCK
    assert OverrunPolicy.get(None) is OverrunPolicy.SKIP_UNTIL_UNLOCK


@pytest.mark.parametrize("policy", OverrunPolicy)
def test_a_policy_is_found_by_itself_and_by_its_value(policy: OverrunPolicy) -> None:
    """Both forms are in use."""
    assert OverrunPolicy.get(policy) is policy
    assert OverrunPolicy.get(policy.value) is policy


@pytest.mark.parametrize("wrong", ["SKIP", "zzz", "", 1, []])
def test_a_policy_that_does_not_exist_is_refused(wrong: Any) -> None:
    """Upper case and numbers too, as in 1.x."""
    with pytest.raises(ValueError, match="is not a valid OverrunPolicy"):
        OverrunPolicy.get(wrong)


def test_the_words_of_the_policies_are_those_of_stored_templates() -> None:
    """Renaming one would refuse the templates of today."""
    assert [policy.value for policy in OverrunPolicy] == [
        "skip",
        "start-new",
        "skip-until-unlock",
        "abort-running",
    ]
    assert [policy.value for policy in ErrorPolicy] == ["continue", "abort"]
