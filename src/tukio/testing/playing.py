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
from .._events.broker import EXEC_TOPIC
from .._model.template import WorkflowTemplate
from .._run.workflow import Workflow
from .invariants import check_guarantees
from .timeline import Timeline
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._model.event import Event
    from .._model.refusal import Refusal

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
    template: Mapping[str, Any],
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
    `trigger`: starts a further run, with `{"run": <instant>}`.
    `event`: the engine receives `{"event": <instant>}`; the detail is the topic.
    `handler error`: from now on a handler of execution events fails; the detail is "sync" or
    "async", the kind of the handler.

    Args:
        template: The dict form of a template whose tasks are registered.
        history: The actions. Those of one instant are performed in this order, without a pause;
            those at instant 0 come before the first task begins.
        data: The data to start the first run with.
        engine: The engine to play on, which must not be in use yet. None makes one.
        horizon: The instant at which runs that still go on are cancelled.

    Raises:
        TemplateError: The template has faults. Nothing was started.
        ValueError: The history has an unknown action. The runs were cancelled.
        BrokenGuarantee: A guarantee did not hold.

    Cancellation: the runs are cancelled.
    """
    async with Engine() if engine is None else engine as entered:
        stage = _Stage(entered, WorkflowTemplate.from_dict(template))
        await entered.load(stage.template)
        stage.started(await entered.trigger(stage.template.uid, dict(data or {})))
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
    stage.watch.check()
    for run in stage.runs:
        check_guarantees(run, stage.timeline)
    return Played(stage.runs, stage.timeline)


class _Stage:
    """An engine, with the runs and the events of a play."""

    def __init__(self, engine: Engine, template: WorkflowTemplate) -> None:
        self.engine: Engine = engine
        self.template: WorkflowTemplate = template
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
                self.started(await self.engine.trigger(self.template.uid, {"run": at}))
            case "event":
                self.started(*await self.engine.data_received({"event": at}, detail))
            case "handler error":
                handler = partial(_fails_later if detail == "async" else _fails, deed)
                self.engine.broker.register(handler, EXEC_TOPIC)
            case _:
                for run in self.engine.instances:
                    self._act_on(run, deed, detail)

    def _act_on(self, run: Workflow, deed: str, detail: Any) -> None:
        if deed == "cancel task":
            uid = self.template.tasks[detail % len(self.template.tasks)].uid
            for step in run.tasks:
                if step.template.uid == uid:
                    step.cancel()
        elif deed in DEEDS:
            getattr(run, deed)()
        else:
            msg = f"nothing is known of {deed!r} - see tukio.testing.play"
            raise ValueError(msg)


def _fails(deed: str, _: Event) -> None:
    raise RuntimeError(deed)


async def _fails_later(deed: str, _: Event) -> None:
    await anyio.lowlevel.checkpoint()
    raise RuntimeError(deed)
