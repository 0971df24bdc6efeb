"""The call of a task: from its name to a coroutine, with an event of its own.

Knows:  the registry; the step and its run only to read from.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..event import sent_by
from ..registry import TaskRegistry
from .holder import TaskHolder

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ..registry import Record
    from .run import TaskRun

# Looked up for every step.
registry: dict[Any, Record] = TaskRegistry.all()

log: logging.Logger = logging.getLogger(__name__)


class CalledOff(Exception):
    """A step was cancelled before it began."""


def call(step: TaskRun) -> Coroutine[Any, Any, Any]:
    """Return the coroutine of a step; for a holder class, make the holder first.

    Raises:
        CalledOff: The step was cancelled while it was due.
        UnknownTaskName: The task is not registered any more.
        Exception: What the holder class or the call raised.
    """
    if step.cancel_called:
        raise CalledOff
    name = step.template.name
    try:
        holder_class, function = registry[name]
    except (KeyError, TypeError):
        holder_class, function = TaskRegistry.get(name)
    parent: Any = step.parent
    event = step.run.root_event() if parent is None else sent_by(parent, step.input_data)
    try:
        if holder_class is None:
            return function(event)
        config = step.template.config
        step.holder = holder = holder_class(deepcopy(config) if config else {})
        _agree_on_id(holder, step)
        _hand_queue_to(holder, step)
        return function(holder, event)
    except StopIteration as error:
        # It would look like the end of the coroutine.
        msg = f"task {step.template.uid!r} raised StopIteration before it began"
        raise RuntimeError(msg) from error


def _agree_on_id(holder: Any, step: TaskRun) -> None:
    """Have one id with the holder: the one that was looked at, or the holder's own choice."""
    ties = step._ties
    if ties is None or ties.uid is None:
        return
    if isinstance(holder, TaskHolder) and getattr(holder, "_uid", "") is None:
        holder.uid = ties.uid
    else:
        ties.uid = None


def _hand_queue_to(holder: Any, step: TaskRun) -> None:
    try:
        holder.queue = step.queue
    except AttributeError:
        log.debug("holder of task %r takes no queue", step.template.uid)
