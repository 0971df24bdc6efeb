"""Data made one's own, and errors as data: a report shares nothing with its run."""

from __future__ import annotations

from typing import Any

from .errors import RecordedError

_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})


def detached(value: Any) -> Any:
    """Return data with dicts, lists, tuples and sets of its own, at every depth.

    Other objects, kinds of dict and so on of the user's own among them, are shared.

    Raises:
        RecursionError: It is nested too deeply.
    """
    return _detach(value, {}) if type(value) in _CONTAINERS else value


def described(error: BaseException) -> dict[str, str]:
    """Return an error as a report shows it: its `type` and `message`."""
    if isinstance(error, RecordedError):
        return {"type": error.kind, "message": error.message}
    name = type(error).__qualname__
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a report is taken whatever the task raised
        message = f"<a {name} that cannot be shown>"
    return {"type": name, "message": message}


def _detach(value: Any, known: dict[int, Any]) -> Any:
    """Copy a container.

    Args:
        value: The container.
        known: Id of each container met so far -> its copy: data may contain itself.
    """
    if id(value) in known:
        return known[id(value)]
    kind = type(value)
    own: Any
    if kind is dict or kind is list:
        # Mostly there are no containers within: then this is all there is to do.
        own = known[id(value)] = value.copy()
        for key, part in value.items() if kind is dict else enumerate(value):
            if type(part) in _CONTAINERS:
                own[key] = _detach(part, known)
    elif kind is tuple:
        own = known[id(value)] = tuple(
            [_detach(part, known) if type(part) in _CONTAINERS else part for part in value]
        )
    else:
        # What is in a set can be hashed, and so holds nothing that could be changed.
        own = value.copy()
    return own
