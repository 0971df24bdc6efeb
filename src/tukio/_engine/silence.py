"""Data that starts nothing is told of in the log: why, and what would help.

Owns:   how often that happened, for each topic and each template.

Each is told of at the first time, and then at powers of ten: a program may go on like this. Of very
many topics or templates, only the first few are told of each by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._model.display import nearest
from .._model.logs import Log
from .._model.policy import OverrunPolicy
from .._model.selector import Selector
from .counts import Counts
from .hops import MOST_HOPS

if TYPE_CHECKING:
    from .._model.template import WorkflowTemplate

log: Log = Log("tukio.engine")

HELPS: Final = {
    OverrunPolicy.SKIP: "policy 'start-new' starts one each time",
    OverrunPolicy.SKIP_UNTIL_UNLOCK: "the run at work must be unlocked first, by run.unlock()",
}
"""What would help where a policy has refused to start a run; the others never do."""


class Silence:
    """Counts data that starts nothing, and tells of it."""

    __slots__ = ("_loops", "_templates", "_topics")

    def __init__(self) -> None:
        self._topics: Counts = Counts()
        self._templates: Counts = Counts()
        self._loops: Counts = Counts()

    def nobody_listens(self, topic: str | None, selector: Any) -> None:
        """Called when data of a topic has started nothing, and nothing else got it.

        Args:
            topic: The topic; None if there was none.
            selector: Holds the templates; only an engine's own tells what they listen to.
        """
        count = self._topics.add(topic)
        if count and topic is None:
            log.warning(
                "data without a topic has started nothing, %s - name the topic of a"
                " template, or load one that listens to everything, by topics: null",
                count,
            )
        elif count:
            known = selector.topics() if isinstance(selector, Selector) else []
            advice = nearest(topic, known) if known else "no loaded template has a topic"
            log.warning(
                "nobody listens to topic %s, %s, and its data has started nothing - %s",
                topic,
                count,
                advice,
            )

    def skipped(self, template: WorkflowTemplate, policy: OverrunPolicy) -> None:
        """Called when a policy has refused to start a run.

        Args:
            template: The template.
            policy: The policy: that of the template, or the one that a caller gave in its place.
        """
        count = self._templates.add(template.uid)
        if count:
            log.warning(
                "workflow %s was not started, %s: policy '%s' starts none while an"
                " earlier run is not over - %s",
                template.uid,
                count,
                policy.value,
                HELPS[policy],
                extra={"tukio_template": template.uid},
            )

    def too_many_hops(self, template: WorkflowTemplate) -> None:
        """Called when data that would start a run has come through too many runs."""
        count = self._loops.add(template.uid)
        if count:
            log.warning(
                "workflow %s is started by its own runs, %s refused: the data has come through more"
                " than %d, each started by a task of the one before - mend what starts it again",
                template.uid,
                count,
                MOST_HOPS,
                extra={"tukio_template": template.uid},
            )


def templates_of(selector: Any, topic: str | None) -> list[WorkflowTemplate]:
    """Return the templates that would start a run, if the engine did not stop.

    Args:
        selector: Holds the templates. One of the user's own is not asked: what it needs may be
            closed by now.
        topic: The topic of the data.
    """
    return selector.select(topic) if isinstance(selector, Selector) else []


def warn_of(template: WorkflowTemplate) -> None:
    """Tell of what is likely a mistake in a template that was loaded."""
    warnings = template.warnings()
    if warnings:
        path, problem, advice, *_ = warnings[0]
        more = f"; {len(warnings) - 1} more in template.warnings()" if warnings[1:] else ""
        log.warning(
            "workflow %s, %s: %s - %s%s",
            template.uid,
            path,
            problem,
            advice,
            more,
            extra={"tukio_template": template.uid},
        )
