"""The states of runs and tasks, the moves between them, and the names of execution events.

`MOVES` is the life of a run as one table: to allow a new move, add a row. Code elsewhere calls
`after` for the next phase, and never chooses one itself.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .errors import IllegalMove, SkipTask


class FutureState(enum.Enum):
    """The state of a run or of a task, as reports show it.

    Attributes:
        pending: Not started yet, or at work.
        cancelled: Cancelled before the end.
        exception: Ended by an error.
        finished: Ended without an error.
        skipped: (tasks) Had nothing to do; the inputs were passed on.
        suspended: Interrupted, to be run again when the run is resumed.
        timeout: Cancelled because the time limit was reached.
        retried: (tasks) Failed, and the task is run again: this attempt is over, the task is not.
    """

    pending = "pending"
    cancelled = "cancelled"
    exception = "exception"
    finished = "finished"
    skipped = "skipped"
    suspended = "suspended"
    timeout = "timeout"
    # Not in 1.x, and so behind those that were.
    retried = "retried"

    @classmethod
    def get(cls, future: Any) -> FutureState:
        """Return the state of a workflow, a task of one, or any other future.

        Args:
            future: An object with a `state`, or with the methods of a future.
        """
        state = getattr(future, "state", None)
        if isinstance(state, FutureState):
            return state
        if not future.done():
            return cls.pending
        if future.cancelled():
            return cls.cancelled
        error = future.exception()
        if error is None:
            return cls.finished
        return cls.skipped if isinstance(error, SkipTask) else cls.exception

    def done(self) -> bool:
        """Return whether this is the end of a task that a rescue does not run again."""
        return self in {
            FutureState.finished,
            FutureState.skipped,
            FutureState.exception,
            FutureState.timeout,
        }


class WorkflowExecState(enum.Enum):
    """The `type` of the execution events of a run."""

    BEGIN = "workflow-begin"
    END = "workflow-end"
    ERROR = "workflow-error"
    PROGRESS = "workflow-progress"
    SUSPEND = "workflow-suspend"
    RESUME = "workflow-resume"
    CLOSING = "workflow-closing"

    @classmethod
    def values(cls) -> list[str]:
        """Return all event types of a run."""
        return [member.value for member in cls]


class TaskExecState(enum.Enum):
    """The `type` of the execution events of a task."""

    BEGIN = "task-begin"
    END = "task-end"
    ERROR = "task-error"
    SKIP = "task-skip"
    PROGRESS = "task-progress"
    TIMEOUT = "task-timeout"
    CANCEL = "task-cancel"
    STUCK = "task-stuck"
    RETRY = "task-retry"

    @classmethod
    def values(cls) -> list[str]:
        """Return all event types of a task."""
        return [member.value for member in cls]

    @classmethod
    def from_exception(cls, exc: BaseException) -> TaskExecState:
        """Return the event type of a task that ended by `exc`."""
        return cls.SKIP if isinstance(exc, SkipTask) else cls.ERROR


class Phase(enum.Enum):
    """The phase of a run, as its drivers see it."""

    NEW = "not started"
    RUNNING = "running"
    SUSPENDED = "suspended"
    STOPPING = "stopping"
    CLOSING = "closing"
    OVER = "over"

    if not TYPE_CHECKING:
        # The hash of an enum is computed from the name each time; members are only equal to
        # themselves, so the hash by identity is right and fast.
        __hash__ = object.__hash__


class Move(enum.Enum):
    """A move of a run from one phase to another."""

    START = "start"
    SUSPEND = "suspend"
    RESUME = "resume"
    STOP = "stop"
    CLOSE = "close"
    END = "end"

    if not TYPE_CHECKING:
        __hash__ = object.__hash__


MOVES = MappingProxyType(
    {
        (Phase.NEW, Move.START): Phase.RUNNING,
        # A run that never started has nothing to unwind, but still ends once.
        (Phase.NEW, Move.STOP): Phase.STOPPING,
        (Phase.RUNNING, Move.SUSPEND): Phase.SUSPENDED,
        (Phase.RUNNING, Move.STOP): Phase.STOPPING,
        (Phase.RUNNING, Move.END): Phase.OVER,
        (Phase.SUSPENDED, Move.RESUME): Phase.RUNNING,
        (Phase.SUSPENDED, Move.STOP): Phase.STOPPING,
        (Phase.STOPPING, Move.END): Phase.OVER,
        # What undoes and what comes last is run when all else is over; nothing cuts it but its own
        # limit, so there is no other way out.
        (Phase.RUNNING, Move.CLOSE): Phase.CLOSING,
        (Phase.STOPPING, Move.CLOSE): Phase.CLOSING,
        (Phase.CLOSING, Move.END): Phase.OVER,
    }
)


def legal_moves(phase: Phase) -> list[Move]:
    """Return the moves that `phase` accepts, in the order of the table; none when it is over."""
    return [move for from_, move in MOVES if from_ is phase]


def after(phase: Phase, move: Move) -> Phase:
    """Return the phase that `move` leads to from `phase`.

    Raises:
        IllegalMove: `phase` does not accept `move`.
    """
    try:
        return MOVES[phase, move]
    except KeyError:
        allowed = [legal.value for legal in legal_moves(phase)]
        raise IllegalMove(move.value, phase.value, allowed) from None


def diagram() -> str:
    """Return the table as a Mermaid state diagram."""
    rows = [f"    {old.name} --> {new.name}: {move.value}" for (old, move), new in MOVES.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Phase.NEW.name}", *rows])


# Shared by all modules, because these are needed for every run or step: up to Python 3.11 access to
# a member of an enum is slow, and access to its `value` always is.

PENDING: Final = FutureState.pending
CANCELLED: Final = FutureState.cancelled
FAILED: Final = FutureState.exception
FINISHED: Final = FutureState.finished
SKIPPED: Final = FutureState.skipped
RETRIED: Final = FutureState.retried
INTERRUPTED: Final = FutureState.suspended
TIMED_OUT: Final = FutureState.timeout

NEW: Final = Phase.NEW
RUNNING: Final = Phase.RUNNING
SUSPENDED: Final = Phase.SUSPENDED
STOPPING: Final = Phase.STOPPING
CLOSING: Final = Phase.CLOSING
OVER: Final = Phase.OVER

TASK_BEGIN: Final = TaskExecState.BEGIN.value
TASK_END: Final = TaskExecState.END.value

TERMINAL: Final = frozenset({WorkflowExecState.END.value, WorkflowExecState.ERROR.value})
"""The types of the events that end a run."""

EVENT_OF: Final = {
    FINISHED: TASK_END,
    FAILED: TaskExecState.ERROR.value,
    SKIPPED: TaskExecState.SKIP.value,
    RETRIED: TaskExecState.RETRY.value,
    TIMED_OUT: TaskExecState.TIMEOUT.value,
    CANCELLED: TaskExecState.CANCEL.value,
}
"""The type of the event that tells of the end of a task, by the state that the task ended in."""
