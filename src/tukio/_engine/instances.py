"""The runs of an engine that are not over, and those that wait for others to end.

Owns:   the list of runs by template, what the overrun policies do to it, and the replacements:
        runs that start when those are over whose place they take.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING

import anyio

from .._model.policy import Decision, OverrunPolicy, decide
from .._model.state import CANCELLED
from .._run.waiting import WaitsFor
from .._step.log_fields import log_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._model.event import Event
    from .._model.template import WorkflowTemplate
    from .._run.run import Run
    from .._run.workflow import Workflow

# Looked up for every run; up to Python 3.11 a member of an enum is worked out each time.
START, START_NEW = Decision.START, OverrunPolicy.START_NEW

log: logging.Logger = logging.getLogger("tukio.engine")


@dataclass(slots=True)
class _Replacement:
    """A run that waits, the event to start it with, and those of whom it takes the place."""

    run: Run
    event: Event
    replaces: set[Run]


class _RunsOfTemplate:
    """The runs of one template, and what the next trigger has to know of them."""

    __slots__ = ("_locked", "replacement", "runs")

    def __init__(self) -> None:
        # In the order they were added, each with its number among all runs.
        self.runs: dict[Run, int] = {}
        self.replacement: _Replacement | None = None
        # Those that were locked when last looked at; a run is never locked again.
        self._locked: dict[Run, None] = {}

    def add(self, run: Run, number: int) -> None:
        self.runs[run] = number
        if run.locked:
            self._locked[run] = None

    def remove(self, run: Run) -> None:
        del self.runs[run]
        self._locked.pop(run, None)
        if self.replacement is None:
            return
        self.replacement.replaces.discard(run)
        if self.replacement.run is run:
            self.replacement = None

    def decide(self, policy: OverrunPolicy) -> Decision:
        """Decide what data does that arrives now, in a time that does not grow with the runs."""
        if policy is START_NEW:
            # Others do not matter, nor does it take the rules to decide that.
            return START
        if self._locked:
            self._locked = {run: None for run in self._locked if run.locked}
        return decide(policy, running=len(self.runs), locked=len(self._locked))


class Instances:
    """The runs in progress, in the order they were added; each leaves when it is over."""

    def __init__(self) -> None:
        # Of each template that has any. A second table with all of them would be the largest there
        # is, and everything waits while it grows.
        self._by_template: dict[str, _RunsOfTemplate] = {}
        self._numbers: Iterator[int] = count()
        self._changed: anyio.Event | None = None

    def __bool__(self) -> bool:
        return bool(self._by_template)

    def all(self) -> list[Run]:
        """Return all runs, in the order they were added."""
        tables = list(self._by_template.values())
        if len(tables) == 1:
            return list(tables[0].runs)
        numbered = [item for table in tables for item in table.runs.items()]
        return [run for run, _ in sorted(numbered, key=itemgetter(1))]

    def add(self, run: Run) -> Run:
        """Add a run before it starts, and return it."""
        uid = run.template.uid
        table = self._by_template.get(uid)
        if table is None:
            table = self._by_template[uid] = _RunsOfTemplate()
        table.add(run, next(self._numbers))
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
        table = self._by_template.get(template.uid)
        # Where nothing is in progress, no policy is in the way.
        decision = START if table is None else table.decide(template.policy)
        if decision is START:
            workflow = make(template)
            self._start(self.add(workflow._run), event)
            return workflow
        if decision is Decision.SKIP:
            return None
        assert table is not None
        others = list(table.runs)
        workflow = make(template)
        run = self.add(workflow._run)
        # The latest wins: an earlier one is among those it replaces.
        table.replacement = _Replacement(run, event, set(others))
        run.wait_for(WaitsFor.TURN)
        for other in others:
            # What has not started ends here and now.
            other.stop(CANCELLED)
        return workflow

    def _start(self, run: Run, event: Event) -> None:
        """Start a run; if it cannot start, it ends here and now, as failed."""
        try:
            run.start(event)
        except Exception as error:  # noqa: BLE001 - it is the outcome of the run
            run.fail_to_start(error)

    def launch(self, run: Run, start: Callable[[], object]) -> None:
        """Add a run and start it.

        Raises:
            Exception: It cannot start. It has ended, as failed.
        """
        self.add(run)
        try:
            start()
        except Exception as error:
            run.fail_to_start(error)
            raise

    def stop_after(self, grace: float) -> None:
        """Cancel all runs after some seconds, unless they are over by then."""
        for run in self.all():
            run.stop_at(run.backend.time() + grace)

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
        while self._by_template:
            await self.changed()

    def _remove(self, run: Run) -> None:
        uid = run.template.uid
        table = self._by_template[uid]
        table.remove(run)
        if not table.runs:
            del self._by_template[uid]
        if run.failure is not None:
            log.warning(
                "workflow %s failed",
                run.uid,
                exc_info=run.failure,
                extra=log_fields(run),
            )
        self._start_replacement(table)
        if not self._by_template:
            self.tell_change()

    def _start_replacement(self, table: _RunsOfTemplate) -> None:
        replacement = table.replacement
        if replacement is None or replacement.replaces:
            return
        table.replacement = None
        self._start(replacement.run, replacement.event)
