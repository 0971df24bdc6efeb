"""Tasks of code form in the words `compensate` and `finally_`, as documents have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.closing_words import COMPENSATION, TASK_OF_FINALLY
from .._model.display import listed, shown
from .chain import Chain

if TYPE_CHECKING:
    from collections.abc import Sequence


def as_compensation(value: Any) -> Any:
    """Return what undoes a task, as data: a task stands for its name, and for what it says.

    Raises:
        TypeError: It is a chain of several tasks, or says what is not for an undo.
    """
    if not isinstance(value, Chain):
        return value
    document = _alone(value, "compensate", COMPENSATION)
    del document["id"]
    return document["name"] if len(document) == 1 else document


def as_finals(values: Any) -> Any:
    """Return the tasks that come last, as data.

    Raises:
        TypeError: One is a chain of several tasks, or says what is not for such a task.
    """
    if not isinstance(values, list | tuple):
        return values
    tasks: Sequence[Any] = values
    return [
        _alone(one, "finally_", TASK_OF_FINALLY) if isinstance(one, Chain) else one for one in tasks
    ]


def _alone(chain: Chain[Any, Any], word: str, known: Sequence[str]) -> dict[str, Any]:
    """Return the document of the only task of a chain."""
    if len(chain.heads) != 1 or chain.heads != chain.tails:
        msg = f"{word} takes single tasks, not a chain of several - give one by one"
        raise TypeError(msg)
    document = dict(chain.heads[0].document)
    if others := [key for key in document if key not in ("id", *known)]:
        msg = f"{word} got a task with {shown(others[0])} - such a task has only {listed(known)}"
        raise TypeError(msg)
    return document
