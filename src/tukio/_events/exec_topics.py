"""The topics of execution events: one for those of all runs, and one for each run."""

from __future__ import annotations

EXEC_TOPIC = "__exec_topic__"
"""The topic of execution events."""


def workflow_exec_topics(uid: str) -> tuple[str, str]:
    """Return the topics that the execution events of one run are dispatched in."""
    return EXEC_TOPIC, f"{EXEC_TOPIC}/{uid}"


def is_exec_topic(topic: str) -> bool:
    """Return whether a topic is one of execution events."""
    return topic == EXEC_TOPIC or topic.startswith(f"{EXEC_TOPIC}/")
