"""The begin of a step: from the name of its task to a coroutine, with an event of its own.

Knows:  the registry; the step and its run only to read from.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from .._loop.surroundings import surroundings
from .._model.event import sent_by
from .._model.logs import Log
from .._model.state import TASK_BEGIN
from .._step.holder import TaskHolder
from .._step.log_fields import log_fields
from .outcome import CalledOff
from .within import keep_within

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .._step.step import LiveStep
    from .run import Run

log: Log = Log("tukio.run")

# Looked up for every step: a method of what is a module's is bound each time.
surround: Callable[[tuple[LiveStep, Any]], object] = surroundings.set


def begin(step: LiveStep) -> Any:
    """Return the coroutine of a step, for the driver to run; tell that the step begins.

    Runs in the step's own context.

    Raises:
        UnknownTaskName: The task is not registered any more.
        BaseException: What the holder class or the call raised.
    """
    run: Run = step.run
    assert run.face is not None
    surround((step, run.face))
    coro: Any = None
    try:
        try:
            coro = _call(run, step)
        finally:
            # Also when the call raised: a step that is over has begun.
            if run.broker.has_listeners:
                run.emit(TASK_BEGIN, step.input_data, step)
            if run.announcement is not None:
                run.has_begun(step)
        topics = step.template._topics
        if topics or topics is None:
            step.mailbox.subscribe_as(step.template)
        return coro  # noqa: TRY300 - Ctrl-C may come here, too
    except BaseException:
        if coro is not None:
            # Without this, Python warns that nobody has awaited it.
            coro.close()
        raise


def _call(run: Run, step: LiveStep) -> Coroutine[Any, Any, Any]:
    """Return the coroutine of a step; for a holder class, make the holder first.

    Raises:
        CalledOff: The step was cancelled while it was due.
        UnknownTaskName: The task is not registered any more.
        Exception: What the holder class or the call raised.
    """
    if step.cancel_called:
        raise CalledOff
    if step.template._retry is not None:
        keep_within(run, step)
    name = step.template.name
    try:
        holder_class, function = run.environment.registry.tasks[name]
    except (KeyError, TypeError):
        holder_class, function = run.environment.registry.get(name)
    parent: Any = step.parent
    event = run.first_event(step) if parent is None else sent_by(parent, step.input_data)
    try:
        if holder_class is None:
            return function(event)
        config = step.template._config
        step.holder = holder = holder_class(deepcopy(config) if config else {})
        _agree_on_id(holder, step)
        _hand_queue_to(holder, step)
        return function(holder, event)
    except StopIteration as error:
        # It would look like the end of the coroutine.
        msg = f"task {step.template.uid!r} raised StopIteration before it began"
        raise RuntimeError(msg) from error


def _agree_on_id(holder: Any, step: LiveStep) -> None:
    """Give a step and its holder one id: the one that was shown, or the choice of the holder."""
    extras = step._extras
    if extras is None or extras.uid is None:
        return
    if isinstance(holder, TaskHolder) and getattr(holder, "_uid", "") is None:
        holder.uid = extras.uid
    else:
        extras.uid = None


def _hand_queue_to(holder: Any, step: LiveStep) -> None:
    try:
        holder.queue = step.mailbox.queue
    except AttributeError:
        uid, extra = step.template.uid, log_fields(step.run, step)
        log.debug("holder of task '%s' takes no queue", uid, extra=extra)
