"""The points of a run: every moment at which other code can interfere with the run.

Owns:   the count of the points of one run, and the act at a chosen one.
Knows:  how an engine makes a run; the steps of the run are replaced by a class of this module.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .._engine.engine import Engine
from .._events.exec_topics import EXEC_TOPIC
from .._loop.frames import frames_of
from .._model.display import escaped_id
from .._model.state import TaskExecState
from .._run.task_run import TaskRun
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType

    from .._model.event import Event
    from .._model.template import WorkflowTemplate
    from .._run.run import Run
    from .._run.workflow import Workflow


class Points:
    """Counts the points of the first run of an engine, and acts at one of them.

    Args:
        chosen: The number of the point to act at; 0 only counts.
        act: Called with the workflow at that point. If the point is that of a step, the result is
            raised there, unless it is None.
        of_steps: Whether the beginning and each suspension of a step is a point.
        of_events: Whether each execution event is a point.

    Attributes:
        passed: The descriptions of the points so far, in order.
        run: The run; None before there is one.
    """

    def __init__(
        self,
        chosen: int = 0,
        act: Callable[[Workflow], BaseException | None] | None = None,
        *,
        of_steps: bool = True,
        of_events: bool = True,
    ) -> None:
        self.passed: list[str] = []
        self._run: Run | None = None
        self.of_steps: bool = of_steps
        self.of_events: bool = of_events
        self._chosen: int = chosen
        self._act: Callable[[Workflow], BaseException | None] | None = act

    def _are_of(self, run: Run) -> bool:
        """Return whether the points of a run are counted: of that run, and of its children."""
        while run is not self._run and run.environment.child_of is not None:
            run = run.environment.child_of.step.run
        return run is self._run

    @property
    def reached(self) -> bool:
        """Whether the run has come to the chosen point."""
        return len(self.passed) >= self._chosen

    def pass_by(self, what: str) -> BaseException | None:
        """Count a point, act if it is the chosen one, and return the result of the act."""
        self.passed.append(what)
        if len(self.passed) != self._chosen or self._run is None or self._act is None:
            return None
        assert self._run.face is not None
        workflow: Any = self._run.face
        return self._act(workflow)

    def of_step(self, what: str, step: TaskRun) -> BaseException | None:
        """Count a point of a step, and return the exception to raise there, if any."""
        return self.pass_by(f"{what} of {step.template.uid!r}") if self.of_steps else None

    def step_suspends(self, step: TaskRun, coro: Any) -> BaseException | None:
        """Count a suspension of a step, and return the exception to raise there, if any."""
        # Never while a task group is left, because that raises only errors of the group's tasks.
        # Another error there would leave these tasks behind.
        if not self.of_events and any(
            frame.f_code.co_name == "__aexit__" for frame in frames_of(coro)
        ):
            return None
        return self.of_step("an await", step)

    def _is_of(self, uid: str | None) -> bool:
        """Return whether an id is that of the run, or of a child of it, at any depth."""
        if self._run is None or uid is None:
            return False
        own = escaped_id(self._run.uid)
        return uid == self._run.uid or uid.startswith((f"{own}/", f"{own}%"))

    def event_comes(self, event: Event) -> None:
        """Called with each execution event; count those of the run."""
        source = event.source
        assert source is not None
        if self.of_events and self._is_of(source.workflow_exec_id):
            about = source.task_template_id or "the run"
            self.pass_by(f"the event {event.data['type']!r} of {about!r}")


class PointedEngine(Engine):
    """An engine that counts the points of its first run.

    Args:
        points: The points of that run.

    Attributes:
        watch: Checks the runs of the engine; set when the engine is entered.
    """

    watch: Watch

    def __init__(self, points: Points) -> None:
        super().__init__()
        self._points: Points = points

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.watch = Watch.of(self)
        self.broker.register(self._points.event_comes, EXEC_TOPIC)
        binding = self._binding
        assert binding._environment is not None
        # A class of its own, so that the steps of no other engine are counted.
        pointed = type("PointedStep", (PointedStep,), {"__slots__": (), "points": self._points})
        kinds = binding._environment.kinds.seen_by(pointed)
        binding._environment = replace(binding._environment, kinds=kinds, make_step=kinds.ordinary)
        new_workflow = binding.new_workflow

        def first_is_pointed(template: WorkflowTemplate) -> Workflow:
            workflow = new_workflow(template)
            if self._points._run is None:
                self._points._run = workflow._run
            return workflow

        # Set on the instance, so that no other engine changes.
        binding.new_workflow = first_is_pointed  # type: ignore[method-assign]
        return self


class PointedStep(TaskRun):
    """A step whose beginning and suspensions are counted, of whatever kind it is.

    Attributes:
        points: The points that are counted.
    """

    __slots__ = ()

    points: ClassVar[Points]

    def _begin(self) -> Any:
        """Begin as any step does, unless an exception is to be raised instead."""
        if not self.points._are_of(self.run):
            return super()._begin()
        error = self.points.of_step("the beginning", self)
        if error is not None:
            self.run.emit(TaskExecState.BEGIN.value, self.input_data, self)
            raise error
        suspends = partial(self.points.step_suspends, self)
        return _PointedCoroutine(super()._begin(), suspends)


class _PointedCoroutine(Generator[Any, Any, Any]):
    """The coroutine of a step, observed at each suspension."""

    def __init__(
        self, coro: Coroutine[Any, Any, Any], suspends: Callable[[Any], BaseException | None]
    ) -> None:
        self._coro: Coroutine[Any, Any, Any] = coro
        self._suspends: Callable[[Any], BaseException | None] = suspends
        self._error: BaseException | None = None

    @property
    def cr_frame(self) -> FrameType | None:
        """The frame of the coroutine."""
        frame: FrameType | None = getattr(self._coro, "cr_frame", None)
        return frame

    @property
    def cr_await(self) -> Any:
        """The object that the coroutine awaits; None if there is none."""
        return getattr(self._coro, "cr_await", None)

    def send(self, value: Any, /) -> Any:
        error, self._error = self._error, None
        trap = self._coro.send(value) if error is None else self._coro.throw(error)
        self._error = self._suspends(self._coro)
        return trap

    def throw(self, error: Any, /, *_: object) -> Any:
        # A cancellation came first, and replaces the error that was to be raised.
        self._error = None
        trap = self._coro.throw(error)
        self._error = self._suspends(self._coro)
        return trap

    def close(self) -> None:
        self._coro.close()
