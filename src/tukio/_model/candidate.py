"""What can be a task: a coroutine function that can be called with an event, or a class with one.

Owns:   the reasons for which a function or a class is refused when it is registered.

Refused is only what fails for certain, each time the task is run. Of an object that only behaves
like a function, nothing is known of how it can be called.
"""

from __future__ import annotations

import inspect
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from .display import LONGEST_LOGGED, escaped, listed, nearest, shown
from .guard import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

METHOD: Final = "execute"
"""The coroutine method of a holder class that names no other."""

NO_CODE: Final = (
    "has no code of its own, by which a task is known"
    " - define a function with 'async def', and call it there"
)

NO_EVENT: Final = "cannot be called with an event"


def resolve(
    coro_or_cls: Callable[..., Any], coro_name: str | None = None
) -> tuple[type | None, Callable[..., Any]]:
    """Return the holder class (None for a function) and the coroutine function of a task.

    Args:
        coro_or_cls: A coroutine function, or a class with a coroutine method.
        coro_name: The name of this method; None is `execute`. Ignored for a function.

    Raises:
        TypeError: The function or method is no coroutine function, or cannot be called with an
            event. Or the class has no `execute`, and no other method was named. Or the name of the
            method is no text.
        AttributeError: The class has no such method, or it is no function but behaves like one.
    """
    holder = coro_or_cls if inspect.isclass(coro_or_cls) else None
    function = coro_or_cls if holder is None else _method_of(holder, coro_name)
    name = place_of(function)
    if not inspect.iscoroutinefunction(function):
        msg = f"{name} is not a coroutine function{_instead_of(function)}"
        raise TypeError(msg)
    if not hasattr(function, "__code__"):
        msg = f"{name} {NO_CODE}"
        raise AttributeError(msg)
    if (misfit := find_misfit(function, is_method=holder is not None)) is not None:
        msg = f"{name} {misfit}"
        raise TypeError(msg)
    return holder, function


def place_of(thing: object) -> str:
    """Return where a function or class is defined: its module and qualified name.

    Of any other object, it is the `repr`.
    """
    if not isinstance(thing, type | FunctionType | BuiltinFunctionType | MethodType):
        return shown(thing)
    path, problem = attempt(_path_of, thing)
    return shown(thing) if problem is not None else escaped(path, LONGEST_LOGGED)


def _path_of(thing: Any) -> str:
    module = thing.__module__
    return f"{module}.{thing.__qualname__}" if module else str(thing.__qualname__)


def _method_of(holder: type, name: str | None) -> Any:
    """Return the method of a holder class that is its task."""
    if name is not None and not isinstance(name, str):
        msg = f"expected the name of a method, not {place_of(name)}"
        raise TypeError(msg)
    try:
        return getattr(holder, METHOD if name is None else name)
    except AttributeError as error:
        msg = f"class {place_of(holder)} has no method {shown(METHOD if name is None else name)} - "
        if name is None:
            msg += "define it, or name another one: @register('name', 'method')"
            raise TypeError(msg) from error
        members, _ = attempt(inspect.getmembers_static, holder, inspect.iscoroutinefunction)
        names = [member for member, _ in members or ()]
        msg += nearest(name, names) if names else "define it with 'async def'"
        raise AttributeError(msg) from error


def _instead_of(function: Any) -> str:
    """Return the way out for a function that is no coroutine function."""
    if inspect.isasyncgenfunction(function):
        return ", but yields like a generator - hand its result over by 'return'"
    wrapped, problem = attempt(inspect.unwrap, function)
    if problem is None and inspect.iscoroutinefunction(wrapped):
        around_it = "define a function with 'async def', and await it there"
        return f", though the one that it wraps is - {around_it}"
    return (
        " - define it with 'async def', and call what blocks in it"
        " by 'await anyio.to_thread.run_sync(...)'"
    )


def find_misfit(function: Any, *, is_method: bool) -> str | None:
    """Return why a task cannot be called with an event, and the way out; None if it may be.

    Args:
        function: A coroutine function, as it is called: a method gets the holder first.
        is_method: Whether it is of a holder class.
    """
    plain = function.__func__ if type(function) is MethodType else function
    if type(plain) is not FunctionType:
        return None
    # Not by its signature, which says what its author wishes: a wrapper has that of what it wraps.
    code = plain.__code__
    given = 1 + is_method + (plain is not function)
    names = code.co_varnames[: code.co_argcount]
    if len(names) < given and not code.co_flags & inspect.CO_VARARGS:
        parameters = "self, event" if is_method else "event"
        return f"{NO_EVENT} - write 'async def {plain.__name__}({parameters}): ...'"
    by_name = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    more = [
        *names[given : len(names) - len(plain.__defaults__ or ())],
        *(name for name in by_name if name not in (plain.__kwdefaults__ or ())),
    ]
    if not more:
        return None
    advice = f"give a default to {listed(more)}, or take it from the config of a holder class"
    if names[:1] == ("self",) and not is_method:
        advice = f"register its class: @register('name', {plain.__name__!r})"
    return f"{NO_EVENT} alone - {advice}"
