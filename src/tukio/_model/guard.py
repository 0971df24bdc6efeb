"""The place where small pieces of users' code are called, whatever they raise.

Owns:   what goes further: that which ends the program, and nothing else.

A method of a user's class may raise anything: also the cancellation of something that has nothing
to do with the caller, or an exception that is no `Exception`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def attempt(function: Callable[..., Any], *args: Any) -> tuple[Any, BaseException | None]:
    """Call a function that never waits; return its result, and what it raised.

    Raises:
        KeyboardInterrupt, SystemExit: Raised by the function.
    """
    try:
        return function(*args), None
    except (KeyboardInterrupt, SystemExit):
        raise
    # It is the user's synchronous code: the cancellation of a caller never comes this way.
    except BaseException as error:  # noqa: ASYNC103, BLE001 - see above
        return None, error  # noqa: ASYNC104 - see above
