"""What happened to a run, as plain data in the order in which it happened.

Owns:   the kinds of facts, and their form as data.

A report is read into facts, and whoever keeps the facts of a live run has them as they are. Both
lead on by one road, `replay`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from .display import listed, shown
from .state import SKIPPED, TIMED_OUT, FutureState

if TYPE_CHECKING:
    from datetime import datetime


class RunStarted(NamedTuple):
    """A run started.

    Attributes:
        uid: Its id.
        start: When, aware UTC.
        data: What its root task was given.
    """

    uid: str
    start: datetime
    data: Any


class StepEnded(NamedTuple):
    """A step is over, and will never run again.

    Attributes:
        task: Id of the task in the template.
        state: How it ended.
        output: What it returned; None if it returned None.
        chosen: Ids of the successors it chose; None for all.
        error: Type and message of what it raised; None if it did not.
        start: When it began, aware UTC; None if nobody knows.
        end: When it ended, likewise.
        uid: Id of the execution; None if nobody has asked for it.
        inputs: What it was given, in a tuple; empty if the fact does not tell, as it follows from
            the ends of its parents.
        reporting: What its holder's `report()` returned, in a tuple; empty if it has none.
    """

    task: str
    state: FutureState
    output: Any
    chosen: tuple[str, ...] | None = None
    error: tuple[str, str] | None = None
    start: datetime | None = None
    end: datetime | None = None
    uid: str | None = None
    inputs: tuple[Any, ...] = ()
    reporting: tuple[Any, ...] = ()

    @property
    def passes_on(self) -> Any:
        """What its successors receive, if there are any to come; needs its `inputs`."""
        if self.state is SKIPPED or self.output is None:
            return self.inputs[0]
        if self.state is TIMED_OUT and not isinstance(self.output, dict):
            # What its `teardown()` returned could not be passed on.
            return self.inputs[0]
        return self.output


class StepDue(NamedTuple):
    """A step is to be run, from scratch: it waited for its turn, or was at work.

    Attributes:
        task: Id of the task in the template.
        inputs: What it was given.
        begun: Whether it had begun.
    """

    task: str
    inputs: Any
    begun: bool


class RunSuspended(NamedTuple):
    """The run was suspended."""


class RunResumed(NamedTuple):
    """The run was resumed."""


class RunStopped(NamedTuple):
    """The run was told to stop; nothing of it starts any more.

    Attributes:
        ending: How it will end.
        final: Whether that is the end of the run, and not only of the engine.
    """

    ending: FutureState
    final: bool


class RunEnded(NamedTuple):
    """The run is over.

    Attributes:
        ending: How it ended.
        end: When, aware UTC.
    """

    ending: FutureState
    end: datetime


Fact: TypeAlias = (
    RunStarted | StepEnded | StepDue | RunSuspended | RunResumed | RunStopped | RunEnded
)

KINDS: Final[dict[str, type[Any]]] = {
    "run-started": RunStarted,
    "step-ended": StepEnded,
    "step-due": StepDue,
    "run-suspended": RunSuspended,
    "run-resumed": RunResumed,
    "run-stopped": RunStopped,
    "run-ended": RunEnded,
}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}
_STATES: Final = ("state", "ending")


def to_body(fact: Fact) -> dict[str, Any]:
    """Return a fact as a dict: its `kind`, and its fields by name; states by their values."""
    body: dict[str, Any] = {"kind": _NAMES[type(fact)], **fact._asdict()}
    for name in _STATES:
        # Not wherever there is one: it may be what a task returned.
        if name in body:
            body[name] = body[name].value
    return body


def from_body(body: Any) -> Fact:
    """Return the fact that `to_body` made a dict of; lists in place of its tuples will do.

    Raises:
        ValueError: It is not the dict of a fact.
    """
    if not isinstance(body, dict):
        msg = f"{shown(body)} is not the body of a fact"
        raise ValueError(msg)  # noqa: TRY004 - as any other body that is none
    fields = dict(body)
    kind = KINDS.get(str(fields.pop("kind", None)))
    if kind is None:
        msg = f"{shown(body.get('kind'))} is no kind of fact - known: {listed(KINDS)}"
        raise ValueError(msg)
    for name in _STATES:
        if name in fields:
            fields[name] = FutureState(fields[name])
    for name in ("chosen", "error", "reporting") + (("inputs",) if kind is StepEnded else ()):
        if isinstance(fields.get(name), list):
            fields[name] = tuple(fields[name])
    try:
        fact: Fact = kind(**fields)
    except TypeError as error:
        msg = f"{shown(body)} has not the fields of a {body['kind']} - {error}"
        raise ValueError(msg) from error
    return fact
