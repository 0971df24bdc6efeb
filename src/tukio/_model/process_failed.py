"""The failure of a task in its process, where there is no exception that could be passed on."""

from __future__ import annotations

from .errors import TukioError


class ProcessFailed(TukioError, RuntimeError):
    """The process of a task has died, or raised what cannot leave it.

    Attributes:
        place: Where the function of the task is defined.
        reason: What has happened, as part of a sentence.
        exit_code: The exit code of the process, the number of a signal below 0; None if the process
            is alive.
    """

    def __init__(self, place: str, reason: str, exit_code: int | None = None) -> None:
        super().__init__(place, reason, exit_code)
        self.place: str = place
        self.reason: str = reason
        self.exit_code: int | None = exit_code

    def __str__(self) -> str:
        return f"{self.place} has failed in its process: {self.reason}"
