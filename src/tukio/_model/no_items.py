"""The error of a mapped task that has found no list of items."""

from __future__ import annotations

from .errors import TukioError


class NoItems(TukioError, TypeError):
    """A mapped task has found no list by its path, or one with too many items; no item has begun.

    Attributes:
        task_id: The id of the task in its template.
        path: The path, as the template has it.
        problem: What is there instead, as part of a sentence. It names types, and no values.
    """

    def __init__(self, task_id: str, path: str, problem: str) -> None:
        super().__init__(task_id, path, problem)
        self.task_id: str = task_id
        self.path: str = path
        self.problem: str = problem

    def __str__(self) -> str:
        return f"task {self.task_id!r} has no items: {self.problem}"
