"""Run workflows - DAGs of tasks, described as data - on asyncio and trio, triggered by events.

    import anyio
    import tukio

    @tukio.register("greet")
    async def greet(event: tukio.Event) -> dict[str, str]:
        return {"greeting": f"hello {event.data['name']}"}

    async def main() -> None:
        template = tukio.WorkflowTemplate.from_dict({"id": "hello", "tasks": [{"name": "greet"}]})
        async with tukio.Engine() as engine:
            run = await engine.run_once(template, {"name": "world"})
            await run.wait()
            print(run.outputs)

    anyio.run(main)

Describe workflows with `WorkflowTemplate` and `register`, run them with `Engine`, and look at a
`Workflow` and its `TaskRun`s. Inside a task, `current_task()` tells which one it is. All other
exceptions are in `tukio.errors`; what tests need is in `tukio.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _moved, _public, broker, dag, engine, errors, event, task, utils, workflow
from ._events.stream import EventStream
from ._model.policy import ErrorPolicy
from ._model.refusal import Reason, Refusal
from ._model.report_json import report_from_json, report_to_json
from .broker import EXEC_TOPIC, get_broker
from .engine import Engine
from .errors import (
    EngineError,
    RescueError,
    SkipTask,
    TemplateError,
    TukioError,
    TukioTaskError,
    UnknownTaskName,
    WorkflowCancelled,
    WorkflowError,
    WorkflowFailed,
    WorkflowTimedOut,
)
from .event import Event, EventSource
from .task import (
    JoinTask,
    TaskHolder,
    TaskRegistry,
    TaskRun,
    TaskTemplate,
    current_task,
    register,
)
from .utils import FutureState
from .workflow import OverrunPolicy, Workflow, WorkflowTemplate, current_workflow

__all__ = [  # noqa: RUF022 - by topic
    # Describe: tasks, workflows, and what they do about each other.
    "register",
    "TaskHolder",
    "JoinTask",
    "TaskTemplate",
    "WorkflowTemplate",
    "OverrunPolicy",
    "ErrorPolicy",
    # Run: the engine, its runs, and why there is none.
    "Engine",
    "Workflow",
    "TaskRun",
    "FutureState",
    "Refusal",
    "Reason",
    # In a task.
    "current_task",
    "current_workflow",
    "SkipTask",
    "TukioTaskError",
    # Events.
    "Event",
    "EventSource",
    "EventStream",
    "EXEC_TOPIC",
    # Reports.
    "report_to_json",
    "report_from_json",
    # Errors: those that users catch by name; all are in `tukio.errors`.
    "TukioError",
    "EngineError",
    "TemplateError",
    "UnknownTaskName",
    "RescueError",
    "WorkflowError",
    "WorkflowFailed",
    "WorkflowCancelled",
    "WorkflowTimedOut",
    # As in 1.x.
    "TaskRegistry",
    "get_broker",
]

_public.show_public_paths(
    errors, event, dag, broker, engine, workflow, task, utils, package=__name__, names=__all__
)
_moved.install_old_modules()

if not TYPE_CHECKING:
    # Type checkers are to see what is not there.
    __getattr__ = _moved.find_moved
