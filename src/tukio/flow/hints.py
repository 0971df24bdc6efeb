"""Annotations that are texts: what they mean where a function or a class is defined.

Owns:   which names are looked at: those of the module, and, as long as it is being executed, those
        of the function around.
"""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from typing import TYPE_CHECKING, Any

from .._model.candidate import place_of
from .._model.display import shown
from .places import caller
from .wrong import words_of

if TYPE_CHECKING:
    from types import FrameType


def plain_function(function: Any) -> Any:
    """Return the function that has the code: without wrappers, and what they are made of."""
    try:
        plain = inspect.unwrap(function)
    except ValueError:
        plain = function  # it wraps itself
    while isinstance(plain, functools.partial):
        plain = plain.func
    if not hasattr(plain, "__globals__"):
        plain = getattr(type(plain), "__call__", plain)  # noqa: B004 - it is not called
    return plain


def meaning_in(function: Any, written: Any) -> Any:
    """Return what an annotation means where a function is defined.

    Raises:
        Exception: Any, for the text may be any.
    """
    plain = plain_function(function)
    home = getattr(plain, "__globals__", {})
    names = {one.__name__: one for one in getattr(plain, "__type_params__", ())}
    names |= _names_around(
        getattr(plain, "__qualname__", ""), lambda frame: frame.f_globals is home
    )
    return _meaning(written, home, names)


def hints_of(kind: Any) -> dict[str, Any]:
    """Return what the annotations of a class mean, by the names of its fields.

    Raises:
        TypeError: One of them means nothing.
    """
    names = local_names_of(kind)
    try:
        return typing.get_type_hints(kind, None, names or None, include_extras=True)
    except Exception as error:
        field, problem = _first_problem(kind, names) or ("?", problem_of(error))
        msg = f"{place_of(kind)}: the annotation of its field {field!r} {problem}"
        raise TypeError(msg) from error


def local_names_of(kind: Any) -> dict[str, Any]:
    """Return the local names of the function around a class, if it is still being executed."""
    module, qualname = kind.__module__, kind.__qualname__
    if "." not in qualname:
        return {}
    return _names_around(qualname, lambda frame: frame.f_globals.get("__name__") == module)


def meaning_of_alias(alias: Any) -> Any:
    """Return the type that a name stands for, as by `type Name = ...`.

    Raises:
        TypeError: It means nothing.
    """
    home = sys.modules.get(alias.__module__)
    try:
        return _meaning(alias.__value__, vars(home) if home else {}, {})
    except Exception as error:
        msg = f"the type {alias.__name__} {problem_of(error)}"
        raise TypeError(msg) from error


def problem_of(error: Exception, named: str = "what") -> str:
    """Return what is wrong with an annotation, by what its evaluation has raised.

    Args:
        error: What it has raised.
        named: What it names, as the message shows it.
    """
    if isinstance(error, NameError | AttributeError):
        return f"names {named} is not there - define or import it before the task"
    return f"is no type: {words_of(error)}"


def _first_problem(kind: Any, names: dict[str, Any]) -> tuple[str, str] | None:
    """Return the first field with an annotation that means nothing, and what is wrong with it."""
    for base in kind.__mro__:
        for field, written in vars(base).get("__annotations__", {}).items():
            holder = {"__annotations__": {field: written}, "__module__": base.__module__}
            try:
                typing.get_type_hints(type("Holder", (), holder), None, names or None)
            except Exception as error:  # noqa: BLE001 - whatever a text does
                name = getattr(error, "name", None) or written
                return field, problem_of(error, f"{shown(name)}, which")
    return None


def _meaning(written: Any, home: dict[str, Any], names: dict[str, Any]) -> Any:
    holder = type("Holder", (), {"__annotations__": {"it": written}})
    return typing.get_type_hints(holder, home, names, include_extras=True)["it"]


def _names_around(qualname: str, is_home: typing.Callable[[FrameType], bool]) -> dict[str, Any]:
    """Return the local names of the functions that something is defined in, and still executed.

    Args:
        qualname: Its qualified name, which begins with theirs.
        is_home: Whether a frame is of its module.
    """
    found: dict[str, Any] = {}
    frame = caller()
    while frame is not None:
        if is_home(frame) and qualname.startswith(f"{frame.f_code.co_qualname}."):
            found = {**frame.f_locals, **found}
        frame = frame.f_back
    return found
