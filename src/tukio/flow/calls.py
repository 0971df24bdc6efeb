"""How the function of a task is called in the event loop, or in a thread, and with what.

Owns:   the coroutine function that is registered for a task of code form.

A function that takes an event and returns data is registered as it is, and costs nothing more.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from .._loop.coroutines import EscapedExit
from .._model.candidate import NO_CODE, find_misfit, place_of
from .inputs import returns_data, taker_of
from .limits import Limit
from .outputs import dumped

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .inputs import Take
    from .limits import Limiter

    Function = Callable[[Any], Coroutine[Any, Any, Any]]

YIELDS: Final = (
    "yields like a generator, so its body would not run - hand its result over by 'return'"
)

_never_called: Any = print
MANAGERS: Final = (
    contextmanager(_never_called).__code__,
    asynccontextmanager(_never_called).__code__,
)
"""The code of what `contextmanager` makes of a generator function: a call of it runs no body."""


def in_loop(function: Any) -> Function:
    """Return what is registered for a coroutine function."""
    take = taker_of(function)
    if take is None and returns_data(function):
        registered: Function = function
        return registered

    async def call(event: Any) -> Any:
        return dumped(await function(event if take is None else take(event)))

    return named_as(function, call)


def in_thread(function: Any, limiter: Limiter) -> Function:
    """Return what is registered for a function that is called in a thread."""
    take = take_of_plain(function, "thread=True")
    limit = Limit(limiter)

    def there(value: Any) -> list[Any]:
        try:
            # In a list, for trio raises an error of its own about a coroutine.
            return [function(value)]
        except GeneratorExit as exit_:
            # Out of an await, that would say that whoever awaits is being closed.
            raise EscapedExit(exit_) from exit_

    async def call(event: Any) -> Any:
        value = event if take is None else take(event)
        # Waited for, also when the step is cancelled: nothing of it is at work when it is over.
        [result] = await anyio.to_thread.run_sync(there, value, limiter=limit.here())
        return dumped(result)

    return named_as(function, call)


def take_of_plain(function: Any, option: str) -> Take | None:
    """Return the taker of a function that is to be called in a thread or process.

    Raises:
        TypeError: It is a coroutine function or a generator function, or no function at all, or
            cannot be called with one argument.
    """
    place = place_of(function)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        msg = f"{place} is async, and runs in the event loop - leave out {option}"
        raise TypeError(msg)
    if not hasattr(function, "__code__"):
        msg = f"{place} {NO_CODE.replace('async def', 'def')}"
        raise TypeError(msg)
    if inspect.isgeneratorfunction(function) or function.__code__ in MANAGERS:
        msg = f"{place} {YIELDS}"
        raise TypeError(msg)
    if (misfit := find_misfit(function, is_method=False)) is not None:
        msg = f"{place} {misfit}"
        raise TypeError(msg)
    return taker_of(function)


def named_as(function: Any, call: Any) -> Function:
    """Return what is registered, which shows as the function does."""
    registered: Function = functools.wraps(function)(call)
    code = call.__code__
    # One of its own for each: the registry knows tasks by their code.
    call.__code__ = code.replace(co_name=function.__name__, co_qualname=function.__qualname__)
    return registered
