"""The loaded templates, and which of them an event triggers.

Owns:   the loaded templates, by id and by topic.
Source: 1.x. The engine accepts any object with these methods instead; its `select` and `get` may be
        async.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .listen import Listen

if TYPE_CHECKING:
    from .template import WorkflowTemplate


class Selector:
    """The loaded templates.

    The templates that listen to a topic are found without a search through all templates.
    """

    def __init__(self) -> None:
        self._templates: dict[str, WorkflowTemplate] = {}
        # Template id -> the topics that the template is found by. Its own `topics` may have changed
        # since it was loaded.
        self._topics: dict[str, list[str | None]] = {}
        # Topic -> the templates that listen to it, by id; None stands for those that listen to
        # everything.
        self._by_topic: dict[str | None, dict[str, WorkflowTemplate]] = {}

    def load(self, template: WorkflowTemplate) -> None:
        """Add a template; one with the same id is replaced.

        Raises:
            TypeError: The template's `topics` is neither None nor a list. Nothing changes.
        """
        listen = template.listen
        if template.uid in self._templates:
            self.unload(template.uid)
        self._templates[template.uid] = template
        topics: list[str | None] = [None]
        if listen is not Listen.everything:
            topics = [*(template._topics or ())]
        self._topics[template.uid] = topics
        for topic in topics:
            self._by_topic.setdefault(topic, {})[template.uid] = template

    def unload(self, template_id: str) -> WorkflowTemplate:
        """Remove a template and return it.

        Raises:
            KeyError: No template with this id is loaded.
        """
        template = self._templates.pop(template_id)
        # A topic may be listed twice.
        for topic in dict.fromkeys(self._topics.pop(template_id)):
            templates = self._by_topic[topic]
            del templates[template_id]
            if not templates:
                del self._by_topic[topic]
        return template

    def clear(self) -> None:
        """Remove all templates."""
        self._templates.clear()
        self._topics.clear()
        self._by_topic.clear()

    def select(self, topic: str | None = None) -> list[WorkflowTemplate]:
        """Return the templates that an event of a topic triggers, in the order of their loading.

        Templates that listen to everything come first.
        """
        everything, own = self._by_topic.get(None), self._by_topic.get(topic)
        if everything is None or own is None or topic is None:
            return list((everything or own or {}).values())
        return list((everything | own).values())

    def all(self) -> list[WorkflowTemplate]:
        """Return the loaded templates, in the order of their loading."""
        return list(self._templates.values())

    def topics(self) -> list[str]:
        """Return the topics that templates listen to."""
        return [topic for topic in self._by_topic if topic is not None]

    def get(self, template_id: str) -> WorkflowTemplate | None:
        """Return the template with an id; None if no such template is loaded."""
        return self._templates.get(template_id)
