"""Reports made by hand, and the plans that come of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tukio._model.plan import Plan
from tukio._model.record import read
from tukio._model.rescue import restore
from tukio._model.shape import shape_of
from tukio._model.step import Step

if TYPE_CHECKING:
    from tukio._model.template import WorkflowTemplate

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a moment of the run."""
    return START + timedelta(seconds=seconds)


def execution(state: str = "finished", end: float | None = 1, **fields: Any) -> dict[str, Any]:
    """Return what a report says of one execution."""
    return {
        "id": "step",
        "start": START,
        "end": None if end is None else at(end),
        "state": state,
        "inputs": {"in": 0},
        "outputs": None,
    } | fields


def report_on(template: WorkflowTemplate, **executions: Any) -> dict[str, Any]:
    """Return a report in which these tasks were due, and no others."""
    document = template.as_dict()
    for task in document["tasks"]:
        task["exec"] = executions.get(task["id"])
    return document | {"exec": {"id": "run", "start": START, "end": None, "state": "pending"}}


def restored(template: WorkflowTemplate, report: Any) -> Plan[Step]:
    """Return the plan of a run as a report says that it was."""
    plan: Plan[Step] = Plan(shape_of(template), Step)
    restore(plan, read(report, template))
    return plan


def ready(plan: Plan[Step]) -> list[tuple[str, Any]]:
    """Return the tasks that are to be run next, each with its inputs."""
    return [(step.template.uid, step.input_data) for step in plan.ready]


def state_of(plan: Plan[Step]) -> dict[str, Any]:
    """Return how each task stands."""
    return {
        task.uid: step and (step.state, step.input_data, step.output_data)
        for task, step in zip(plan.shape.tasks, plan.steps, strict=True)
    }
