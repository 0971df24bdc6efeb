"""Steps that listen to topics, and what came into their queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.flow import flow

if TYPE_CHECKING:
    import tukio


def with_topics(topics: list[str] | None, **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template whose only task, `a`, has topics."""
    template = flow("a", **fields)
    template.tasks[0].topics = topics
    return template


def drain(step: tukio.TaskRun) -> list[Any]:
    """Return what is in the queue of a step: the numbers, or the types of execution events."""
    events = [step.queue.get_nowait() for _ in range(step.queue.qsize())]
    return [event.data.get("n", event.data.get("type")) for event in events]
