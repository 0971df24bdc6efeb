"""Errors that stand for the end of a task that was cut, and did not go well."""

from __future__ import annotations

from .errors import TukioError


def more_than_once(uid: str) -> str:
    """Return the message of the group with all errors of a task that has several."""
    return f"task {uid!r} failed more than once"


class TaskTimedOut(TukioError, TimeoutError):
    """A task has reached its time limit.

    In `Workflow.unhandled`, and in what `wait(check=True)` raises, unless its template says
    `on_timeout: continue`. In `Workflow.errors`, and what the task has failed with, if its template
    says `on_timeout: fail`.

    Attributes:
        task_id: The id of the task in its template.
        limit: The limit, in seconds; None if the task was cut as if it had reached one.
        idle: Whether the limit is the `idle_timeout` of the task: it has shown no sign of life for
            so long.
    """

    def __init__(
        self,
        task_id: str,
        limit: float | None,
        idle: bool = False,  # noqa: FBT001, FBT002 - by its place, for pickle
    ) -> None:
        super().__init__(task_id, limit)
        # Set, because an OSError takes a third argument for the name of a file.
        self.args: tuple[object, ...] = (task_id, limit, idle) if idle else (task_id, limit)
        self.task_id: str = task_id
        self.limit: float | None = limit
        self.idle: bool = idle

    def __str__(self) -> str:
        if self.idle and self.limit:
            return f"task {self.task_id!r} has shown no sign of life for {self.limit:g} s"
        limit = "" if not self.limit else f" of {self.limit:g} s"
        return f"task {self.task_id!r} has reached its time limit{limit}"


class TaskCancelled(TukioError):
    """A task was cancelled, and its run was not.

    In `Workflow.unhandled`, and in what `wait(check=True)` raises; not in `Workflow.errors`.

    Attributes:
        task_id: The id of the task in its template.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id: str = task_id

    def __str__(self) -> str:
        return f"task {self.task_id!r} was cancelled, and nothing that follows it was run"


class CleanupTimedOut(TukioError, TimeoutError):
    """A clean-up was cut, or not begun, because it had no time left.

    Either the `teardown()` of a task has taken longer than the clean-up limit of the engine; or
    what undoes a task, or comes last in a run, was not over within the `closing_timeout`.

    Attributes:
        task_id: The id of the task in its template.
        limit: The limit, in seconds.
        closing: Whether it is the limit of closing.
    """

    def __init__(
        self,
        task_id: str,
        limit: float,
        closing: bool = False,  # noqa: FBT001, FBT002 - by its place, for pickle
    ) -> None:
        super().__init__(task_id, limit)
        # Set, because an OSError takes a third argument for the name of a file.
        self.args: tuple[object, ...] = (task_id, limit, closing) if closing else (task_id, limit)
        self.task_id: str = task_id
        self.limit: float = limit
        self.closing: bool = closing

    def __str__(self) -> str:
        if self.closing:
            return (
                f"task {self.task_id!r} was not over within the {self.limit:g} s that its run has"
                " to close - make it shorter or raise the closing_timeout of the workflow"
            )
        return (
            f"teardown of task {self.task_id!r} was cut after {self.limit:g} s"
            " - make it shorter or raise the engine's cleanup_timeout"
        )
