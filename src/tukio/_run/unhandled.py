"""What the tasks of a run have raised, but for that which the run has gone on from.

Knows:  the run and its steps, to read from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.guard import exceptions_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._step.step import LiveStep
    from .run_state import RunState


def unhandled_errors(run: RunState, steps: Sequence[LiveStep | None]) -> dict[str, BaseException]:
    """Return what the tasks of a run have raised, but for that which the run has gone on from."""
    errors = {**run.errors}
    for step in steps if errors else ():
        if step is not None and step._is_handled():
            rest = _without_handled(step, errors.pop(step.template.uid))
            if rest is not None:
                errors[step.template.uid] = rest
    return errors


def _without_handled(step: LiveStep, error: BaseException) -> BaseException | None:
    """Return the errors of a task but for the one that the run goes on from; None if that is all.

    There may be those of its clean-up beside it.
    """
    handled = step.extras.handled
    if error is handled:
        return None
    if not isinstance(error, BaseExceptionGroup):
        # Of a report, which tells of them as one.
        return error
    rest = [one for one in exceptions_in(error) if one is not handled]
    return rest[0] if len(rest) == 1 else BaseExceptionGroup(error.message, rest)
