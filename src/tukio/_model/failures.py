"""The failure of a whole run, made of the errors of its tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .display import name_of, text_of
from .errors import TukioError, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WorkflowFailed(ExceptionGroup[Exception], WorkflowError):
    """A workflow ended because of errors; the group holds all of them.

    Raised for a template with `on_error: "abort"` whose task failed, and for a run that could not
    go on for a reason outside its tasks.
    """

    def derive(self, excs: Sequence[Exception]) -> WorkflowFailed:  # type: ignore[override]  # it is for one type of error only
        """Return a group of the same type; called when `except*` or a task group splits one."""
        return WorkflowFailed(self.message, excs)


def as_exception(error: BaseException) -> Exception:
    """Return an error that an `ExceptionGroup` can hold: itself, or an exception that wraps it."""
    if isinstance(error, Exception):
        return error
    wrapped = TukioError(f"a task raised {name_of(error)}: {text_of(error)}")
    wrapped.__cause__ = error
    return wrapped


def failure_of(template_id: str, errors: Mapping[str, BaseException]) -> WorkflowFailed:
    """Return what a run has failed with, for the errors of its tasks.

    It never fails itself, however little there is to make it of: a run must come to its end.
    """
    message = f"workflow {template_id!r} failed"
    try:
        group = [as_exception(error) for error in errors.values()]
        return WorkflowFailed(message, group or [TukioError("nothing is known of the error")])
    except Exception:  # noqa: BLE001 - what users raise may refuse to be shown or held
        return WorkflowFailed(message, [TukioError("its errors cannot be shown")])
