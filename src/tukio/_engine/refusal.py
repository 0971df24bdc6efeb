"""A refusal: returned in place of a run when none was started.

Owns:   what becomes of a refusal that is used as a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Never

from .._model.display import shown
from .._model.not_started import NotStarted, Reason
from .._run.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Generator

    from .._model.errors import Fault

OF_FUTURES: Final = frozenset(
    {
        *("add_done_callback", "cancelled", "done", "exception", "get_loop"),
        *("remove_done_callback", "result"),
    }
)
"""What runs on asyncio have beside the public members of `Workflow`."""


class InPlaceOfRun:
    """Raises `NotStarted` when it is used as a run.

    Type checkers see each public member of `Workflow`, of a type that has no values. So code need
    not tell a run from a refusal before it uses a run.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        appointment: Never
        cancel: Never
        closing: Never
        committed: Never
        current_workflow: Never
        errors: Never
        events: Never
        fast_forward: Never
        lock: Never
        ok: Never
        output: Never
        outputs: Never
        parent: Never
        policy: Never
        report: Never
        resume: Never
        run: Never
        set_next_tasks: Never
        state: Never
        status: Never
        suspend: Never
        tasks: Never
        template: Never
        timed_out: Never
        timeout: Never
        uid: Never
        unhandled: Never
        unlock: Never
        unlock_when_task_done: Never
        wait: Never

    else:

        def __getattr__(self, name: str) -> Any:
            """Raise `NotStarted` for what a run has; nothing else is found."""
            if name in OF_FUTURES or (not name.startswith("_") and hasattr(Workflow, name)):
                raise self.as_error()
            msg = f"a refusal has no attribute {name!r}"
            raise AttributeError(msg)

    def as_error(self) -> NotStarted:
        """Return what is raised."""
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, Never]:
        """Raise `NotStarted`."""
        raise self.as_error()


@dataclass(frozen=True, slots=True)
class Refusal(InPlaceOfRun):
    """Returned in place of a run when none was started; a refusal is falsy.

    Whatever a run has raises `NotStarted` of a refusal, so that one that was not looked for says
    why there is no run.

    Attributes:
        reason: The reason why no run was started.
        template_id: The id of the template.
        run_id: The id of the run that would have been started, if the caller gave one; else None.
        faults: The faults of the template, if these are the reason.
    """

    reason: Reason
    template_id: str
    run_id: str | None = None
    faults: tuple[Fault, ...] = ()

    def as_error(self) -> NotStarted:
        """Return what is raised where there is a refusal and a run is needed."""
        return NotStarted(self.reason, self.template_id)

    def __bool__(self) -> Literal[False]:
        return False

    def __str__(self) -> str:
        return f"workflow {shown(self.template_id)} was not started: {self.reason.value}"
