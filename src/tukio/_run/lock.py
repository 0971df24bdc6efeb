"""The lock of a run, which keeps data from starting another one (policy `skip-until-unlock`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .._loop.contract import Backend


class LockedRun(Protocol):
    """A run, as far as its lock is concerned."""

    locked: bool

    @property
    def backend(self) -> Backend:
        """Where the run is."""
        ...


class Lock:
    """The lock of a workflow, as code written for 1.x sees it.

    Args:
        run: The run of the workflow.
    """

    __slots__ = ("_run",)

    def __init__(self, run: LockedRun) -> None:
        self._run: LockedRun = run

    def locked(self) -> bool:
        """Return whether it keeps data from starting another run."""
        return self._run.locked

    def release(self) -> None:
        """Release the lock: new data may start another run.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self._run.backend.check_here()
        self._run.locked = False
