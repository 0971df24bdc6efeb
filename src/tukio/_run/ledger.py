"""What is kept of what happened to a run, in the order in which it happened.

Owns:   the order of the ends of steps, for the report; and the facts, for whoever keeps them.

A run has one only if its template has a join, whose outcome depends on the order, if its facts are
kept, or if there is one of the few things to keep that most runs have not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.account import as_fact, described
from .._model.facts import ItemEnded, RunClosing, StepEnded
from .._model.step import LOOSE
from .outcome import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from .._model.facts import Fact
    from .._model.shape import Shape
    from .._model.undo_order import Ended
    from .._step.step import LiveStep


class Ledger:
    """The ledger of one run.

    Args:
        keep: Called with each fact as it happens, before anybody else is told; None keeps the
            order alone.

    Attributes:
        order: What is over, in the order of the ends: steps by their numbers; and items, if they
            can be undone, by the number of their task and their place.
        forked_from: The id of the run that this one was made from, by `tukio.again`; None if it was
            not. Here, because a run that was has a ledger.
        appointment: When the run ends at the latest, as its start has said, aware UTC; None if that
            has said nothing. Set by `appoint`, before the start.
    """

    __slots__ = ("appointment", "forked_from", "keep", "order")

    def __init__(self, keep: Callable[[Fact], None] | None = None) -> None:
        self.keep: Callable[[Fact], None] | None = keep
        self.order: list[Ended] = []
        self.forked_from: str | None = None
        self.appointment: datetime | None = None

    def keep_end(self, step: LiveStep, ending: Ending) -> None:
        """Take note of the end of a step."""
        if step.number != LOOSE:
            self.order.append(step.number)
        elif step.is_item and step.template._compensate is not None:
            whole: Any = step.parent
            item: Any = step.template
            self.order.append((whole.number, item.index))
        if self.keep is not None:
            fact = step.end_fact(ending) if step.is_item else _fact_of(step, Ending(*ending))
            if fact is not None:
                self.keep(fact)

    def take_over(self, shape: Shape, facts: Iterable[Fact]) -> None:
        """Keep what happened to the run before it was rescued."""
        numbers = {task.uid: number for number, task in enumerate(shape.tasks)}
        undone = () if shape.closing is None else shape.closing.mapped
        is_closing = False
        for fact in facts:
            is_closing |= isinstance(fact, RunClosing)
            if isinstance(fact, StepEnded) and not is_closing:
                self.order.append(numbers[fact.task])
            elif isinstance(fact, ItemEnded) and fact.task in undone:
                self.order.append((numbers[fact.task], fact.place))
            self.keep_fact(fact)

    def keep_fact(self, fact: Fact) -> None:
        """Take note of anything else."""
        if self.keep is not None:
            self.keep(fact)


def _fact_of(step: LiveStep, ending: Ending) -> StepEnded:
    tasks, instant = step.run.plan.shape.tasks, step.run.backend.wall_time
    return StepEnded(
        task=step.template.uid,
        state=ending.state,
        output=ending.output,
        chosen=None if step.chosen is None else tuple(tasks[number].uid for number in step.chosen),
        error=None if ending.error is None else as_fact(described(ending.error)),
        start=None if step.started_at is None else instant(step.started_at),
        end=instant(ending.at),
        uid=step.uid,
        overran=step.extras.overran,
        attempts=step.extras.attempts,
        handled=step.extras.handled is not None,
    )
