"""What ties a step to those outside its run: it has them when somebody looks at it or listens.

Owns:   its id, the workflow it was handed out with, its mailbox, and who is called at its end.

Most steps have none of these. All in one place, that costs a step nothing but the place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..workflow import Workflow
    from .mailbox import Mailbox
    from .run import TaskRun


class Ties:
    """The ties of one step.

    Attributes:
        uid: Id of the execution; None as long as nobody has asked.
        workflow: Set when the user gets hold of the step: who keeps only that keeps its workflow.
        mailbox: What it receives while it runs; None if it never asked.
        callbacks: What is called with it when it is over, in order.
    """

    __slots__ = ("callbacks", "mailbox", "uid", "workflow")

    def __init__(self) -> None:
        self.uid: str | None = None
        self.workflow: Workflow | None = None
        self.mailbox: Mailbox | None = None
        self.callbacks: list[Callable[[TaskRun], object]] = []
