"""The place where small pieces of users' code are called, whatever they raise.

Owns:   what goes further: that which ends the program, in a group also, and nothing else.

A method of a user's class may raise anything: also the cancellation of something that has nothing
to do with the caller, or an exception that is no `Exception`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

exceptions_in: Final[Any] = vars(BaseExceptionGroup)["exceptions"].__get__
"""Returns the exceptions in a group. Not its attribute, which a subclass may have redefined."""


def program_end(exc: BaseException) -> BaseException | None:
    """Return what ends the program: a `KeyboardInterrupt` or `SystemExit`; None if there is none.

    Args:
        exc: That exception itself, or a group: then its leaves decide, at any depth.
    """
    known: set[int] = set()  # a group may be in others many times
    waiting = [exc]
    while waiting:
        error = waiting.pop()
        if isinstance(error, KeyboardInterrupt | SystemExit):
            return error
        if isinstance(error, BaseExceptionGroup) and id(error) not in known:
            known.add(id(error))
            waiting += reversed(exceptions_in(error))
    return None


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
