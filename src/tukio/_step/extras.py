"""The optional parts of a step, which most steps do not have.

Owns:   which parts there are; who needs one makes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import anyio

    from .._model.attempts import Attempt
    from .callbacks import Callbacks
    from .child import CallsOfStep, ChildOfStep
    from .items import Work
    from .mailbox import Mailbox
    from .signs import Signs


class Extras:
    """Optional parts of a step, created on first use; most steps have none.

    Attributes:
        uid: The id of the execution, made on first use; never changed then.
        workflow: The workflow, for user code that keeps only the step; set by `_keep_workflow`.
        mailbox: The mailbox of the step, made on first use; never changed then.
        callbacks: Functions that are called with the step when the step is over, in this order.
            None if there are none, and from then on.
        over: Set when the step is over, and replaced by None. Made by the first that waits, so that
            thousands may wait, and give up, one by one.
        replaced_by: The step that runs the task again, if this one was interrupted; else None. Set
            once, by `hand_over`.
        progress: The instant and the content of the newest progress; None if there is none.
        attempts: The executions of the task before this one that have failed.
        due: When this one begins, on the clock of the run, if it waits for that; else None.
        first_at: When the first attempt began, likewise; None if this is the first.
        overran: By how many seconds the step ended later than its limit; 0 if it did not.
        handled: What the step has failed with, if the run goes on from that; else None.
        signs: The signs of life of the step; None unless its task has an `idle_timeout`.
        child: The run that the step is, or the report of that; None if it is none.
        calls: The runs that the code of the task has started; None if there are none.
        items: The items of the step; None unless its task is mapped.
    """

    __slots__ = (
        "attempts",
        "callbacks",
        "calls",
        "child",
        "due",
        "first_at",
        "handled",
        "items",
        "mailbox",
        "over",
        "overran",
        "progress",
        "replaced_by",
        "signs",
        "uid",
        "workflow",
    )

    def __init__(self) -> None:
        self.uid: str | None = None
        self.workflow: Any = None
        self.mailbox: Mailbox | None = None
        self.callbacks: Callbacks | None = None
        self.over: anyio.Event | None = None
        self.replaced_by: Any = None
        self.overran: float = 0.0
        self.progress: tuple[float, Any] | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.due: float | None = None
        self.first_at: float | None = None
        self.handled: BaseException | None = None
        self.signs: Signs | None = None
        self.child: ChildOfStep | None = None
        self.calls: CallsOfStep | None = None
        self.items: Work | None = None
