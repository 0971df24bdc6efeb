"""The runs of one template, and what new data for the template leads to.

Owns:   the state that the overrun policies decide by.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._model.policy import Decision, OverrunPolicy, decide

if TYPE_CHECKING:
    from .._run.run import Run

# Looked up for every run; up to Python 3.11, access to a member of an enum is slow.
START, START_NEW = Decision.START, OverrunPolicy.START_NEW


@dataclass(slots=True)
class Replacement:
    """A run that waits to replace others.

    Attributes:
        run: The run, not started; it has the event that it is to be started with.
        replaces: The runs that must be over first; each is removed when it is over.
    """

    run: Run
    replaces: set[Run]


class RunsOfTemplate:
    """The runs of one template, and the state that decides about its next trigger.

    Attributes:
        runs: The runs that are not over, in the order they were added, each with its number among
            all runs of the engine. Changed only by `add` and `remove`.
        replacement: The run that waits to replace all others of the template, itself in `runs`;
            None if there is none. A later replacement takes its place.
    """

    __slots__ = ("_locked", "replacement", "runs")

    def __init__(self) -> None:
        self.runs: dict[Run, int] = {}
        self.replacement: Replacement | None = None
        # Contains every locked run, in the order they were added, and perhaps some that were
        # unlocked: a run is never locked again, so one at the front that is unlocked is dropped for
        # good. Ordered, because the front of a dict is looked for among all that was removed there.
        # None until a run is locked.
        self._locked: OrderedDict[Run, None] | None = None

    def add(self, run: Run, number: int) -> None:
        """Add a run that has not started."""
        self.runs[run] = number
        if run.locked:
            if self._locked is None:
                self._locked = OrderedDict()
            self._locked[run] = None

    def remove(self, run: Run) -> None:
        """Remove a run that is over, also as a replacement and from those to be replaced."""
        # Again, perhaps, if Ctrl-C has cut the removal.
        self.runs.pop(run, None)
        if self._locked is not None:
            self._locked.pop(run, None)
        if self.replacement is None:
            return
        self.replacement.replaces.discard(run)
        if self.replacement.run is run:
            self.replacement = None

    def decide(self, policy: OverrunPolicy) -> Decision:
        """Return what new data leads to.

        The time that this takes does not grow with the number of runs in progress, whatever the
        policies were that these were started by.
        """
        if policy is START_NEW:
            # A shortcut for the rules: with this policy other runs never matter.
            return START
        return decide(policy, running=len(self.runs), locked=self._count_locked())

    def _count_locked(self) -> int:
        """Return the number of locked runs, or more; 0 only if there is none."""
        if self._locked is None:
            return 0
        while self._locked and not next(iter(self._locked)).locked:
            self._locked.popitem(last=False)
        return len(self._locked)

    def replace_all(self, run: Run) -> list[Run]:
        """Let a run, added last, wait until all others are over; return those to be stopped.

        An earlier replacement is among the others, and ends with them. The runs that it waited for
        were told to stop then: they are not looked at again, however many they are.
        """
        earlier = self.replacement
        replaces: set[Run] = set() if earlier is None else earlier.replaces
        others: list[Run] = []
        for other in reversed(self.runs):
            if other is not run:
                others.append(other)
                if earlier is not None and other is earlier.run:
                    break
        replaces.update(others)
        self.replacement = Replacement(run, replaces)
        return others[::-1]
