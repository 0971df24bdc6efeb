"""The decorator that registers a function as a predicate: `tukio.predicate`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .registry import registry_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from .registry import Registry

Asked = TypeVar("Asked", bound="Callable[..., object]")


@overload
def predicate(name: Asked, /) -> Asked: ...


@overload
def predicate(
    name: str | None = ..., *, registry: Registry | None = ...
) -> Callable[[Asked], Asked]: ...


def predicate(name: Any = None, *, registry: Registry | None = None) -> Any:
    """Register a plain function as a predicate: templates name it where a question is asked.

        @tukio.predicate("is-transient")
        def is_transient(error):
            return isinstance(error, OSError) and error.errno != errno.ENOSPC

        {"id": "pay", "name": "pay", "retry": {"attempts": 5, "retry_if": "is-transient"}}

    It is called between two steps, and must return soon. Its answer is what is true of what it
    returns. Asked by `retry_if`, a function with two parameters is also given the number of the
    attempt that has failed.

    Args:
        name: The name that templates use. If it is left out, with or without the brackets, the
            predicate goes by the `__name__` of the function.
        registry: The registry; None is that of the process. An engine of one's own registry,
            `Engine(registry=...)`, looks up predicates in no other.

    Returns:
        The function itself, if it was given; otherwise a decorator.

    Raises:
        ValueError: (the decorator) The name is taken, or empty. Nothing was registered.
        TypeError: (the decorator) This is no plain function that can be called with one argument,
            or with two; or the name is no text. Or `registry` is no registry. Nothing was
            registered.
    """
    table = registry_for(registry).predicates
    if callable(name):
        return _add(name, table, None)
    return partial(_add, table=table, name=name)


def _add(function: Any, table: Any, name: str | None) -> Any:
    # What has no name of its own is refused for what it is, or has to be given one.
    table.add(getattr(function, "__name__", None) if name is None else name, function)
    return function
