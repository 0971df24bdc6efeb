"""Why the engine did not start a run."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal


class Reason(enum.Enum):
    """Why the engine did not start a run."""

    UNKNOWN_TEMPLATE = "no template with this id is loaded"
    SKIPPED = "the overrun policy says to skip it while earlier runs are not over"
    STOPPING = "the engine is stopping"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Returned instead of a run when none was started; a refusal is falsy.

    Attributes:
        reason: The reason why no run was started.
        template_id: The id of the template.
    """

    reason: Reason
    template_id: str

    def __bool__(self) -> Literal[False]:
        return False

    def __str__(self) -> str:
        return f"workflow {self.template_id!r} was not started: {self.reason.value}"
