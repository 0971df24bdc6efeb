"""The search for steps that go on although they were cancelled.

Owns:   which runs may have such a step, and the one timer of the next look at them.
Knows:  the hosts of a run and their scopes; it never interferes.

A step that behaves costs a comparison if it has a limit, and nothing otherwise: a look is planned
only for after a cancellation, or after the earliest limit. No step that is stuck is overlooked
for longer than twice `PATIENCE`.
"""

from __future__ import annotations

import logging
import math
import traceback
from typing import TYPE_CHECKING

from .state import TaskExecState
from .task.stack import frames_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ports import Host, Port
    from .run import Run
    from .task.run import TaskRun

log: logging.Logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a cancelled step has to unwind before it is named."""

_NOBODY: frozenset[TaskRun] = frozenset()


class Watchdog:
    """Names the steps that are still running `PATIENCE` seconds after they were cancelled.

    So it does with those whose `teardown()` goes on although its limit has passed.

    Each is named once, in a warning of the log and in the execution event `task-stuck`, with the
    place where it is. A step that never awaits cannot be seen: nothing else runs meanwhile.

    Args:
        port: The backend, for its clock and timer.
    """

    __slots__ = ("_cancel_look", "_next_look", "_port", "_runs")

    def __init__(self, port: Port) -> None:
        self._port: Port = port
        # Each run with those of its steps that were named.
        self._runs: dict[Run, frozenset[TaskRun]] = {}
        self._next_look: float = math.inf
        self._cancel_look: Callable[[], None] | None = None

    def watch(self, run: Run, instant: float) -> None:
        """Look at a run some time after an instant at which a step of it is cancelled."""
        if run not in self._runs:
            self._runs[run] = _NOBODY
        if instant + PATIENCE < self._next_look:
            self._plan(instant + PATIENCE)

    def forget(self, run: Run) -> None:
        """Look at a run no more: it is over."""
        if self._runs.pop(run, None) is not None and not self._runs:
            self._plan(math.inf)

    def _plan(self, look: float) -> None:
        if self._cancel_look is not None:
            self._cancel_look()
            self._cancel_look = None
        self._next_look = look
        if look < math.inf:
            self._cancel_look = self._port.call_at(look, self._look)

    def _look(self) -> None:
        self._cancel_look = None
        now = self._port.time()
        following = math.inf
        for run in list(self._runs):
            for host in list(run.hosts):
                due = _due(host, self._runs.get(run, _NOBODY))
                if due > now:
                    following = min(following, due)
                elif host.step is not None:
                    self._runs[run] |= {host.step}
                    _name(run, host, host.step, now - due + PATIENCE)
        # Many steps with a limit each must not mean a look for each.
        self._plan(max(following, now + PATIENCE))


def _due(host: Host, named: frozenset[TaskRun]) -> float:
    """Return when the step of a host is to be named; inf for never."""
    step = host.step
    if step is None or step in named or host.scope is None:
        # Idle, or named before.
        return math.inf
    # While it is cleaned up after, its scope has been left, and has nothing to say.
    deadline = math.inf if step.host is None else host.scope.deadline
    return min(host.cut_at, deadline) + PATIENCE


def _name(run: Run, host: Host, step: TaskRun, seconds: float) -> None:
    frames = [(frame, frame.f_lineno) for frame in frames_of(host.coroutine)]
    stack = "".join(traceback.StackSummary.extract(iter(frames)).format())
    log.warning(
        "task %r of workflow %s is still running %.1f s after it was cancelled:\n%s",
        step.template.uid,
        run.uid,
        seconds,
        stack,
    )
    content = {"seconds": seconds, "stack": stack}
    run.tell(TaskExecState.STUCK.value, content, step)
