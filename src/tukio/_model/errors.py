"""Every exception that this library raises on purpose.

`TukioError` is the root. A message has two parts: the problem and, after the dash, advice. The
facts are attributes and are also `args`, so programs need not parse the words, and an error
survives `pickle` and `copy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self, cast

from .display import name_of, nearest, shown, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOT_IMPORTED: Final = "is the module that registers it imported?"
"""What may be amiss if a name is not registered: nothing else tells of such a module."""


class TukioError(Exception):
    """Root of all exceptions of this library."""


class SkipTask(TukioError):
    """Raised by a task that has nothing to do: its inputs are passed on to the next tasks.

    Attributes:
        reason: The reason, in the task's own words; None if the task gave none.
    """

    def __init__(self, reason: object = None) -> None:
        super().__init__(reason)
        self.reason: object = reason


class TukioTaskError(TukioError):
    """Raised by a task to fail with an output.

    The branch stops as after any error; the report and the `task-error` event carry the output.

    Attributes:
        task_outputs: The output, any object.
    """

    def __init__(self, output: object = None) -> None:
        super().__init__(output)
        self.task_outputs: object = output


class WorkflowError(TukioError):
    """An error about a workflow or its template."""


class DAGValidationError(TukioError):
    """A graph is not a directed acyclic graph."""


class TemplateGraphError(WorkflowError, KeyError):
    """The graph of a template names a task that the template does not have."""

    def __str__(self) -> str:
        # KeyError would show the `repr` of its argument, which is a sentence here.
        return " ".join(str(fact) for fact in self.args)


class WorkflowRootTaskError(WorkflowError):
    """A template does not have exactly one root task; nothing was loaded or started.

    Attributes:
        count: The number of root tasks that were found.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count: int = count

    def __str__(self) -> str:
        return (
            f"expected one root task, found {self.count}"
            " - a workflow starts at the single task that no other task leads to"
        )


class UnknownTaskName(TukioError, LookupError):
    """A task name is not registered; nothing was loaded or started.

    Attributes:
        name: The name that was looked up.
        known: The registered names, sorted.
    """

    def __init__(self, name: object = None, known: Iterable[object] = ()) -> None:
        self.name: object = name
        self.known: tuple[str, ...] = tuple(sorted(map(str, known)))
        super().__init__(name, self.known)

    def __str__(self) -> str:
        advice = nearest(self.name, self.known, NOT_IMPORTED)
        return f"no task is registered as {shown(self.name)} - {advice}"


class Fault(NamedTuple):
    """One fault of a template.

    Attributes:
        path: The path of the fault in the dict form: `graph.f2[1]`; empty for the template itself.
        problem: The problem, as part of a sentence.
        advice: A remedy, as part of a sentence.
        kind: The type of the exception that this fault alone would have raised in 1.x.
        facts: The arguments of an exception of that type.
        place: Where in the code the task is said that the fault is about; empty for a document.
    """

    path: str
    problem: str
    advice: str
    kind: type[Exception] = ValueError
    facts: tuple[object, ...] = ()
    place: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.problem}; {self.advice}" + (f" ({self.place})" if self.place else "")


class TemplateError(WorkflowError):
    """A template has faults; nothing was built, loaded or started.

    The error holds all faults. It is an instance of each fault's `kind` as well, so that code for
    1.x (`except DAGValidationError`, `except KeyError`, ...) catches it. It also has the attributes
    of that kind, with the values of the first such fault.

    Attributes:
        faults: Every fault found, in the order of the document.
    """

    def __new__(cls, faults: Sequence[Fault] = ()) -> Self:
        """Make an instance of a class that derives from every kind among the faults."""
        kinds = tuple(
            dict.fromkeys(fault.kind for fault in faults if fault.kind not in cls.__mro__)
        )
        if not kinds:
            return super().__new__(cls, faults)
        # Without the kinds that have a subclass among the others: these would break the method
        # resolution order.
        lowest = tuple(
            kind for kind in kinds if not any(k is not kind and issubclass(k, kind) for k in kinds)
        )
        mixed = type(cls.__name__, (cls, *lowest), {"__module__": cls.__module__})
        return super().__new__(cast("type[Self]", mixed), faults)

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        for fault in reversed(faults):
            if fault.facts:
                vars(self).update(vars(fault.kind(*fault.facts)))
        self.faults: tuple[Fault, ...] = tuple(faults)
        self.args: tuple[object, ...] = (self.faults,)

    def __reduce__(
        self,
    ) -> tuple[type[TemplateError], tuple[tuple[Fault, ...]], dict[str, object]]:
        return TemplateError, (self.faults,), vars(self)  # which has the notes, too

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return str(self.faults[0])
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        return f"{len(self.faults)} faults in the template:{lines}"


class RescueError(WorkflowError):
    """A report cannot be continued; nothing was registered or started.

    Attributes:
        uid: The execution id in the report; None if there is none.
        reason: The reason why the report cannot be continued.
    """

    def __init__(self, uid: object, reason: str) -> None:
        super().__init__(uid, reason)
        self.uid: object = uid
        self.reason: str = reason

    def __str__(self) -> str:
        return f"cannot rescue workflow {shown(self.uid)} from its report: {self.reason}"


class IllegalMove(TukioError, RuntimeError):
    """A run was asked for a move that its present state does not allow; nothing changed.

    Attributes:
        move: The move that was asked for.
        state: The state that the run is in, and stays in.
        allowed: The moves that would have been accepted.
    """

    def __init__(self, move: str, state: str, allowed: Sequence[str] = ()) -> None:
        super().__init__(move, state, tuple(allowed))
        self.move: str = move
        self.state: str = state
        self.allowed: tuple[str, ...] = tuple(allowed)

    def __str__(self) -> str:
        choices = ", ".join(self.allowed)
        advice = f"it can: {choices}" if choices else "it is over; start another run"
        return f"cannot {self.move} a workflow that is {self.state} - {advice}"


class EngineError(TukioError, RuntimeError):
    """An engine was used in a wrong way, loop or thread; nothing was started."""


class InvalidResult(TukioError, TypeError):
    """A task that has successors returned an object that cannot be passed on to them.

    Attributes:
        task_id: The id of the task in its template.
        result_type: The name of the object's type.
    """

    def __init__(self, task_id: str, result_type: str) -> None:
        super().__init__(task_id, result_type)
        self.task_id: str = task_id
        self.result_type: str = result_type

    def __str__(self) -> str:
        return (
            f"task {self.task_id!r} returned a {self.result_type}, which its successors cannot"
            " receive - return a dict, an Event, or None to pass the inputs on"
        )


class NotAwaited(InvalidResult):
    """A task returned what is to be awaited, as a coroutine, and nobody has awaited it.

    Attributes:
        task_id: The id of the task in its template.
        result_type: The name of the object's type.
    """

    def __str__(self) -> str:
        return (
            f"task {self.task_id!r} returned a {self.result_type}, and not the result of awaiting"
            " it - is an 'await' missing?"
        )


class LeftBehind(TukioError, RuntimeError):
    """A task is over, and has left something open that would have reached the next one.

    The task itself has ended as it did, and no other was harmed.

    Attributes:
        task_id: The id of the task in its template.
        what: What was left open.
    """

    def __init__(self, task_id: str, what: str) -> None:
        super().__init__(task_id, what)
        self.task_id: str = task_id
        self.what: str = what

    def __str__(self) -> str:
        return (
            f"task {self.task_id!r} has left {self.what} open - close a generator that is not read"
            " to its end, as by contextlib.aclosing(...), and leave each scope where it was entered"
        )


class WorkflowCancelled(WorkflowError):
    """The awaited workflow was cancelled.

    Attributes:
        uid: The execution id of the workflow.
        reason: The reason that `cancel` was given; None if there is none.
    """

    def __init__(self, uid: str, reason: str | None = None) -> None:
        super().__init__(*((uid,) if reason is None else (uid, reason)))
        self.uid: str = uid
        self.reason: str | None = reason

    def __str__(self) -> str:
        why = "" if self.reason is None else f": {self.reason}"
        return f"workflow {self.uid} was cancelled{why}"


class WorkflowTimedOut(WorkflowCancelled, TimeoutError):
    """The awaited workflow reached its time limit and was cancelled."""

    def __str__(self) -> str:
        return f"workflow {self.uid} reached its time limit"


class WorkflowFailed(ExceptionGroup[Exception], WorkflowError):
    """A workflow ended because of errors; the group holds all of them.

    Raised for a template with `on_error: "abort"` whose task failed, and for a run that could not
    go on for a reason outside its tasks.
    """

    def derive(self, excs: Sequence[Exception]) -> WorkflowFailed:  # type: ignore[override]  # it is for one type of error only
        """Return a group of the same type; called when `except*` or a task group splits one."""
        return WorkflowFailed(self.message, excs)


def as_exception(error: BaseException) -> Exception:
    """Return an error that an `ExceptionGroup` can hold: itself, or an exception that wraps it."""
    if isinstance(error, Exception):
        return error
    wrapped = TukioError(f"a task raised {name_of(error)}: {text_of(error)}")
    wrapped.__cause__ = error
    return wrapped


def failure_of(
    template_id: str, errors: Mapping[str, BaseException], how: str = "failed"
) -> WorkflowFailed:
    """Return what a run has failed with, for the errors of its tasks.

    It never fails itself, however little there is to make it of: a run must come to its end. `how`
    is that end, as part of a sentence.
    """
    message = f"workflow {template_id!r} {how}"
    try:
        group = [as_exception(error) for error in errors.values()]
        return WorkflowFailed(message, group or [TukioError("nothing is known of the error")])
    except Exception:  # noqa: BLE001 - what users raise may refuse to be shown or held
        return WorkflowFailed(message, [TukioError("its errors cannot be shown")])
