"""The replay of a run from its report, with the recorded results of its tasks, and a comparison.

Owns:   the end of each task at its turn, and the comparison with the report.
Knows:  the recording, which has the order of turns; the engine, which runs the workflow as usual.

Nothing waits for a clock. Only the order counts, and a time limit is reached when the recording
says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import anyio.lowlevel

from .._engine.engine import Engine
from .._events.exec_topics import EXEC_TOPIC
from .._model.account import RecordedError
from .._model.codecs import encode
from .._model.errors import SkipTask, TukioTaskError
from .._model.event import Event
from .._model.state import FutureState
from .._run.current import current_task
from .._run.settling import record_error
from .._step.holder import TaskHolder
from .invariants import TASK_ENDS
from .recording import Recording
from .registration import registered
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._model.record import StepRecord
    from .._run.task_run import TaskRun
    from .._run.workflow import Workflow

SHOWN = ("state", "inputs", "outputs", "chosen", "error")
"""The keys of a task's execution that are compared."""

TURNS = 100
"""The turns of the event loop to wait for a condition, with one more for each task."""

ON_ITS_OWN = frozenset({FutureState.finished, FutureState.skipped, FutureState.exception})
"""The states of a task that ended by itself, even if it was cancelled before."""


class ReplayDiffers(AssertionError):
    """A report was replayed, and the run took another path.

    Args:
        task: The id of the task that differs; None if the run itself does.
        problem: The difference, as part of a sentence.
        timeline: The events until then.

    Attributes:
        task: The id of the task that differs; None if the run itself does.
        timeline: The events until then.
    """

    def __init__(self, task: str | None, problem: str, timeline: Timeline) -> None:
        where = "the run" if task is None else f"task {task!r}"
        super().__init__(f"{where} {problem}\n{timeline}")
        self.task: str | None = task
        self.timeline: Timeline = timeline


async def replay(report: Mapping[str, Any]) -> Timeline:
    """Run a workflow again from its report, and make sure that the run takes the same path.

    No task of the workflow is called, joins included, and none need be registered. Each task ends
    as in the report, in the same order, and takes no time. All else is up to the engine: which
    tasks begin, with which data, and how the run ends. So a report of any engine, taken at any
    moment, is a test of this engine.

    Args:
        report: The result of `Workflow.report()`; it may have gone through JSON.

    Returns:
        The execution events.

    Raises:
        ReplayDiffers: The run took another path; the error tells where it did so first.
        RescueError: The data is not the report of a run that started, or it contradicts itself.
        TemplateError: The template in the report has faults.
        WorkflowRootTaskError: The template has no tasks.

    Cancellation: the run is cancelled.
    """
    name = object()
    recording = Recording(report, name)
    async with Engine() as engine:
        stage = _Stage(engine, recording)
        with registered({name: type("Replayed", (_Replayed,), {"stage": stage})}):
            try:
                await stage.play()
            finally:
                stage.clear()
    return stage.timeline


class _Stage:
    """A run, and the recording that it has to follow."""

    def __init__(self, engine: Engine, recording: Recording) -> None:
        self.recording: Recording = recording
        self.timeline: Timeline = Timeline.of(engine)
        self.turns: dict[str, anyio.Event] = {uid: anyio.Event() for uid in recording.graph}
        self.workflow: Workflow = engine._binding.new_workflow(recording.template)
        self._engine: Engine = engine
        engine.broker.register(self._note, EXEC_TOPIC)

    async def play(self) -> None:
        """Start the run, end its tasks one after the other as recorded, and compare each.

        Raises:
            ReplayDiffers: The run took another path.
        """
        recording = self.recording
        self._start()
        await self._until(self._is_quiet)
        for position, uid in enumerate(recording.order):
            if recording.stops(position):
                await self._reach_limits(recording.order[position:])
            if position == recording.stopped_at:
                self._stop()
            await self._end(uid)
            self._compare(uid)
            await self._until(self._is_quiet)
            # Not for the last end of a run that was not over: the report may have been taken at
            # that moment, before the successors were due.
            if recording.is_over or uid != recording.order[-1]:
                self._find_strangers(uid)
        if recording.stopped_at == len(recording.order):
            self._stop()
        await self._compare_the_end()

    def clear(self) -> None:
        """End all tasks, and cancel the run."""
        for turn in self.turns.values():
            turn.set()
        self.workflow.cancel()

    def _start(self) -> None:
        run = self.workflow._run
        inputs = self.recording.shown[self.recording.template.root().uid]["inputs"]
        data = Event(inputs) if isinstance(inputs, dict) else inputs
        self._engine._instances.launch(run, lambda: run.start(data))

    async def _reach_limits(self, following: list[str]) -> None:
        """Cancel the tasks that were past their limits when the run was stopped.

        Args:
            following: The ids of the tasks that end after the stop.
        """
        for uid in following:
            if self.recording.steps[uid].state is FutureState.timeout and uid in self._steps():
                await self._reach_limit(self._steps()[uid])

    async def _reach_limit(self, step: TaskRun) -> None:
        if step.driver is not None:
            assert step.driver.scope is not None
            step.driver.scope.deadline = step.run.backend.time()
            await self._until(lambda: step.driver is None)

    def _note(self, event: Event) -> None:
        source = event.source
        assert source is not None
        ended = source.task_template_id if event.data["type"] in TASK_ENDS else None
        if ended is not None and ended == self.recording.stopped_with:
            self._stop()

    def _stop(self) -> None:
        if self.recording.state is FutureState.suspended:
            self.workflow.suspend()
        elif self.recording.state is FutureState.timeout:
            self.workflow.timeout()
        else:
            self.workflow.cancel()

    def _steps(self) -> dict[str, TaskRun]:
        return {step.template.uid: step for step in self.workflow.tasks}

    def _is_quiet(self) -> bool:
        """Return whether all steps that are due have begun."""
        run = self.workflow._run
        return not (run.plan.ready or run.driver_pending)

    async def _until(self, condition: Callable[[], bool]) -> bool:
        """Wait for a condition for some turns of the loop, and return whether it holds."""
        for _ in range(TURNS + len(self.turns)):
            if condition():
                return True
            await anyio.lowlevel.checkpoint()
        return condition()

    async def _end(self, uid: str) -> None:
        """End a task as recorded."""
        step = self._steps().get(uid)
        if step is None or not step.in_progress():
            self._differ(uid, "was not begun, and in the report it was")
        assert step is not None
        known = self.recording.steps[uid].state
        if known is FutureState.timeout:
            await self._reach_limit(step)
        self.turns[uid].set()
        if known is FutureState.cancelled:
            step.cancel()
        if not await self._until(step.done):
            self._differ(uid, f"goes on, and in the report it was {known.value}")

    def _compare(self, uid: str) -> None:
        known, found = self.recording.shown[uid], self._steps()[uid].report()
        for key in SHOWN:
            one, other = known.get(key), found.get(key)
            if encode(one) != encode(other):
                self._differ(uid, f"has {key} {other!r}, and in the report {one!r}")

    def _find_strangers(self, parent: str) -> None:
        for uid, step in self._steps().items():
            led_on = step.parent is not None and step.parent.template.uid == parent
            if led_on and uid not in self.recording.shown:
                self._differ(uid, "was begun, and in the report it was not")

    async def _compare_the_end(self) -> None:
        recording, run = self.recording, self.workflow._run
        for uid in recording.steps:
            if uid not in self._steps():
                self._differ(uid, "was not begun, and in the report it was")
        if recording.is_over:
            await self._until(lambda: run.ended_at is not None)
        elif run.ending is FutureState.exception:
            return  # the report was taken while the run was being aborted
        elif recording.state is FutureState.suspended:
            self.workflow.suspend()
        if recording.state not in {self.workflow.state, FutureState.pending}:
            found, known = self.workflow.state.value, recording.state.value
            self._differ(None, f"is {found}, and in the report it is {known}")

    def _differ(self, uid: str | None, problem: str) -> None:
        # With a copy of the timeline, because the run will be cancelled.
        raise ReplayDiffers(uid, problem, self.timeline.of_run(self.workflow.uid))


class _Replayed(TaskHolder):
    """Stands for a task: ends as recorded."""

    __slots__ = ()

    stage: ClassVar[_Stage]

    async def execute(self, event: Event) -> Any:
        """Wait for the turn of this task, and end as recorded."""
        del event
        uid = current_task().template.uid
        known, turn = self.stage.recording.steps.get(uid), self.stage.turns[uid]
        if known is not None and known.chosen is not None:
            current_task().workflow.set_next_tasks(known.chosen)
        if known is None or known.state not in ON_ITS_OWN:
            await anyio.sleep_forever()
        assert known is not None
        with anyio.CancelScope(shield=True):
            await turn.wait()
        if known.state is FutureState.finished and known.error is not None:
            # That of a child which had come to its end.
            self._note_error(known)
            return known.outputs
        return _end_as(known)

    async def teardown(self) -> Any:
        """Return the recorded outcome of a task that was cancelled, and note its error."""
        uid = current_task().template.uid
        known = self.stage.recording.steps.get(uid)
        if known is None or known.state in ON_ITS_OWN:
            return None
        if known.state is FutureState.timeout:
            await self.stage.turns[uid].wait()
        if known.error is not None and known.error[0] != "InvalidResult":
            # Not raised: it may be that of the task itself, later than its limit, with an output of
            # the clean-up beside it.
            self._note_error(known)
        return known.outputs

    def _note_error(self, known: StepRecord) -> None:
        """Keep the recorded error of the calling task, which does not end by it."""
        assert known.error is not None
        step = self.stage._steps()[current_task().template.uid]
        record_error(step.run, step, RecordedError(*known.error))


def _end_as(known: StepRecord) -> Any:
    if known.handled and known.error is not None:
        raise RecordedError(*known.error)
    if known.error is None or (known.error[0] == "InvalidResult" and known.outputs is not None):
        return known.outputs
    if known.state is FutureState.skipped:
        raise _Skipped(*known.error)
    if known.outputs is not None:
        raise _FailedWithOutput(known.outputs, *known.error)
    raise RecordedError(*known.error)


class _Skipped(RecordedError, SkipTask):
    """Stands for the reason of a skip."""

    def __init__(self, kind: str, message: str, *details: Any) -> None:
        RecordedError.__init__(self, kind, message, *details)
        self.reason = message


class _FailedWithOutput(RecordedError, TukioTaskError):
    """Stands for an error with an output."""

    def __init__(self, output: object, kind: str, message: str, *details: Any) -> None:
        RecordedError.__init__(self, kind, message, *details)
        self.task_outputs = output
