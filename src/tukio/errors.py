"""Every exception of this library; `TukioError` is the root of all."""

from __future__ import annotations

from ._model.account import RecordedError
from ._model.errors import (
    CleanupTimedOut,
    DAGValidationError,
    EngineError,
    Fault,
    IllegalMove,
    InvalidResult,
    LeftBehind,
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

__all__ = [
    "CleanupTimedOut",
    "DAGValidationError",
    "EngineError",
    "Fault",
    "IllegalMove",
    "InvalidResult",
    "LeftBehind",
    "RecordedError",
    "RescueError",
    "SkipTask",
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
