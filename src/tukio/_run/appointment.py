"""The appointment of a run, and the instant by which a step ends at the latest.

Knows:  the run, whose deadline is the earlier one of its limit and its appointment.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._model.guard import attempt
from .._model.state import TIMED_OUT
from .ledger import Ledger
from .within import first_begin

if TYPE_CHECKING:
    from datetime import datetime

    from .._step.step import LiveStep
    from .run import Run


def appoint(run: Run, instant: datetime) -> None:
    """Have a run end at an instant, aware UTC, at the latest; called before its start."""
    run.ledger = run.ledger or Ledger()
    run.ledger.appointment = instant
    run._end_by(run.backend.instant(instant), TIMED_OUT)


def deadline_of(step: LiveStep) -> datetime | None:
    """Return the earliest of the instants that end a step, aware UTC; None if there is none."""
    run: Any = step.run
    earliest: float = run.deadline
    if step.started_at is not None:
        task = step.template
        if task.timeout:
            earliest = min(earliest, step.started_at + task.timeout)
        within = None if step._retry is None else step._retry.get("within")
        if within:
            earliest = min(earliest, first_begin(step) + within)
    if earliest == math.inf:
        return None
    # Some limits are beyond the calendar, and so as good as none.
    instant, _ = attempt(run.backend.wall_time, earliest)
    return instant  # type: ignore[no-any-return]  # `attempt` knows no types
