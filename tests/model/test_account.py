"""Errors as data: the cause and not the wrapper, bounded, and the same again after a rescue."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from tukio._model.account import (
    LONGEST_CHAIN,
    LONGEST_PATH,
    MOST_TOLD,
    RecordedError,
    as_fact,
    described,
    read_account,
)
from tukio._model.display import LONGEST_TEXT
from tukio._model.errors import TukioTaskError, as_exception

if TYPE_CHECKING:
    from collections.abc import Sequence


class Ends(BaseException):
    """What a method raises that is no `Exception`."""


class Silent(Exception):
    """Raises whatever it is asked."""

    def __str__(self) -> str:
        raise Ends

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise Ends

    def with_traceback(self, tb: object) -> Any:
        """Raise, too."""
        raise Ends


class Twisted(ExceptionGroup[Exception]):
    """A group that shows other exceptions than it has."""

    exceptions = message = property(lambda self: 1 / 0)

    def derive(self, excs: Sequence[Exception]) -> Twisted:  # type: ignore[override]
        """Return a group of the same kind."""
        return Twisted("told", excs)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    """Return an error with a cause."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "account"),
    [
        (ValueError("why"), {"type": "ValueError", "message": "why"}),
        (KeyError("a"), {"type": "KeyError", "message": "'a'"}),
        (TukioTaskError({"code": 3}), {"type": "TukioTaskError", "message": "{'code': 3}"}),
        (KeyboardInterrupt(), {"type": "KeyboardInterrupt", "message": ""}),
        (RecordedError("Other", "what it said"), {"type": "Other", "message": "what it said"}),
        (Silent(), {"type": "Silent", "message": "<a Silent that cannot be shown>"}),
        (
            ValueError(10**5000),
            {"type": "ValueError", "message": "<a ValueError that cannot be shown>"},
        ),
        (
            caused(ValueError("a"), KeyError("b")),
            {
                "type": "ValueError",
                "message": "a",
                "cause": {"type": "KeyError", "message": "'b'"},
            },
        ),
        (
            ExceptionGroup("two", [ExceptionGroup("one", [ValueError("a")]), KeyError("b")]),
            {
                "type": "ExceptionGroup",
                "message": "two (2 sub-exceptions)",
                "leaves": [
                    {"type": "ValueError", "message": "a", "path": ["two", "one"]},
                    {"type": "KeyError", "message": "'b'", "path": ["two"]},
                ],
            },
        ),
    ],
)
def test_an_error_is_told_with_its_leaves_and_its_cause(
    error: BaseException, account: dict[str, Any]
) -> None:
    """One that was recorded before is described as the error it stands for."""
    assert described(error) == account


def test_a_group_is_told_by_what_it_is() -> None:
    """Not by what its class says of it."""
    account = described(Twisted("told", [ValueError("a")]))

    assert account["leaves"] == [{"type": "ValueError", "message": "a", "path": ["told"]}]


def test_a_text_of_any_length_is_kept_in_part() -> None:
    """Its begin and its end; a report is not the place for megabytes."""
    message = described(ValueError("a" * 10**6 + "z"))["message"]

    assert len(message) <= LONGEST_TEXT
    assert message.startswith("aaa")
    assert "(1,000,001 characters)" in message
    assert message.endswith("az")
    assert described(RecordedError("ValueError", message))["message"] == message


def test_of_many_leaves_some_are_told_and_the_others_counted() -> None:
    """Each once, however many groups it is in."""
    leaves = [ValueError(number) for number in range(10 * MOST_TOLD)]
    group: Exception = ExceptionGroup("all", leaves)
    for _ in range(60):
        # Two to the power of sixty of each, if they were told as often as they occur.
        group = ExceptionGroup("x" * 10_000, [group, group])
    account = described(group)
    told = account["leaves"]

    assert [leaf["message"] for leaf in told] == [str(number) for number in range(len(told))]
    assert 1 + len(told) == MOST_TOLD
    assert len(told) + account["more"] == len(leaves)
    assert max(len(leaf["path"]) for leaf in told) == LONGEST_PATH
    assert told[0]["path"][-1] == "all"
    assert len(json.dumps(account)) < 200_000


@pytest.mark.parametrize("leaves", [MOST_TOLD - 2, MOST_TOLD - 1])
def test_as_many_errors_are_told_as_there_is_room_for(leaves: int) -> None:
    """A cause is one of them, and so is the group."""
    errors = [ValueError(number) for number in range(leaves - 1)]
    last: Any = caused(ValueError("last"), KeyError("cause"))
    told = described(ExceptionGroup("all", [*errors, last]))["leaves"]

    assert len(told) == leaves
    assert ("cause" in told[-1]) == (1 + leaves < MOST_TOLD)


def test_causes_in_a_circle_and_without_end_are_told_in_part() -> None:
    """A chain may lead back to where it began, or through ten thousand errors."""
    one, other = ValueError("one"), ValueError("other")
    caused(one, caused(other, one))
    long: BaseException = ValueError("end")
    for number in range(10_000):
        long = caused(ValueError(number), long)
    for error in (one, long):
        account = described(error)
        assert read_account(account) == account
        assert json.dumps(account).count('"cause"') < MOST_TOLD


def test_groups_whose_leaves_have_groups_as_causes_are_told_in_part() -> None:
    """A chain through both is as long as one of causes alone."""
    error: Exception = ValueError("end")
    for number in range(3 * LONGEST_CHAIN):
        leaf: Exception = ValueError(number)
        leaf.__cause__ = error
        error = ExceptionGroup("all", [leaf])
    account = described(error)

    depth, told = 0, account
    while "cause" in told["leaves"][0]:
        depth, told = depth + 1, told["leaves"][0]["cause"]
    assert 0 < depth <= LONGEST_CHAIN
    assert read_account(account) == account


def test_an_error_that_cannot_be_shown_can_be_wrapped() -> None:
    """What a run ends with is made of it, and must not fail."""
    assert str(as_exception(Ends("why"))) == "a task raised Ends: why"

    class Mute(BaseException):
        def __repr__(self) -> str:
            raise Ends

        __str__ = __repr__

    assert "Mute" in str(as_exception(Mute()))


def test_what_ends_the_program_is_not_held_up() -> None:
    """Ctrl-C while an error is shown is Ctrl-C."""

    class Slow(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        described(Slow())


texts = st.text(max_size=5)
errors = st.recursive(
    st.builds(ValueError, texts) | st.builds(KeyError, texts) | st.builds(Silent),
    lambda inner: (
        st.builds(ExceptionGroup, texts, st.lists(inner, min_size=1, max_size=3))
        | st.builds(caused, st.builds(RuntimeError, texts), inner)
    ),
    max_leaves=12,
)


@given(errors)
def test_a_recorded_error_is_told_as_the_error_it_stands_for(error: BaseException) -> None:
    """However often: through the JSON of a report, a rescue, facts, and pickle."""
    account = described(error)
    read = read_account(json.loads(json.dumps(account)))
    recorded = RecordedError(*as_fact(read))
    again = pickle.loads(pickle.dumps(recorded))  # noqa: S301 - our own

    assert read == account
    assert described(recorded) == described(again) == account
    assert str(again) == str(recorded)
    assert [leaf.message for leaf in again.leaves] == [
        leaf["message"] for leaf in account.get("leaves", [])
    ]
    assert (again.__cause__ is None) == ("cause" not in account)


def test_a_group_that_was_recorded_within_another_keeps_its_leaves() -> None:
    """A step of a rescued run may fail a second time, in its clean-up."""
    recorded = RecordedError.of(described(ExceptionGroup("first", [ValueError("a")])))
    account = described(ExceptionGroup("twice", [recorded, KeyError("b")]))

    assert [(leaf["type"], leaf["path"]) for leaf in account["leaves"]] == [
        ("ValueError", ["twice", "first"]),
        ("KeyError", ["twice"]),
    ]


@given(errors)
def test_what_was_recorded_is_told_within_a_group_as_before(error: Exception) -> None:
    """A mapped task has the errors of all its items, some of which were over before a rescue."""
    recorded = RecordedError.of(described(error))

    assert described(ExceptionGroup("all", [recorded])) == described(ExceptionGroup("all", [error]))


def test_a_recorded_error_shares_nothing_with_what_is_told_of_it() -> None:
    """A report is its reader's."""
    recorded = RecordedError.of(described(ExceptionGroup("g", [ValueError("a")])))
    before = str(recorded)
    described(recorded)["leaves"][0]["message"] = "spoilt"

    assert str(recorded) == before == "ExceptionGroup: g (1 sub-exception)\n  g > ValueError: a"
    assert described(recorded)["leaves"][0]["message"] == "a"


GOOD = {"type": "a", "message": "b"}


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"type": "a"},
        GOOD | {"message": 5},
        GOOD | {"leaves": 5},
        GOOD | {"leaves": [5]},
        GOOD | {"leaves": [{}]},
        GOOD | {"leaves": [GOOD] * 10_000},
        GOOD | {"cause": 5},
        GOOD | {"cause": {}},
        GOOD | {"path": "ab"},
        GOOD | {"path": [5]},
        GOOD | {"more": "many"},
    ],
)
def test_what_is_no_account_is_refused(data: Any) -> None:
    """By the errors that the reader of a report expects."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_account(data)


@pytest.mark.parametrize("key", ["cause", "leaves"])
@pytest.mark.parametrize("depth", [2 * LONGEST_CHAIN, 2 * LONGEST_CHAIN + 1])
def test_a_chain_is_read_that_is_twice_as_long_as_one_that_is_told(key: str, depth: int) -> None:
    """For an error that was recorded may be in one that is; a longer one was made by nobody."""
    data: dict[str, Any] = GOOD
    for _ in range(depth):
        data = GOOD | {key: data if key == "cause" else [data]}
    if depth == 2 * LONGEST_CHAIN:
        assert read_account(data) == data
    else:
        with pytest.raises(ValueError, match="too many"):
            read_account(data)


def test_an_account_without_end_is_refused() -> None:
    """A report may come from anywhere."""
    data: dict[str, Any] = GOOD
    for _ in range(100_000):
        data = GOOD | {"cause": data}
    with pytest.raises(ValueError, match="too many"):
        read_account(data)
