"""Detached copies of data, so that a report shares nothing with its run."""

from __future__ import annotations

from typing import Any

from .display import name_of
from .guard import attempt

_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})


def detached(value: Any) -> Any:
    """Return a copy of data, with new dicts, lists, tuples and sets at every depth.

    A dict of another class is copied by its own `copy()`; if that fails, the copy is a plain dict.
    All other objects are shared with the data, including instances of a user's subclass of list,
    tuple or set.

    Raises:
        RecursionError: The data is nested too deeply.
    """
    return _detach(value, {}) if _is_container(type(value)) else value


def _is_container(kind: type[Any]) -> bool:
    return kind in _CONTAINERS or issubclass(kind, dict)


def _detach(value: Any, known: dict[int, Any]) -> Any:
    """Copy a container.

    Args:
        value: The container.
        known: `id()` of each container met so far -> its copy, because data may contain itself.
    """
    if id(value) in known:
        return known[id(value)]
    kind = type(value)
    own: Any
    if kind not in _CONTAINERS:
        return _detach_kind_of_dict(value, known)
    if kind is dict or kind is list:
        # One fast copy, which is all that is needed for most data: it has no containers within.
        own = known[id(value)] = value.copy()
        for key, part in value.items() if kind is dict else enumerate(value):
            if _is_container(type(part)):
                own[key] = _detach(part, known)
    elif kind is tuple:
        own = known[id(value)] = tuple(
            [_detach(part, known) if _is_container(type(part)) else part for part in value]
        )
    else:
        # The members of a set are hashable, and so have nothing within that could be changed.
        own = value.copy()
    return own


def _detach_kind_of_dict(value: dict[Any, Any], known: dict[int, Any]) -> dict[Any, Any]:
    own, _ = dict_copied(value)
    known[id(value)] = own
    # Not by the methods of its own class, which may do anything else.
    for key, part in list(dict.items(own)):
        if _is_container(type(part)):
            dict.__setitem__(own, key, _detach(part, known))
    return own


def dict_copied(value: dict[Any, Any]) -> tuple[dict[Any, Any], str | None]:
    """Return a copy of a dict of any class, one level deep, and what was wrong with its own copy.

    The copy is of that class, by its own `copy()`; a plain dict if something was wrong with that,
    else None.

    Raises:
        KeyboardInterrupt, SystemExit: Raised by a method of a user's class.
    """
    own, error = attempt(_copy_of, value)
    if error is not None:
        problem = f"raised a {name_of(error)}"
    elif own is value:
        problem = "returned itself"
    elif not issubclass(type(own), dict):
        problem = f"returned a {type(own).__name__}"
    else:
        return own, None
    # Not by the methods of its own class.
    return dict(dict.items(value)), problem


def _copy_of(value: Any) -> Any:
    # The attribute, too, is the user's.
    return value.copy()
