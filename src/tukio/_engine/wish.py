"""The wishes of a caller for a run that is started, and whether a run is that of a start."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._model.changes import own
from .._model.edition import is_same
from .._model.event import Event
from .._model.policy import OverrunPolicy
from .._model.shape import shape_of
from .._run.appointment import appoint

if TYPE_CHECKING:
    from datetime import datetime

    from .._model.template import WorkflowTemplate
    from .._run.run import Run


class Wish(NamedTuple):
    """What a caller wishes of a run beside its template and data.

    Attributes:
        uid: The id of the run; None for a new one.
        policy: The overrun policy; None for that of the template.
        deadline: When the run ends at the latest, aware UTC; None for no such instant.
    """

    uid: str | None = None
    policy: OverrunPolicy | None = None
    deadline: datetime | None = None

    def fulfil(self, run: Run, event: Event) -> None:
        """Have a new run, to be started with an event, as the caller wishes it."""
        if self.uid is not None:
            run._uid = self.uid
            # A copy: tasks and the caller share the nested values of the event, and may change them
            # before the same start comes again.
            run._given = own(event.data)
        if self.policy is not None:
            run.locked = self.policy is OverrunPolicy.SKIP_UNTIL_UNLOCK
        if self.deadline is not None:
            appoint(run, self.deadline)


def policy_for(template: WorkflowTemplate, wish: Wish | None) -> OverrunPolicy:
    """Return the overrun policy that decides about a start: the wish of the caller comes first."""
    return template.policy if wish is None or wish.policy is None else wish.policy


def is_start_of(run: Run, template: WorkflowTemplate, event: Event) -> bool:
    """Return whether a run has the template and the data of a start."""
    shape, trigger = shape_of(template), run._trigger
    ours, theirs = shape.edition, run.plan.shape.edition
    if ours is not theirs and not is_same([ours.describe()], [theirs.describe()]):
        return False
    if not isinstance(trigger, Event):
        return False
    # The data is the user's, and may refuse to be compared.
    return is_same([trigger.data if run._given is None else run._given], [event.data])
