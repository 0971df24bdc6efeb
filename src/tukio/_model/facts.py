"""Facts: the history of a run as plain data, in the order in which it happened.

Owns:   the kinds of facts, and their form as data.

A report is read into facts; a live run can keep its facts as they happen. `replay` continues from
both in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from .attempts import read_attempts
from .display import listed, shown
from .findings import is_mapping
from .state import SKIPPED, TIMED_OUT, FutureState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .account import ErrorFact
    from .attempts import Attempt


UNTOLD: Final = ("Exception", "the report does not say what the task raised")
"""The error of a step that failed, in a report without it, as those of 1.x are."""


class RunStarted(NamedTuple):
    """A run started.

    Attributes:
        uid: The execution id of the run.
        start: The time of its start, aware UTC.
        data: The inputs of the root task.
        appointment: When the run ends at the latest, as its start has said, aware UTC; None if that
            has said nothing.
    """

    uid: str
    start: datetime
    data: Any
    appointment: datetime | None = None


class StepEnded(NamedTuple):
    """A step is over, and will never run again.

    Attributes:
        task: The id of the task in the template.
        state: The state that the step ended in.
        output: The output of the step; None if the task returned None.
        chosen: The ids of the successors that the step chose; None for all.
        error: The type and the message of the step's exception, and the rest of its account if
            there is more; None if there was no exception.
        start: The time at which the step began, aware UTC; None if it is unknown.
        end: The time at which the step ended, aware UTC; None if it is unknown.
        uid: The id of the execution; None if it was never asked for.
        inputs: The inputs of the step, in a tuple of one. Empty if the fact does not have them,
            because they follow from the ends of the parents.
        reporting: The result of the holder's `report()`, in a tuple of one; empty if there is none.
        overran: The seconds by which the step ended later than its limit; 0 if it did not.
        attempts: The executions of the task before this one that have failed.
        handled: Whether the step has failed, and leads on all the same: its output is what its
            successors receive.
        child: The report of the run that the step has started, if that must be kept; else None.
    """

    task: str
    state: FutureState
    output: Any
    chosen: tuple[str, ...] | None = None
    error: ErrorFact | None = None
    start: datetime | None = None
    end: datetime | None = None
    uid: str | None = None
    inputs: tuple[Any, ...] = ()
    reporting: tuple[Any, ...] = ()
    overran: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    handled: bool = False
    child: dict[str, Any] | None = None

    @property
    def passes_on(self) -> Any:
        """The data that the successors of the step receive; `inputs` must not be empty."""
        if self.state is SKIPPED or self.output is None:
            return self.inputs[0]
        if self.state is TIMED_OUT and not isinstance(self.output, dict):
            # The result of the `teardown()` cannot be passed on.
            return self.inputs[0]
        return self.output


class StepDue(NamedTuple):
    """A step is to be run, from scratch: it was waiting for its turn, or was at work.

    Attributes:
        task: The id of the task in the template.
        inputs: The inputs of the step.
        begun: Whether the step had begun.
        attempts: The executions before that have failed.
        due: When it is due, aware UTC; None for at once.
        tried: The seconds for which the task was tried so far.
        child: The report of the run that the step has started, which is to go on; None if there is
            none.
    """

    task: str
    inputs: Any
    begun: bool
    attempts: tuple[Attempt, ...] = ()
    due: datetime | None = None
    tried: float = 0.0
    child: dict[str, Any] | None = None

    @property
    def is_first(self) -> bool:
        """Whether the task is run for the first time, at once, and from the start."""
        return not (self.attempts or self.tried or self.child) and self.due is None


class ItemEnded(NamedTuple):
    """An item of a mapped task is over, and will never run again.

    Attributes:
        task: The id of the mapped task in the template.
        place: The place of the item in its list.
        state: The state that the item ended in; not that of one that was cancelled.
        result: What stands for the item in the results; of one that has failed, what is shown as
            its output, or None.
        error: What the item has raised, as facts have it, also if it has not failed by that; None
            if there was nothing.
        child: The report of the run that the item was, if that must be kept; else None.
    """

    task: str
    place: int
    state: FutureState
    result: Any
    error: ErrorFact | None = None
    child: dict[str, Any] | None = None


class ItemDue(NamedTuple):
    """An item of a mapped task is to be run, and has begun before.

    Attributes:
        task: The id of the mapped task in the template.
        place: The place of the item in its list.
        attempts: The executions before that have failed.
        due: When it is due, aware UTC; None for at once.
        tried: The seconds for which the item was tried so far.
        child: The report of the run that the item is, which is to go on; None if there is none.
    """

    task: str
    place: int
    attempts: tuple[Attempt, ...]
    due: datetime | None = None
    tried: float = 0.0
    child: dict[str, Any] | None = None

    @property
    def is_first(self) -> bool:
        """Whether the item is run for the first time, at once: it has only begun before."""
        return not (self.attempts or self.tried or self.child) and self.due is None


class RunSuspended(NamedTuple):
    """The run was suspended."""


class RunResumed(NamedTuple):
    """The run was resumed."""


class RunStopped(NamedTuple):
    """The run was told to stop; none of its steps starts any more.

    Attributes:
        ending: The state that the run will end in.
        final: Whether this is the end of the run itself; False if only its engine ends.
    """

    ending: FutureState
    final: bool


class RunClosing(NamedTuple):
    """All of the run is over but what undoes it, and what comes last.

    The steps that end from now on are of those, and not of the graph.

    Attributes:
        ending: The state that the run will end in.
    """

    ending: FutureState


class RunEnded(NamedTuple):
    """The run is over.

    Attributes:
        ending: The state that the run ended in.
        end: The time of its end, aware UTC.
    """

    ending: FutureState
    end: datetime


Fact: TypeAlias = (
    RunStarted
    | StepEnded
    | StepDue
    | ItemEnded
    | ItemDue
    | RunSuspended
    | RunResumed
    | RunStopped
    | RunClosing
    | RunEnded
)

KINDS: Final[dict[str, type[Any]]] = {
    "run-started": RunStarted,
    "step-ended": StepEnded,
    "step-due": StepDue,
    "item-ended": ItemEnded,
    "item-due": ItemDue,
    "run-suspended": RunSuspended,
    "run-resumed": RunResumed,
    "run-stopped": RunStopped,
    "run-closing": RunClosing,
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
    if "attempts" in body:
        body["attempts"] = [made.as_dict() for made in body["attempts"]]
    return body


def from_body(body: Any) -> Fact:
    """Return the fact that `to_body` made a dict of; the dict may have lists for its tuples.

    Raises:
        ValueError: The dict is not that of a fact.
    """
    if not isinstance(body, dict):
        msg = f"{shown(body)} is not the body of a fact"
        raise ValueError(msg)  # noqa: TRY004 - as any other body that is none
    fields = dict(body)
    kind = KINDS.get(str(fields.pop("kind", None)))
    if kind is None:
        msg = f"{shown(body.get('kind'))} is no kind of fact - known: {listed(KINDS)}"
        raise ValueError(msg)
    _restore_fields(body, fields, kind)
    try:
        fact: Fact = kind(**fields)
    except TypeError as error:
        msg = f"{shown(body)} has not the fields of a {body['kind']} - {error}"
        raise ValueError(msg) from error
    return fact


def _attempts(body: Mapping[str, Any], made: Any) -> tuple[Attempt, ...]:
    try:
        return read_attempts(made, lambda time: time)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{shown(body)} has not the attempts of a {body['kind']} - {shown(error)}"
        raise ValueError(msg) from error


def _restore_fields(body: Mapping[str, Any], fields: dict[str, Any], kind: type[Any]) -> None:
    """Make what the fields were of what they are as data."""
    for name in _STATES:
        if name in fields:
            fields[name] = FutureState(fields[name])
    for name in ("chosen", "error", "reporting") + (("inputs",) if kind is StepEnded else ()):
        if isinstance(fields.get(name), list):
            fields[name] = tuple(fields[name])
    if "attempts" in fields:
        fields["attempts"] = _attempts(body, fields["attempts"])
    child = fields.get("child")
    if not (child is None or is_mapping(child)):
        msg = f"{shown(body)} has not the child of a {body['kind']}"
        raise ValueError(msg)
