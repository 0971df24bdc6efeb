"""Why the engine did not start a run, as a value and as an error."""

from __future__ import annotations

import enum
from typing import Final

from .changes import exact
from .display import shown
from .errors import WorkflowError

LONGEST_ID: Final = 200
"""The largest number of characters of an id that a caller gives a run."""


class Reason(enum.Enum):
    """Why the engine did not start a run."""

    UNKNOWN_TEMPLATE = "no template with this id is loaded"
    SKIPPED = "the overrun policy says to skip it while earlier runs are not over"
    STOPPING = "the engine is stopping"
    TOO_MANY_HOPS = "its data has come through too many runs, each started by the one before"
    FAULTY = "it could not be made, for the reason in the log"


ADVICE: Final = {
    Reason.UNKNOWN_TEMPLATE: "load it first, by await engine.load(template), or start the template",
    Reason.SKIPPED: "policy 'start-new' starts one each time; or wait for the run at work",
    Reason.STOPPING: "start it before the engine is stopped or left",
    Reason.TOO_MANY_HOPS: "mend the tasks that send data which starts their own workflow again",
    Reason.FAULTY: "mend what the log of 'tukio.engine' tells of",
}
"""What would help, for each reason."""


class NotStarted(WorkflowError):
    """No run was started; nothing has changed.

    Raised by `Engine.start`, and by a `Refusal` that is used as a run.

    Attributes:
        reason: The reason why no run was started.
        template_id: The id of the template.
    """

    def __init__(self, reason: Reason, template_id: str) -> None:
        super().__init__(reason, template_id)
        self.reason: Reason = reason
        self.template_id: str = template_id

    def __str__(self) -> str:
        return (
            f"workflow {shown(self.template_id)} was not started: {self.reason.value}"
            f" - {ADVICE[self.reason]}"
        )


class IdConflict(WorkflowError):
    """The id of a start is that of a run of other content; nothing was started.

    Attributes:
        uid: The id.
        template_id: The id of the template of the run that has this id.
    """

    def __init__(self, uid: str, template_id: str) -> None:
        super().__init__(uid, template_id)
        self.uid: str = uid
        self.template_id: str = template_id

    def __str__(self) -> str:
        return (
            f"id {shown(self.uid)} is that of a run of workflow {shown(self.template_id)} with"
            " another template or other data - give each start an id of its own"
        )


def id_from(given: object) -> str:
    """Return the id of a run that a caller gives.

    Raises:
        TypeError: It is no string.
        ValueError: It is empty, or longer than `LONGEST_ID` characters.
    """
    if not isinstance(given, str):
        msg = f"the id of a run must be a string, not {shown(given)}"
        raise TypeError(msg)
    uid: str = exact(given)
    if not 0 < len(uid) <= LONGEST_ID:
        msg = f"the id of a run must have 1 to {LONGEST_ID} characters, not {len(uid)}"
        raise ValueError(msg)
    return uid
