"""The place where small pieces of users' code are called, whatever they raise.

Owns:   what goes further: that which ends the program, in a group also, and nothing else.

A method of a user's class may raise anything: also the cancellation of something that has nothing
to do with the caller, or an exception that is no `Exception`.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType

Function = TypeVar("Function", bound="Callable[..., Any]")

EXPOSED: Final[set[CodeType]] = set()
"""The code of the functions that call users' code: see `exposed`."""

ENDS: Final = (KeyboardInterrupt, SystemExit)
"""What ends the program."""

ROOM: Final = 100
"""The number of frames that are enough to cancel, suspend or stop anything."""

exceptions_in: Final[Any] = vars(BaseExceptionGroup)["exceptions"].__get__
"""Returns the exceptions in a group. Not its attribute, which a subclass may have redefined."""


def exposed(function: Function) -> Function:
    """Mark a function that calls users' code, and return it.

    Ctrl-C must be able to cut users' code, which may never end, and with it the function that calls
    it. A backend that can hold Ctrl-C back spares the rest of the package, and not these.
    """
    # A decorator between the two, as `sequential`, names the function that it is about.
    inner = getattr(function, "__wrapped__", function)
    EXPOSED.add(inner.__code__)
    return function


def program_end(exc: BaseException) -> BaseException | None:
    """Return what ends the program: a `KeyboardInterrupt` or `SystemExit`; None if there is none.

    Args:
        exc: That exception itself, or a group: then its leaves decide, at any depth.
    """
    if isinstance(exc, BaseExceptionGroup):
        return next((leaf for leaf in leaves_of(exc) if isinstance(leaf, ENDS)), None)
    return exc if isinstance(exc, ENDS) else None


def leaves_of(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    """Return the exceptions of a group that are no groups, each once, at any depth."""
    leaves: list[BaseException] = []
    known: set[int] = set()  # a group may be in others many times
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if id(error) in known:
            continue
        known.add(id(error))
        if isinstance(error, BaseExceptionGroup):
            waiting += reversed(exceptions_in(error))
        else:
            leaves.append(error)
    return leaves


def split(
    exc: BaseException, kind: type[BaseException]
) -> tuple[BaseException | None, BaseException | None]:
    """Return the part of an exception that is of some kind, and the rest; each None if empty.

    A group without any leaf of that kind is left as it is. Otherwise each part keeps the class and
    the form of the group, as when it is split for `except*`. Where that fails, because the group is
    too deep or of a user's class, each part is a plain group of leaves.

    Args:
        exc: The exception, or a group.
        kind: The kind of exceptions that the first part is of.
    """
    if not isinstance(exc, BaseExceptionGroup):
        return (exc, None) if isinstance(exc, kind) else (None, exc)
    leaves = leaves_of(exc)
    matching = [leaf for leaf in leaves if isinstance(leaf, kind)]
    if not matching:
        return None, exc
    # Not its own `split`, which a subclass may have redefined; `derive` is called all the same.
    parts, problem = attempt(BaseExceptionGroup.split, exc, kind)
    if problem is None:
        return parts  # type: ignore[no-any-return]  # as it says above
    message, rest = "parts of a group", [leaf for leaf in leaves if not isinstance(leaf, kind)]
    others = BaseExceptionGroup(message, rest) if rest else None
    return BaseExceptionGroup(message, matching), others


@exposed
def attempt(function: Callable[..., Any], *args: Any) -> tuple[Any, BaseException | None]:
    """Call a function that never waits; return its result, and what it raised.

    Raises:
        BaseException: What the function raised, if it ends the program.
    """
    try:
        return function(*args), None
    # It is the user's synchronous code: the cancellation of a caller never comes this way.
    except BaseException as error:  # noqa: ASYNC103 - see above
        if program_end(error) is not None:
            raise
        return None, error  # noqa: ASYNC104 - see above


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Call some functions in order: each of them, also when one before it has ended the program.

    Args:
        calls: The functions; all are taken before the first one is called.

    Raises:
        BaseException: What the last of those has raised that have raised anything. All were called.
    """
    with ExitStack() as stack:
        # What is put on last is called first.
        for call in reversed([*calls]):
            stack.callback(call)


def make_sure_of_room(frames: int = ROOM) -> None:
    """Raise `RecursionError` now if fewer frames than these are left on the stack.

    Called before what must be done as a whole: a caller deep in a recursion of its own would else
    be told halfway, and the rest be left undone.

    Raises:
        RecursionError: Fewer are left. Nothing has been done.
    """
    if frames:
        make_sure_of_room(frames - 1)
