"""An event-driven workflow engine on structured concurrency, for asyncio, uvloop and trio.

The layers, from the ground up; each imports only what is above it here:

- decides (values and synchronous rules, standard library only): `errors`, `event`, `dag`,
  `state`, `policy`, `refusal`, `registry`, `faults`, `template`, `selector`, `encoding`,
  `report`, `plan`
- carries out (anyio): `coroutines`, `task` (one step), `workers`, `subscription`, `broker`,
  `stream`, `outcome`, `suspension`, `watchdog`, `run`, `driver`, `workflow`, `ports`,
  `instances`, `engine`
"""

from __future__ import annotations

from .broker import EXEC_TOPIC, Broker, TopicManager, get_broker
from .dag import DAG
from .encoding import report_from_json, report_to_json
from .engine import Engine
from .errors import (
    CleanupTimedOut,
    DAGValidationError,
    EngineError,
    Fault,
    IllegalMove,
    InvalidResult,
    RecordedError,
    RescueError,
    SkipTask,
    TemplateError,
    TemplateGraphError,
    TukioError,
    TukioTaskError,
    UnknownTaskName,
    WorkflowCancelled,
    WorkflowError,
    WorkflowFailed,
    WorkflowRootTaskError,
    WorkflowTimedOut,
)
from .event import Event, EventSource
from .policy import ErrorPolicy, OverrunPolicy
from .refusal import Reason, Refusal
from .registry import TaskRegistry, register
from .state import FutureState
from .stream import EventStream
from .task.current import current_task
from .task.holder import TaskHolder
from .task.join import JoinTask
from .task.run import TaskRun
from .template import TaskTemplate, WorkflowTemplate
from .workflow import Workflow, current_workflow

__all__ = [
    "DAG",
    "EXEC_TOPIC",
    "Broker",
    "CleanupTimedOut",
    "DAGValidationError",
    "Engine",
    "EngineError",
    "ErrorPolicy",
    "Event",
    "EventSource",
    "EventStream",
    "Fault",
    "FutureState",
    "IllegalMove",
    "InvalidResult",
    "JoinTask",
    "OverrunPolicy",
    "Reason",
    "RecordedError",
    "Refusal",
    "RescueError",
    "SkipTask",
    "TaskHolder",
    "TaskRegistry",
    "TaskRun",
    "TaskTemplate",
    "TemplateError",
    "TemplateGraphError",
    "TopicManager",
    "TukioError",
    "TukioTaskError",
    "UnknownTaskName",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowError",
    "WorkflowFailed",
    "WorkflowRootTaskError",
    "WorkflowTemplate",
    "WorkflowTimedOut",
    "current_task",
    "current_workflow",
    "get_broker",
    "register",
    "report_from_json",
    "report_to_json",
]
