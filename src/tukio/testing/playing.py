"""A workflow and a history of actions on it, played on an engine.

Owns:   the names of the actions, and how each is performed at its instant.
Knows:  the engine, as its users do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import anyio.lowlevel

from .._engine.engine import Engine
from .._events.exec_topics import EXEC_TOPIC
from .._model.dag import DAG
from .._model.documents import as_template
from .._model.policy import ErrorPolicy
from .._model.report_json import report_from_json, report_to_json
from .._model.task_template import TaskTemplate
from .._run.workflow import Workflow
from .faults import no_faults
from .invariants import check_guarantees
from .timeline import Timeline
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from .._engine.refusal import Refusal
    from .._model.template import WorkflowTemplate

Action: TypeAlias = tuple[float, str, Any]
"""An instant, in seconds since the beginning, the name of an action, and a detail; see `play`."""

HORIZON = 1000.25
"""The instant at which runs that still go on are cancelled; never the instant of a drawn action."""

DEEDS = ("cancel", "suspend", "resume", "timeout")
"""The actions that are the method of a run with that name."""


@dataclass(frozen=True, slots=True)
class Played:
    """The result of `play`.

    Attributes:
        runs: The runs, in the order in which they were started; all are over.
        timeline: All execution events.
    """

    runs: list[Workflow]
    timeline: Timeline

    def __str__(self) -> str:
        return str(self.timeline)


async def play(
    template: WorkflowTemplate | Mapping[str, Any],
    history: Sequence[Action] = (),
    data: Mapping[str, Any] | None = None,
    *,
    engine: Engine | None = None,
    horizon: float = HORIZON,
) -> Played:
    """Start a workflow, perform the actions of a history, and check the guarantees all the while.

    An action applies to all runs that are in progress at its instant:

    `cancel`, `suspend`, `resume`, `timeout`: as the methods of a run.
    `cancel task`: cancels one task; the detail is its index among the tasks of the template.
    `stop`: stops the engine; the detail is the grace in seconds, or None to use force.
    `trigger`: starts a further run, with the data and `{"run": <instant>}`; the detail is the
    number of seconds until its deadline, or None for none.
    `event`: the engine receives the data and `{"event": <instant>}`; the detail is the topic.
    `handler error`: from now on a handler of execution events fails; the detail is "sync" or
    "async", the kind of the handler, or "odd": it raises what is no `Exception`.
    `callback error`: a done callback of each task that was reached fails; the detail is "sync" or
    "odd".
    `report`: a report is taken, and goes through JSON.
    `edit`: the template of the runs is changed; the detail is one of `EDITS`. An equal template is
    loaded before that, so runs to come are as they would be.

    Args:
        template: The template, or its dict form. Its tasks must be registered. It is not changed,
            and runs are made of copies of it.
        history: The actions. Those of one instant are performed in this order, without a pause;
            those at instant 0 come before the first task begins.
        data: The data to start runs with.
        engine: The engine to play on, which must not be in use yet. None makes one.
        horizon: The instant at which runs that still go on are cancelled.

    Raises:
        TemplateError: The template has faults. Nothing was started.
        ValueError: The history has an unknown action. The runs were cancelled.
        BrokenGuarantee: A guarantee did not hold.

    Cancellation: the runs are cancelled.
    """
    with no_faults():
        stage = await _played(template, history, data, engine, horizon)
    stage.watch.check()
    for run in stage.runs:
        check_guarantees(run, stage.timeline)
    return Played(stage.runs, stage.timeline)


async def _played(
    template: WorkflowTemplate | Mapping[str, Any],
    history: Sequence[Action],
    data: Mapping[str, Any] | None,
    engine: Engine | None,
    horizon: float,
) -> _Stage:
    """Do what `play` does, without its checks at the end."""
    async with Engine() if engine is None else engine as entered:
        stage = _Stage(entered, template, dict(data or {}))
        await entered.load(stage.template)
        stage.started(await entered.trigger(stage.template.uid, stage.data))
        start = anyio.current_time()
        ordered = sorted(history, key=lambda action: action[0])
        for at, actions in groupby(ordered, key=lambda action: action[0]):
            if at:
                await anyio.sleep_until(start + at)
            for action in actions:
                await stage.act(*action)
        with anyio.CancelScope(deadline=start + horizon):
            for run in stage.runs:
                await run.wait()
        for run in stage.runs:
            run.cancel()
    return stage


class _Stage:
    """An engine, with the runs and the events of a play."""

    def __init__(
        self,
        engine: Engine,
        template: WorkflowTemplate | Mapping[str, Any],
        data: dict[str, Any],
    ) -> None:
        self.engine: Engine = engine
        self.data: dict[str, Any] = data
        # Never changed: the copies of it are.
        self._original: WorkflowTemplate = as_template(template, engine._registry)
        # The one that is loaded.
        self.template: WorkflowTemplate = self._original.copy()
        self.runs: list[Workflow] = []
        self.watch: Watch = Watch.of(engine)
        self.timeline: Timeline = Timeline.of(engine)

    def started(self, *runs: Workflow | Refusal) -> None:
        """Add the runs that were started, without refusals."""
        self.runs += [run for run in runs if isinstance(run, Workflow)]

    async def act(self, at: float, deed: str, detail: Any) -> None:
        """Perform an action.

        Raises:
            ValueError: The action is unknown.
        """
        match deed:
            case "stop":
                self.engine.stop(detail, force=detail is None)
            case "trigger":
                until = None if detail is None else self._wall_time(detail)
                uid, data = self.template.uid, {**self.data, "run": at}
                self.started(await self.engine.trigger(uid, data, deadline=until))
            case "event":
                self.started(*await self.engine.data_received({**self.data, "event": at}, detail))
            case "handler error":
                self.engine.broker.register(partial(FAILS[detail], deed), EXEC_TOPIC)
            case "edit":
                edited, self.template = self.template, self._original.copy()
                await self.engine.load(self.template)
                EDITS[detail](edited)
            case _:
                for run in self.engine.instances:
                    # What reaches a run reaches its children.
                    if run.parent is None:
                        self._act_on(run, deed, detail)

    def _wall_time(self, later: float) -> datetime:
        """Return the time by the clock of the runs, some seconds later."""
        backend = self.engine._binding.bound()
        return backend.wall_time(backend.time() + later)

    def _act_on(self, run: Workflow, deed: str, detail: Any) -> None:
        if deed == "report":
            report_from_json(report_to_json(run.report()))
        elif deed == "callback error":
            for step in [step for step in run.tasks if not step.done()]:
                step.add_done_callback(partial(FAILS[detail], deed))
        elif deed == "cancel task":
            uid = self.template.tasks[detail % len(self.template.tasks)].uid
            for step in [step for step in run.tasks if step.template.uid == uid]:
                step.cancel()
        elif deed in DEEDS:
            getattr(run, deed)()
        else:
            msg = f"nothing is known of {deed!r} - see tukio.testing.play"
            raise ValueError(msg)


class OddError(BaseException):
    """An error that `except Exception` does not catch."""


def _fails(deed: str, _: object) -> None:
    raise RuntimeError(deed)


def _fails_oddly(deed: str, _: object) -> None:
    raise OddError(deed)


async def _fails_later(deed: str, _: object) -> None:
    await anyio.lowlevel.checkpoint()
    raise RuntimeError(deed)


FAILS: dict[str, Callable[[str, Any], object]] = {
    "sync": _fails,
    "async": _fails_later,
    "odd": _fails_oddly,
}

EDITS: dict[str, Callable[[WorkflowTemplate], object]] = {
    "id": lambda template: setattr(template, "uid", "edited"),
    "limit": lambda template: setattr(template, "timeout", 0.1),
    "no limit": lambda template: setattr(template, "timeout", None),
    "errors": lambda template: setattr(template, "on_error", ErrorPolicy.ABORT),
    "name": lambda template: setattr(template.tasks[-1], "name", "edited"),
    "task limit": lambda template: setattr(template.tasks[-1], "timeout", 0.1),
    "config": lambda template: template.tasks[-1].config.clear(),
    "task less": lambda template: template.delete(template.tasks[-1]),
    "graph": lambda template: setattr(template, "dag", DAG[TaskTemplate]()),
}
"""The changes of a template by the action `edit`; none of them reaches a run in progress."""
