"""What random workflows say of the failure of a task, and of what is done at their end.

Owns:   the probabilities, as `strategies` does for the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from .actors import ACTOR, PROMPT_ACTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

Data: TypeAlias = dict[str, Any]

AFTER = ("stop", "abort", "output", "first", "last", "none")
"""What follows from the failure of a task: the handlers are some of its successors."""

LAST: Data = {"id": "last", "name": ACTOR, "config": {"seconds": 1}}
CLOSINGS: tuple[Data, ...] = (
    *({} for _ in range(6)),
    {"undo": {"name": PROMPT_ACTOR}},
    {"undo": {"name": ACTOR, "config": {"seconds": 2}, "begun": True}, "finally": [LAST]},
    {"undo": {"name": ACTOR, "config": {"ends": "error"}}, "finally": [LAST]},
    {"undo": {"name": ACTOR, "config": {"seconds": 9}, "timeout": 4}},
    {"undo": {"name": ACTOR, "config": {"seconds": 3}}, "finally": [LAST], "closing_timeout": 5},
    {"undo": {"name": ACTOR, "config": {"seconds": 1}}, "compensate_on": ["timeout"]},
    {
        "undo": {
            "name": ACTOR,
            "config": {"ends": "error"},
            "retry": {"attempts": 2, "jitter": "none"},
        }
    },
    {"finally": [LAST, {"id": "very last", "name": ACTOR, "config": {"ends": "text"}}]},
)
"""What a run still does when all else of it is over; `undo` is for each task."""

AFTER_FAILURES: tuple[tuple[str, int] | None, ...] = (
    *(None for _ in range(12)),
    *((word, every) for word in AFTER for every in (1, 2, 3)),
)
"""The same for several tasks at once: for all, or for every second or third; None is nothing."""


def after_failure(
    after: tuple[str, int] | None, place: int, uid: str, successors: Sequence[str]
) -> Data:
    """Return what follows from the failure of a task as a part of it, if its place is among some.

    Args:
        after: A word of `AFTER`, and how far apart those places are.
        place: The place of the task.
        uid: Its id.
        successors: The ids of those that follow it.
    """
    if after is None or place % after[1]:
        return {}
    match after[0]:
        case "output":
            return {"on_error": {"output": {"instead": uid}}}
        case "first":
            return {"on_error": {"to": list(successors[:1])}}
        case "last":
            return {"on_error": {"to": list(successors[-1:])}}
        case "none":
            return {"on_error": {"to": []}}
        case word:
            return {"on_error": word}


def closed(template: Data, closing: Data) -> Data:
    """Return a template that closes; what undoes a task, undoes each."""
    words = {key: value for key, value in closing.items() if key != "undo"}
    if "undo" not in closing:
        return template | words
    tasks = [task | {"compensate": closing["undo"]} for task in template["tasks"]]
    return template | words | {"tasks": tasks}
