"""One run to look at: what it is, how it goes, and what it has led to.

Owns:   nothing; looking has no effect on the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._events.stream import BUFFER
from .._model.after_failure import gives_output
from .._model.state import FAILED, FINISHED, OVER, SKIPPED, TIMED_OUT
from .closing import closing_in
from .events import RunEvents
from .reporting import report_of, times_of
from .verdict import leads_nowhere, status_of, unhandled

if TYPE_CHECKING:
    from collections.abc import KeysView
    from datetime import datetime

    from .._model.state import FutureState
    from .._model.template import WorkflowTemplate
    from .run import Run
    from .task_run import TaskRun

_WITH_OUTPUT = {FINISHED, SKIPPED, TIMED_OUT}


class RunView:
    """One run of a workflow, to look at; `Workflow` adds what can be done to it."""

    __slots__ = ()

    _run: Run
    _steps: list[TaskRun | None]

    @property
    def uid(self) -> str:
        """Id of this execution."""
        return self._run.uid

    @property
    def template(self) -> WorkflowTemplate:
        """What is run: the template that this was made from.

        If it was changed since, this goes on as it was when it was made. If nobody has the template
        any more, it is an equal one.
        """
        return self._run.plan.shape.edition.original

    @property
    def state(self) -> FutureState:
        """How it stands: `pending` before and while it runs, then how it ended."""
        return self._run.state

    @property
    def errors(self) -> dict[str, BaseException]:
        """Task id -> what that task raised, for every task that failed."""
        return dict(self._run.errors)

    @property
    def outputs(self) -> dict[str, Any]:
        """Task id -> a copy of the output, for every task that finished, was skipped or timed out.

        The output of a skipped task is None: its inputs went on.
        """
        return {
            step.template.uid: step.outputs
            for step in self._steps
            if step is not None and _has_output(step)
        }

    @property
    def appointment(self) -> datetime | None:
        """When it ends at the latest, as `deadline=` of its start has said: aware UTC, or None.

        It stays the instant that it is while nobody runs it: over a rescue, too.
        """
        return self._run.appointment

    @property
    def tasks(self) -> KeysView[TaskRun]:
        """The executions of its tasks so far, also of those that are about to begin.

        An ordered set, in declared order.
        """
        return {step._keep_workflow(self): None for step in self._steps if step is not None}.keys()

    @property
    def closing(self) -> list[TaskRun]:
        """The executions that it closes with, in order: what undoes its tasks, and what comes last.

        Empty before it begins to close.
        """
        closing = closing_in(self._steps)
        steps: list[Any] = [] if closing is None else closing.steps
        return [step._keep_workflow(self) for step in steps]

    def report(self, *, data: bool = True) -> dict[str, Any]:
        """Return a snapshot of the template and of the execution; the page *Reports* has its form.

        `start` and `end` in it are aware UTC datetimes or None; `report_to_json` makes a text of
        it. `exec.elapsed` is there for a run with a time limit: the seconds of it that are used
        up. A rescued run had none of it while nobody ran it.

        Args:
            data: Whether inputs, outputs and what holders report are in it. A report without them
                is short, and cannot be rescued.
        """
        return report_of(self._run, self._steps, data=data)

    # How it goes ----------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """How it stands, in one word.

        - `queued`: it has not begun.
        - `running`: a task is at work.
        - `suspended`: it waits for `resume()`.
        - `closing`: it was told to stop, and its tasks unwind; or it undoes them, or runs what
            comes last.
        - `stuck`: as `closing`, and a task goes on although it was cancelled a while ago.
        - `finished`: it is over, and all went well.
        - `flawed`: it has come to its end, and not all went well; see `unhandled`.
        - `failed`, `timeout`, `cancelled`: it was ended by an error, its time limit or a
          cancellation.
        """
        return status_of(self._run, self._steps)

    @property
    def ok(self) -> bool | None:
        """Whether all went well; None while it is not over.

        False if there is an error, if it or one of its tasks was cancelled, or has reached a time
        limit.
        """
        if self._run.phase is not OVER:
            return None
        return self._run.ending is FINISHED and not self.unhandled

    @property
    def unhandled(self) -> dict[str, BaseException]:
        """Task id -> what went wrong: its error, its time limit or its cancellation.

        The entries make `ok` False, and are what `wait(check=True)` raises. `errors` has only what
        tasks raised.
        """
        return unhandled(self._run, self._steps)

    @property
    def output(self) -> dict[str, Any]:
        """Task id -> a copy of what the task returned, for each task where the run came to an end.

        These are the tasks that lead to no other one, or have chosen none. Those that failed or
        were cancelled are missing.
        """
        return {
            step.template.uid: step.outputs
            for step in self._steps
            if step is not None and _has_output(step) and leads_nowhere(step)
        }

    def events(self, *, buffer: int = BUFFER) -> RunEvents:
        """Return the execution events of the run, as an async iterator that ends with the run.

            async for event in run.events():
                print(event.seq, event.data["type"])

        It begins with what has happened so far, made up from the state of the run: the begin and
        the end of the run and of each attempt at a task, in order, each with its `time`; what an
        earlier attempt has raised is a `RecordedError` in there. Of the items of a mapped task,
        those are in there that are not over. The events that follow
        are those that subscribers get; but the begin of the run comes once, also if it was rescued.
        One iterator is for one reader.

        Args:
            buffer: The number of events that wait for the reader. When the buffer is full, the
                oldest event is dropped and counted in `dropped`.

        Raises:
            ValueError: `buffer` is not positive.
        """
        return RunEvents(self._run, self._steps, buffer)

    def __str__(self) -> str:
        ids = f"template.uid={self._run.template.uid}, uid={self.uid}"
        start, end = times_of(self._run)
        return f"<Workflow {ids}, start={start}, end={end}, state={self.state.value}>"

    def __repr__(self) -> str:
        return f"<Workflow {self._run.template.uid} {self.uid} {self.state.value}>"


def _has_output(step: TaskRun) -> bool:
    """Return whether a step has given an output; also one that its template has for its failure."""
    return step.state in _WITH_OUTPUT or (step.state is FAILED and gives_output(step.template))
