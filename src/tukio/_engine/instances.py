"""The runs of an engine that are not over, including those that wait for others to end.

Owns:   the tables of runs by template, the effect of the overrun policies, and the start of
        replacements: runs that start when the runs that they replace are over.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

import anyio

from .._model.logs import INFO, Log
from .._model.policy import Decision
from .._model.state import CANCELLED, OVER
from .._run.salvage import salvage
from .._run.waiting import WaitsFor
from .._step.log_fields import log_fields
from .runs_of_template import RunsOfTemplate
from .wish import policy_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._loop.contract import Driver
    from .._model.event import Event
    from .._model.template import WorkflowTemplate
    from .._run.run import Run
    from .._run.workflow import Workflow
    from .wish import Wish

# Looked up for every run; up to Python 3.11, access to a member of an enum is slow.
START, SKIP = Decision.START, Decision.SKIP

log: Log = Log("tukio.engine")

WANTED = log.known
"""What is known of the levels that are wanted; looked at before `tells` is called for each run."""


class Instances:
    """The runs of one engine that are not over, in the order in which they were added.

    Attributes:
        added: The number of runs that were added so far; only `add` changes it.
    """

    def __init__(self) -> None:
        # Template id -> its runs; only templates that have any. There is no table of all runs: it
        # would be the largest table of all, and the whole loop is blocked while a table grows.
        self._by_template: dict[str, RunsOfTemplate] = {}
        # Execution id -> its run, for those that were in progress when `get` was last called; the
        # runs that were added since are in `_unread`. Both None until somebody asks: ids are made
        # up when they are looked at, and most runs are never asked for.
        self._by_uid: dict[str, Run] | None = None
        self._unread: dict[Run, None] = {}
        # The number of runs that were added so far. That of each run is its place in the order.
        self.added: int = 0
        # Set, and replaced by None, by `tell_change`; always None while nothing waits for a change.
        self._changed: anyio.Event | None = None

    def __bool__(self) -> bool:
        """Return whether there is a run that is not over."""
        return bool(self._by_template)

    def all(self) -> list[Run]:
        """Return all runs, in the order in which they were added."""
        tables = list(self._by_template.values())
        if len(tables) == 1:
            return list(tables[0].runs)
        numbered = [item for table in tables for item in table.runs.items()]
        return [run for run, _ in sorted(numbered, key=itemgetter(1))]

    def get(self, run_id: str) -> Run | None:
        """Return the run with an execution id; None if there is none.

        Each run is looked at once, however often this is called.
        """
        if self._by_uid is None:
            self._by_uid = {}
            self._unread = dict.fromkeys(self.all())
        if self._unread:
            self._by_uid.update((run.uid, run) for run in self._unread)
            self._unread = {}
        return self._by_uid.get(run_id)

    def _forget(self, run: Run) -> None:
        """Keep a run that is over out of the table of ids, which must be there."""
        assert self._by_uid is not None
        if self._unread.pop(run, self) is self and self._by_uid.get(run.uid) is run:
            del self._by_uid[run.uid]

    def add(self, run: Run) -> Run:
        """Add a run before it starts, and return it."""
        uid = run.template.uid
        table = self._by_template.get(uid)
        if table is None:
            table = self._by_template[uid] = RunsOfTemplate()
        table.add(run, self.added)
        self.added += 1
        if self._by_uid is not None:
            self._unread[run] = None
        # Before the run starts, because it may be over before its start returns.
        run.when_over = self._remove
        return run

    def start(
        self,
        template: WorkflowTemplate,
        event: Event,
        make: Callable[[WorkflowTemplate], Workflow],
        wish: Wish | None = None,
    ) -> Workflow | None:
        """Decide by the overrun policy of a template, and start a run, without an await in between.

        Args:
            template: The template to run.
            event: The event to start the run with; it is not changed.
            make: Makes the run.
            wish: The wishes of the caller; None if there are none.

        Returns:
            The run, or None if the policy says to skip it. The run has not started yet if it waits
            for others to end; it is over already if it could not start.
        """
        table = self._by_template.get(template.uid)
        # With no run in progress, every policy says to start.
        decision = START
        if table is not None:
            # No call for those who wish nothing.
            policy = template.policy if wish is None else policy_for(template, wish)
            decision = table.decide(policy)
        if decision is SKIP:
            return None
        workflow = make(template)
        if wish is not None:
            wish.fulfil(workflow._run, event)
        run = self.add(workflow._run)
        if decision is START:
            self._start(run, event)
            return workflow
        assert table is not None
        # Known before it starts: a caller may ask by its id whether this is the same start.
        run._trigger = event
        # It starts when others end, in the context of whoever has ended those.
        run.context = copy_context()
        others = table.replace_all(run)
        run.wait_for(WaitsFor.TURN)
        # Last, because a run that has not started is over when `stop` returns. If all others are,
        # the replacement starts within this loop.
        for other in others:
            other.stop(CANCELLED)
        return workflow

    def _start(self, run: Run, event: Event) -> None:
        """Start a run; a run that cannot start ends at once, as failed."""
        if WANTED.get(INFO, True) and log.tells(INFO):
            self._tell_start(run)
        try:
            run.start(event)
        except Exception as error:  # noqa: BLE001 - it is the outcome of the run
            run.fail_to_start(error)

    def _tell_start(self, run: Run) -> None:
        # A rescued run has begun before.
        verb = "starts" if run.started_at is None else "goes on"
        ids = (run.uid, run.template.uid)
        log.info("run %s of workflow %s %s", *ids, verb, extra=log_fields(run))

    def launch(
        self,
        run: Run,
        start: Callable[[], object],
        when_over: Callable[[], object] | None = None,
    ) -> None:
        """Add a run and start it.

        Args:
            run: The run.
            start: Starts the run.
            when_over: Called last when the run is over; None for nothing.

        Raises:
            Exception: The run could not start. It has ended, as failed.
        """
        self.add(run)
        if when_over is not None:
            run.when_over = partial(self._remove_child, when_over)
        if log.tells(INFO):
            self._tell_start(run)
        try:
            start()
        except Exception as error:
            run.fail_to_start(error)
            raise

    def salvage(self, at_work: dict[Run, set[Driver]] | None) -> None:
        """Cancel all runs, and bring to their end those that Ctrl-C has cut at some line.

        Args:
            at_work: The drivers of each run that are alive; None if nothing was cut.
        """
        if at_work is None:
            return
        for run in self.all():
            salvage(run, at_work.get(run, set()))
        # Nobody else removes a run that is over, or a table without any.
        for uid, table in list(self._by_template.items()):
            for run in [run for run in table.runs if run.phase is OVER]:
                table.remove(run)
            if not table.runs:
                del self._by_template[uid]
        self.tell_change()

    def stop_after(self, grace: float) -> None:
        """Cancel all runs after some seconds, except those that are over by then."""
        for run in self.all():
            run.stop_at(run.backend.time() + grace)

    async def changed(self) -> None:
        """Wait until the last run is over, or `tell_change` is called."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def tell_change(self) -> None:
        """Wake all tasks that wait in `changed`."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def drained(self) -> None:
        """Wait until no run is left."""
        # Looked at anew after each wait, because `tell_change` is called for other reasons, too.
        while self._by_template:
            await self.changed()

    def _remove(self, run: Run) -> None:
        """Called when a run is over."""
        uid = run.template.uid
        table = self._by_template[uid]
        table.remove(run)
        if self._by_uid is not None:
            self._forget(run)
        if not table.runs:
            # Also if there was a replacement, because that is one of the runs itself.
            del self._by_template[uid]
        if run.failure is not None:
            log.warning(
                "workflow %s failed",
                run.uid,
                exc_info=run.failure,
                extra=log_fields(run),
            )
        elif WANTED.get(INFO, True) and log.tells(INFO):
            ending, ids = run.state.value, (run.uid, run.template.uid)
            log.info("run %s of workflow %s is over: %s", *ids, ending, extra=log_fields(run))
        # Before the check below, because the replacement is a run in progress.
        self._start_replacement(table)
        if not self._by_template:
            self.tell_change()

    def _remove_child(self, tell: Callable[[], object], run: Run) -> None:
        """Called when a run is over that another one waits for."""
        try:
            self._remove(run)
        finally:
            tell()

    def _start_replacement(self, table: RunsOfTemplate) -> None:
        """Start the replacement of a template if all runs that it replaces are over."""
        replacement = table.replacement
        if replacement is None or replacement.replaces:
            return
        # Before the start, because a run that cannot start is removed within it.
        table.replacement = None
        self._start(replacement.run, replacement.run._trigger)
