"""Names that 1.x code imports from here."""

from __future__ import annotations

from ._events.broker import Broker
from ._events.exec_topics import EXEC_TOPIC, workflow_exec_topics
from ._run.topics import TopicManager, get_broker

__all__ = ["EXEC_TOPIC", "Broker", "TopicManager", "get_broker", "workflow_exec_topics"]
