"""Every exception of this library; `TukioError` is the root of all."""

from __future__ import annotations

from ._model.account import RecordedError
from ._model.errors import (
    DAGValidationError,
    EngineError,
    Fault,
    IllegalMove,
    InvalidResult,
    LeftBehind,
    NotAwaited,
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
from ._model.invalid_input import InvalidInput, Misfit
from ._model.no_items import NoItems
from ._model.not_started import IdConflict, NotStarted
from ._model.process_failed import ProcessFailed
from ._model.retry import GiveUp, RetryLater
from ._model.task_ends import CleanupTimedOut, TaskCancelled, TaskTimedOut

__all__ = [
    "CleanupTimedOut",
    "DAGValidationError",
    "EngineError",
    "Fault",
    "GiveUp",
    "IdConflict",
    "IllegalMove",
    "InvalidInput",
    "InvalidResult",
    "LeftBehind",
    "Misfit",
    "NoItems",
    "NotAwaited",
    "NotStarted",
    "ProcessFailed",
    "RecordedError",
    "RescueError",
    "RetryLater",
    "SkipTask",
    "TaskCancelled",
    "TaskTimedOut",
    "TemplateError",
    "TemplateGraphError",
    "TukioError",
    "TukioTaskError",
    "UnknownTaskName",
    "WorkflowCancelled",
    "WorkflowError",
    "WorkflowFailed",
    "WorkflowRootTaskError",
    "WorkflowTimedOut",
]
