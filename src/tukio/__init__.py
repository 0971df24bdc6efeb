"""Run workflows - DAGs of tasks, in code or as data - on asyncio and trio, triggered by events.

    import anyio
    import tukio

    @tukio.register
    async def greet(event):
        return {"greeting": f"hello {event.data['name']}"}

    async def main():
        async with tukio.Engine() as engine:
            hello = {"tasks": [{"id": "greet", "name": "greet"}]}
            run = await engine.start(hello, {"name": "world"})
            await run.wait(check=True)
            print(run.output)  # {'greet': {'greeting': 'hello world'}}

    anyio.run(main)

Where to look:

- `register` and `TaskHolder`: what a task is; `TaskTemplate` and `WorkflowTemplate`: all that the
  dict form of a workflow may say.
- `Engine`: start runs (`start`), or load templates and send data (`load`, `data_received`); stop.
- `Workflow`, a run: how it goes and went (`status`, `ok`, `output`, `errors`), its `events()`, its
  `report()`; `cancel` it.
- `tukio.flow`: workflows in code, `fetch >> (left, right) >> show`, where this program has a dict.
- In a task: `current_task()`, the `TaskRun` with its queue of events; `current_engine()`, for runs
  that it starts itself; `run_child()`, for one that it waits for.
- `tukio.errors` has all exceptions, `tukio.testing` what tests need. What the log tells comes from
  loggers below `tukio`.

Of the pages in `docs/`, begin with *Your first hour*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _moved, _public, broker, dag, engine, errors, event, task, utils, workflow
from ._engine.refusal import Refusal
from ._events.stream import EventStream
from ._loop.in_thread import check_cancelled
from ._model.again import again
from ._model.not_started import IdConflict, NotStarted, Reason
from ._model.policy import ErrorPolicy
from ._model.predicates import predicate
from ._model.registered import codec
from ._model.report_json import report_from_json, report_to_json
from ._model.retry import GiveUp, Retry, RetryLater
from ._run.idle import heartbeat
from ._run.run_child import run_child
from .broker import EXEC_TOPIC, get_broker
from .engine import Engine, current_engine
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
    "Retry",
    "predicate",
    # Run: the engine, its runs, and its refusals to start one.
    "Engine",
    "Workflow",
    "TaskRun",
    "FutureState",
    "Refusal",
    "Reason",
    # In a task.
    "check_cancelled",
    "current_engine",
    "current_task",
    "current_workflow",
    "heartbeat",
    "run_child",
    "SkipTask",
    "TukioTaskError",
    "GiveUp",
    "RetryLater",
    # Events.
    "Event",
    "EventSource",
    "EventStream",
    "EXEC_TOPIC",
    # Reports.
    "codec",
    "report_to_json",
    "report_from_json",
    "again",
    # Errors that users catch by name; `tukio.errors` has all.
    "TukioError",
    "EngineError",
    "TemplateError",
    "UnknownTaskName",
    "RescueError",
    "NotStarted",
    "IdConflict",
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
