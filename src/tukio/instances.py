"""The runs of an engine that are not over, and those that wait for others to end.

Owns:   the list of runs by template, what the overrun policies do to it, and the heirs: runs that
        start when those are over which they replace.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import partial
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING

import anyio

from .policy import Decision, OverrunPolicy, decide
from .state import FutureState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .event import Event
    from .run import Run
    from .template import WorkflowTemplate
    from .workflow import Workflow

# Looked up for every run; up to Python 3.11 a member of an enum is worked out each time.
START, START_NEW = Decision.START, OverrunPolicy.START_NEW

log: logging.Logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Heir:
    """A run that waits, the event to start it with, and those of whom it takes the place."""

    run: Run
    event: Event
    replaces: set[Run]
    call_off: Callable[[], None] | None = None

    def keep_time(self) -> None:
        """Cancel it at its deadline: while it waits, it has no host to do that."""
        self.leave()
        if self.run.deadline < math.inf:
            stop = partial(self.run.stop, FutureState.cancelled)
            self.call_off = self.run.port.call_at(self.run.deadline, stop)

    def leave(self) -> None:
        """Learn that it does not wait any more."""
        if self.call_off is not None:
            self.call_off()
            self.call_off = None


class _Family:
    """The runs of one template, and what the next trigger has to know of them."""

    __slots__ = ("_locked", "heir", "runs")

    def __init__(self) -> None:
        # In the order they were added, each with its number among all runs.
        self.runs: dict[Run, int] = {}
        self.heir: _Heir | None = None
        # Those that were locked when last looked at; a run is never locked again.
        self._locked: dict[Run, None] = {}

    def add(self, run: Run, number: int) -> None:
        self.runs[run] = number
        if run.locked:
            self._locked[run] = None

    def remove(self, run: Run) -> None:
        del self.runs[run]
        self._locked.pop(run, None)
        if self.heir is None:
            return
        self.heir.replaces.discard(run)
        if self.heir.run is run:
            self.heir.leave()
            self.heir = None

    def decide(self, policy: OverrunPolicy) -> Decision:
        """Say what happens to data that arrives now, in a time that does not grow with the runs."""
        if policy is START_NEW:
            # Others do not matter, nor does it take the rules to say so.
            return START
        if self._locked:
            self._locked = {run: None for run in self._locked if run.locked}
        return decide(policy, running=len(self.runs), locked=len(self._locked))


class Instances:
    """The runs in progress, in the order they were added; each leaves when it is over."""

    def __init__(self) -> None:
        # Of each template that has any. A second table with all of them would be the largest there
        # is, and everything waits while it grows.
        self._families: dict[str, _Family] = {}
        self._numbers: Iterator[int] = count()
        self._changed: anyio.Event | None = None

    def __bool__(self) -> bool:
        return bool(self._families)

    def all(self) -> list[Run]:
        """Return all runs, in the order they were added."""
        families = list(self._families.values())
        if len(families) == 1:
            return list(families[0].runs)
        numbered = [item for family in families for item in family.runs.items()]
        return [run for run, _ in sorted(numbered, key=itemgetter(1))]

    def add(self, run: Run) -> Run:
        """Add a run before it starts, and return it."""
        uid = run.template.uid
        family = self._families.get(uid)
        if family is None:
            family = self._families[uid] = _Family()
        family.add(run, next(self._numbers))
        run.when_over = self._remove
        return run

    def start(
        self, template: WorkflowTemplate, event: Event, make: Callable[[WorkflowTemplate], Workflow]
    ) -> Workflow | None:
        """Start a run as the overrun policy of its template says, without awaiting in between.

        Args:
            template: What to run.
            event: What to start it with, its own.
            make: Makes the run. It may be over when this returns, if it cannot start.

        Returns:
            The run; it has not started yet if it waits for others to end. None if it is skipped.
        """
        family = self._families.get(template.uid)
        # Where nothing is in progress, no policy is in the way.
        decision = START if family is None else family.decide(template.policy)
        if decision is START:
            workflow = make(template)
            self._start(self.add(workflow._run), event)
            return workflow
        if decision is Decision.SKIP:
            return None
        assert family is not None
        others = list(family.runs)
        workflow = make(template)
        # The latest wins: an earlier one is among those it replaces.
        family.heir = _Heir(self.add(workflow._run), event, set(others))
        for other in others:
            # What has not started ends here and now.
            other.stop(FutureState.cancelled)
        return workflow

    def _start(self, run: Run, event: Event) -> None:
        """Start a run; if it cannot start, it ends here and now, as failed."""
        try:
            run.start(event)
        except Exception as error:  # noqa: BLE001 - it is the outcome of the run
            _give_up(run, error)

    def launch(self, run: Run, start: Callable[[], object]) -> None:
        """Add a run and start it.

        Raises:
            Exception: It cannot start. It has ended, as failed.
        """
        self.add(run)
        try:
            start()
        except Exception as error:
            _give_up(run, error)
            raise

    def stop_after(self, grace: float) -> None:
        """Cancel all runs after some seconds, unless they are over by then."""
        for run in self.all():
            run.stop_at(run.port.time() + grace)
        for family in list(self._families.values()):
            if family.heir is not None and not family.heir.run.out_of_time():
                family.heir.keep_time()

    async def changed(self) -> None:
        """Wait until the last run is over, or `tell_change` is called."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def tell_change(self) -> None:
        """Wake those who wait for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def drained(self) -> None:
        """Wait until no run is left."""
        while self._families:
            await self.changed()

    def _remove(self, run: Run) -> None:
        uid = run.template.uid
        family = self._families[uid]
        family.remove(run)
        if not family.runs:
            del self._families[uid]
        if run.failure is not None:
            log.warning("workflow %s failed", run.uid, exc_info=run.failure)
        self._start_heir(family)
        if not self._families:
            self.tell_change()

    def _start_heir(self, family: _Family) -> None:
        heir = family.heir
        if heir is None or heir.replaces:
            return
        heir.leave()
        family.heir = None
        self._start(heir.run, heir.event)


def _give_up(run: Run, error: Exception) -> None:
    """End a run that cannot start."""
    # Not even if it came as far as to call for one.
    run.coming = False
    run.stop(FutureState.exception, error)
