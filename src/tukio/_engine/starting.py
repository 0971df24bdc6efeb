"""The start of runs, as their templates and callers wish it.

Owns:   whether a start is refused, and what the log tells of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.guard import attempt
from .._model.logs import Log
from .._model.not_started import IdConflict, Reason
from .hops import MOST_HOPS
from .silence import Silence
from .templates import Templates
from .wish import is_start_of, policy_for

if TYPE_CHECKING:
    from .._model.event import Event
    from .._model.registry import Registry
    from .._model.template import WorkflowTemplate
    from .._run.workflow import Workflow
    from .refusal import Refusal
    from .wish import Wish

log: Log = Log("tukio.engine")


class Starting(Templates):
    """The base class of `Engine` that starts runs.

    Args:
        selector: As for `Templates`.
        loop: Likewise.
        registry: Likewise.
        cleanup_timeout: Likewise.

    Raises:
        ValueError: `cleanup_timeout` is not a positive number.
    """

    def __init__(
        self, selector: Any, loop: Any, registry: Registry | None, cleanup_timeout: float
    ) -> None:
        super().__init__(selector, loop, registry, cleanup_timeout)
        self._silence: Silence = Silence()

    def _try_safely(self, template: WorkflowTemplate, event: Event) -> Workflow | Refusal:
        """Try to run a template that a selector chose.

        An exception is logged, because a template that cannot run must not stop the others.
        """
        try:
            # All runs share the event. It is never changed: each root task gets a copy of its own.
            return self._try_run(template, event)
        except Exception:
            # A selector of the user's own may have chosen anything.
            kind, (uid, _) = type(template).__name__, attempt(getattr, template, "uid", None)
            extra = {"tukio_template": uid}
            log.exception("cannot start a run of <%s uid=%s>", kind, uid, extra=extra)
            return self._refuse(Reason.FAULTY, uid)

    def _try_run(
        self, template: WorkflowTemplate, event: Event, wish: Wish | None = None
    ) -> Workflow | Refusal:
        """Start a run as the overrun policy says, without an await between decision and act."""
        if self._stopping:
            return self._refuse(Reason.STOPPING, template.uid)
        if event._hops > MOST_HOPS:
            return self._refuse_hops(template)
        workflow = self._instances.start(template, event, self._binding.new_workflow, wish)
        if workflow is None:
            self._silence.skipped(template, policy_for(template, wish))
            return self._refuse(Reason.SKIPPED, template.uid)
        return workflow

    def _refuse_hops(self, template: WorkflowTemplate) -> Refusal:
        """Refuse data that has come through too many runs."""
        self._silence.too_many_hops(template)
        return self._refuse(Reason.TOO_MANY_HOPS, template.uid)

    def _known(self, uid: str, template: WorkflowTemplate, event: Event) -> Workflow | None:
        """Return the run with an id that a caller gives another run; None if there is none.

        Raises:
            IdConflict: That run has another template or other data.
        """
        run = self._instances.get(uid)
        if run is None:
            return None
        if not is_start_of(run, template, event):
            raise IdConflict(uid, run.template.uid)
        return self.get(uid)
