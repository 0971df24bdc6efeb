"""What comes out of async code, as pytest can go on with it.

Owns:   the outcome that a group of exceptions stands for, and what an exception of a fixture
        becomes.

`pytest.skip`, `fail` and `exit`, and what `pytest.raises` fails with, are exceptions, and out of a
task group they come as a group, which pytest knows nothing of. Behind a fixture that raises what
pytest does not know, pytest cleans up nothing more: later tests get what earlier ones had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from .._model.guard import leaves_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_EXIT: type[BaseException] = pytest.exit.Exception
_FAILED: type[BaseException] = pytest.fail.Exception
_XFAILED: type[BaseException] = pytest.xfail.Exception
_NOT_RUN: tuple[type[BaseException], ...] = (pytest.skip.Exception, _XFAILED)
# What pytest goes on after, and Ctrl-C, which ends the session. A `SystemExit` does not.
_KNOWN: tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt, _FAILED, *_NOT_RUN)


def outcome_of(error: BaseException) -> BaseException | None:
    """Return the outcome that an exception stands for; None if it stands for itself alone.

    Args:
        error: The exception. Of a group, what ends the session goes first, then a failure. A group
            is a skipped test only if nothing else is in there.
    """
    if not isinstance(error, BaseExceptionGroup):
        return None
    leaves = leaves_of(error)
    exits = [leaf for leaf in leaves if isinstance(leaf, _EXIT)]
    not_run = [leaf for leaf in leaves if isinstance(leaf, _NOT_RUN)]
    # An expected failure is a failure, too, to Python.
    failures = [leaf for leaf in leaves if isinstance(leaf, _FAILED) and leaf not in not_run]
    if len(not_run) == len(leaves):
        return not_run[0]
    return next(iter(exits + failures), None)


def called(call: Callable[[], T]) -> T:
    """Call a function, and return its result.

    Raises:
        BaseException: What the function raised; of a group, the outcome that it stands for.
    """
    __tracebackhide__ = True
    try:
        return call()
    except BaseExceptionGroup as group:
        outcome = outcome_of(group)
        if outcome is None:
            raise
        raise outcome from group


def called_for_fixture(call: Callable[[], T], name: str | None) -> T:
    """Call a function for a fixture, and return its result.

    Args:
        call: The function.
        name: The name of the fixture.

    Raises:
        Exception: What the function raised.
        BaseException: An outcome of pytest, or `KeyboardInterrupt`.
        RuntimeError: The function raised anything else, which is the cause.
    """
    __tracebackhide__ = True
    try:
        return called(call)
    except _KNOWN:
        raise
    # No loop runs here: what is cancelled has been.
    except BaseException as error:  # noqa: ASYNC103 - see above
        msg = f"fixture {name!r} raised {type(error).__name__}: {error}"
        raise RuntimeError(msg) from error  # noqa: ASYNC104 - likewise
