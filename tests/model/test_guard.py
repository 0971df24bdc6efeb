"""Small pieces of users' code: only the end of the program goes further."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from tukio._model.guard import attempt, call_all, leaves_of, program_end, split


def deep(error: BaseException, depth: int) -> BaseException:
    """Return a group in a group in a group, with an error in it."""
    for _ in range(depth):
        error = BaseExceptionGroup("deep", [LookupError(), error])
    return error


class LooksEmpty(BaseExceptionGroup[BaseException]):  # noqa: ASYNC126 - never split by itself
    """A group that says that it has nothing in it."""

    @property
    def exceptions(self) -> Any:
        """Raise instead."""
        raise asyncio.CancelledError


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("depth", [0, 1, 3, 20_000])
def test_the_leaves_of_a_group_decide_at_any_depth(kind: type[BaseException], depth: int) -> None:
    """Also where a recursion would come to its end."""
    error = kind()
    whole = deep(error, depth)
    assert program_end(whole) is error
    assert program_end(deep(LookupError(), depth)) is None

    def fail() -> None:
        raise whole

    with pytest.raises(BaseException) as caught:
        attempt(fail)
    assert caught.value is whole


def test_a_group_is_looked_into_whatever_its_class_says() -> None:
    """Its properties are the user's."""
    error = KeyboardInterrupt()
    assert program_end(LooksEmpty("", [ValueError(), error])) is error


def test_a_group_that_is_in_others_many_times_is_looked_into_once() -> None:
    """Otherwise a hundred of them, each twice in the next, would take for ever."""
    first, second = ValueError(), KeyError()
    whole: BaseExceptionGroup[BaseException] = BaseExceptionGroup("", [first, second])
    for _ in range(100):
        whole = BaseExceptionGroup("", [whole, first, whole])
    assert leaves_of(whole) == [first, second]
    assert program_end(whole) is None


@pytest.mark.parametrize("error", [ValueError(), asyncio.CancelledError(), GeneratorExit()])
def test_anything_else_is_returned(error: BaseException) -> None:
    """As what was raised, with no result."""

    def fail() -> None:
        raise error

    assert attempt(fail) == (None, error)
    assert attempt(divmod, 7, 2) == ((3, 1), None)


class Undividable(BaseExceptionGroup[BaseException]):
    """A group that cannot be split as groups are."""

    def derive(self, excs: Any) -> Any:
        """Fail, as does whoever splits this."""
        del excs
        raise ZeroDivisionError


CUT, WRONG, MORE = asyncio.CancelledError(), ValueError(), LookupError()


@pytest.mark.parametrize("make", [BaseExceptionGroup, Undividable])
def test_an_exception_is_split_by_kind(make: Any) -> None:
    """What has nothing of the kind stays as it is: the very same group."""

    def of(*errors: BaseException) -> Any:
        return make("", errors)

    def leaves(part: Any) -> Any:
        return part if part is None else list(part.exceptions)

    assert split(CUT, asyncio.CancelledError) == (CUT, None)
    assert split(WRONG, asyncio.CancelledError) == (None, WRONG)
    whole = of(WRONG, of(MORE))
    assert split(whole, asyncio.CancelledError) == (None, whole)
    both = [leaves(part) for part in split(of(CUT, WRONG, MORE), asyncio.CancelledError)]
    assert both == [[CUT], [WRONG, MORE]]
    both = [leaves(part) for part in split(of(CUT), asyncio.CancelledError)]
    assert both == [[CUT], None]


def test_a_group_that_is_too_deep_is_split_into_its_leaves() -> None:
    """And keeps all of them."""
    matching, rest = split(deep(CUT, 20_000), asyncio.CancelledError)
    assert isinstance(matching, BaseExceptionGroup)
    assert list(matching.exceptions) == [CUT]
    assert isinstance(rest, BaseExceptionGroup)
    assert len(rest.exceptions) == 20_000


def test_all_are_called_whatever_the_others_raise() -> None:
    """In order; what the last of them has raised goes on."""
    called: list[int] = []

    def call(number: int) -> None:
        called.append(number)
        if number % 2:
            raise SystemExit(number)

    with pytest.raises(SystemExit) as caught:
        call_all(functools.partial(call, number) for number in range(5))
    assert called == [0, 1, 2, 3, 4]
    assert caught.value.code == 3
    call_all([])
