"""Detached copies of data, so that a report shares nothing with its run."""

from __future__ import annotations

from typing import Any

_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})


def detached(value: Any) -> Any:
    """Return a copy of data, with new dicts, lists, tuples and sets at every depth.

    All other objects are shared with the data, including instances of a user's subclass of dict,
    list, tuple or set.

    Raises:
        RecursionError: The data is nested too deeply.
    """
    return _detach(value, {}) if type(value) in _CONTAINERS else value


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
    if kind is dict or kind is list:
        # One fast copy, which is all that is needed for most data: it has no containers within.
        own = known[id(value)] = value.copy()
        for key, part in value.items() if kind is dict else enumerate(value):
            if type(part) in _CONTAINERS:
                own[key] = _detach(part, known)
    elif kind is tuple:
        own = known[id(value)] = tuple(
            [_detach(part, known) if type(part) in _CONTAINERS else part for part in value]
        )
    else:
        # The members of a set are hashable, and so have nothing within that could be changed.
        own = value.copy()
    return own
