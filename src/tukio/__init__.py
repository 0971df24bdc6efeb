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
`Workflow` and its `TaskRun`s. Inside a task, `current_task()` returns its `TaskRun`. All other
exceptions are in `tukio.errors`; tools for tests are in `tukio.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _moved, _public, broker, dag, engine, errors, event, task, utils, workflow
from ._events.stream import EventStream
from ._model.policy import ErrorPolicy
from ._model.refusal import Reason, Refusal
from ._model.registered import codec
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
    # Describe: tasks, workflows, and their policies.
    "register",
    "TaskHolder",
    "JoinTask",
    "TaskTemplate",
    "WorkflowTemplate",
    "OverrunPolicy",
    "ErrorPolicy",
    # Run: the engine, its runs, and its refusals to start one.
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
    "codec",
    "report_to_json",
    "report_from_json",
    # Errors that users catch by name; `tukio.errors` has all.
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
    # Hidden from type checkers, which are to report names that do not exist.
    __getattr__ = _moved.find_moved
