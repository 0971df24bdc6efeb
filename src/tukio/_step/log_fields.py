"""What the log records of a run have beside their text: which run, template and task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .._model.step import Step
    from .._model.template import WorkflowTemplate


class LoggedRun(Protocol):
    """What a log record tells of a run."""

    @property
    def uid(self) -> str:
        """Its id."""
        ...

    @property
    def template(self) -> WorkflowTemplate:
        """What is run."""
        ...


def log_fields(run: LoggedRun, step: Step | None = None) -> dict[str, str]:
    """Return the `extra` of a log record about a run, or about one of its steps.

    The names are a promise to users: `tukio_run`, `tukio_template` and `tukio_task`.
    """
    fields = {"tukio_run": run.uid, "tukio_template": run.template.uid}
    if step is not None:
        fields["tukio_task"] = step.template.uid
    return fields
