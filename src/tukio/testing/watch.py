"""The invariants of every run in progress, checked at each of its execution events.

Owns:   the events of each run so far, and the first guarantee that was broken.
Knows:  the run and its steps, which are only read. `invariants` checks runs that are over.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._events.exec_topics import EXEC_TOPIC
from .._model.state import EVENT_OF, TASK_BEGIN, TERMINAL, FutureState, Phase
from .._model.step import LOOSE
from .._run.closing import closing_of
from .._run.within import first_begin
from .._step.items import work_of
from .clock import is_virtual
from .invariants import TASK_ENDS, BrokenGuarantee, demand

if TYPE_CHECKING:
    from .._engine.engine import Engine
    from .._model.event import Event
    from .._run.run import Run
    from .._run.task_run import TaskRun

RUN_AGAIN = frozenset({FutureState.suspended, FutureState.retried})
LEADS_ON = frozenset({FutureState.finished, FutureState.skipped, FutureState.timeout})
"""The states of a task that has ended and whose successors may begin."""


@dataclass(slots=True)
class _Life:
    """The events of a run so far.

    Attributes:
        run: The run.
        begun: Execution id -> the step, for each begin of a task that was told.
        ended: The execution ids of the tasks whose end was told.
        over: Whether the end of the run was told.
    """

    run: Run
    begun: dict[str, TaskRun] = field(default_factory=dict[str, "TaskRun"])
    ended: set[str] = field(default_factory=set[str])
    over: bool = False


class Watch:
    """Checks the runs of an engine at each of their execution events.

    `Watch.of(engine)` begins; a handler that acts on runs must be registered after that. The first
    broken guarantee is kept, and raised by `check`.

    Args:
        engine: The engine.
    """

    __slots__ = ("_engine", "_exact", "_lives", "_over_before", "_problem")

    def __init__(self, engine: Engine) -> None:
        self._engine: Engine = engine
        # Whether deadlines are exact. They are not on a real clock, which goes on while a deadline
        # takes effect.
        self._exact: bool = is_virtual()
        # Execution id -> the events of each run that has told anything before its end.
        self._lives: dict[str, _Life] = {}
        # The ids of runs whose first event was that of their end.
        self._over_before: set[str] = set()
        # The first broken guarantee; nothing is checked from then on.
        self._problem: BrokenGuarantee | None = None

    @classmethod
    def of(cls, engine: Engine) -> Watch:
        """Return a watch over all runs of an engine, from now on."""
        watch = cls(engine)
        engine.broker.register(watch._note, EXEC_TOPIC)
        return watch

    def check(self) -> None:
        """Make sure that no guarantee was broken so far.

        Raises:
            BrokenGuarantee: A guarantee was broken; this is the first one.
        """
        if self._problem is not None:
            raise self._problem

    def _note(self, event: Event) -> None:
        source = event.source
        assert source is not None
        if self._problem is None:
            kind, uid = event.data["type"], source.workflow_exec_id
            assert uid is not None
            try:
                life = self._life_of(uid, kind)
                if life is not None:
                    self._look(life, kind, source.task_exec_id, event.data["content"])
            except BrokenGuarantee as problem:
                # Kept, because the broker only logs an exception of a handler.
                self._problem = problem

    def _life_of(self, uid: str, kind: str) -> _Life | None:
        life = self._lives.get(uid)
        if life is not None:
            return life
        workflow = self._engine.get(uid)
        if workflow is None:
            # The run is over. That can be its first event, if a handler of another event has ended
            # the run.
            ends = kind in TERMINAL and uid not in self._over_before
            demand("G2", ends, "a run that is over told something")
            self._over_before.add(uid)
            return None
        life = self._lives[uid] = _Life(workflow._run)
        return life

    def _look(self, life: _Life, kind: str, execution: str | None, content: Any) -> None:
        demand("G2", not life.over, "{!r} came after the terminal event", kind)
        if self._exact:
            _limits_are_kept(life.run)
        stops = life.run.phase is Phase.STOPPING
        demand("G3", not (stops and life.run.plan.ready), "the run stops, and tasks are ready")
        child_of = life.run.environment.child_of
        if child_of is not None:
            parent = child_of.step
            alive = parent.ended_at is None and parent.run.phase is not Phase.OVER
            demand("G1", alive, "{!r} goes on after its task {!r}", life.run.face, parent)
        if kind in TERMINAL:
            _is_over(life)
            self._has_no_children(life.run, "the run told its end before its child {!r}")
        elif execution is not None and kind == TASK_BEGIN:
            step = _begins(life, execution, content)
            self._is_now(life.run, step.started_at)
        elif execution is not None and kind in TASK_ENDS:
            step = _ends(life, execution, kind, content)
            self._is_now(life.run, step.ended_at)
            self._has_no_children(step, "a task told its end before its child {!r}")

    def _has_no_children(self, parent: Run | TaskRun, problem: str) -> None:
        """Check that no child of a run, or of a step, goes on."""
        for child in self._engine._instances.all():
            child_of = child.environment.child_of
            if child_of is not None and parent in {child_of.step, child_of.step.run}:
                demand("G1", child.phase is Phase.OVER, problem, child.face)

    def _is_now(self, run: Run, instant: float | None) -> None:
        now = run.backend.time()
        right = instant == now if self._exact else instant is not None and instant <= now
        demand("G10", right, "what happened at {} is kept as of {}", now, instant)


def _limits_are_kept(run: Run) -> None:
    """Check that each step at work whose time is up has been cancelled, at least."""
    now = run.backend.time()
    for driver in run.drivers:
        step = driver.step
        if step is None or step.driver is None or step.started_at is None or driver.scope is None:
            continue  # the driver is idle, or runs a `teardown()`
        limit = step.template.timeout or math.inf
        limits = (step.started_at + limit, run.deadline, _missed(step), _tried_until(step))
        late = now > min(limits)
        demand("G4", not late or driver.scope.cancel_called, "{!r} goes on past its limit", step)
    for whole, ends in () if run.phase is Phase.STOPPING else (run.wholes or {}).items():
        late = not ends and now > whole.started_at + (whole.template.timeout or math.inf)
        demand("G4", not late or whole.work.is_closed, "{!r} goes on past its limit", whole)
    for child in () if run.waiting is None else run.waiting.children or ():
        step = child.step
        limit = step.template.timeout
        late = limit and step.started_at is not None and now > step.started_at + limit
        stops = child.run.phase in {Phase.STOPPING, Phase.OVER} or step.driver is not None
        demand("G4", not late or stops, "{!r} goes on past its limit", step)


def _tried_until(step: TaskRun) -> float:
    """Return the instant after which no attempt at the task of a step goes on."""
    within = (step._retry or {}).get("within")
    if not within or step.started_at is None:
        return math.inf
    # One that begins later ends as it begins.
    limit: float = first_begin(step) + within
    return max(limit, step.started_at)


def _is_over(life: _Life) -> None:
    life.over = True
    run = life.run
    demand("G1", not (run.drivers or run.wholes), "the run told its end with tasks at work")
    _is_closed(run, list(life.begun.values()))
    for uid, step in life.begun.items():
        interrupted = step.state is FutureState.suspended
        demand("G2", uid in life.ended or interrupted, "the run told its end before {!r} did", step)


def _begins(life: _Life, execution: str, content: Any) -> TaskRun:
    run = life.run
    # Those outside of the graph are in nobody's plan, but in the hands of a driver.
    steps: list[Any] = [*run.plan.reached(), *(one.step for one in run.drivers if one.step)]
    step: TaskRun | None = next((s for s in steps if s.extras.uid == execution), None)
    demand("G2", step is not None, "an execution began that is not in the run")
    assert step is not None
    demand("G2", execution not in life.begun, "{!r} began twice", step)
    # The holder's `__init__` may have stopped the run; then the step is interrupted already.
    at_work = step.driver is not None and step.driver.scope_spent
    closes = step.number == LOOSE and not step.is_item
    running = run.phase is (Phase.CLOSING if closes else Phase.RUNNING) or at_work
    demand("G3", running, "{!r} began while the run was {}", step, run.phase.value)
    demand("G3", step.state is FutureState.pending, "{!r} began, and had been called off", step)
    demand("G4", run.backend.time() <= run.deadline, "{!r} began past the limit of the run", step)
    for earlier in life.begun.values():
        same = earlier.template.uid == step.template.uid
        if step.is_item:
            # The task may be run again, with items of the same ids.
            same &= earlier.parent is step.parent
        again = same and earlier.state not in RUN_AGAIN
        demand("G11", not again, "{!r} began though it was not interrupted before", step)
    if closes:
        _may_close(run, step)
    else:
        root = step.number == run.plan.shape.root
        demand("G8", root or _is_led_to(run, step), "{!r} began, and nothing led to it", step)
    demand("G9", content == step.inputs, "{!r} was told of with other inputs", step)
    life.begun[execution] = step
    return step


def _is_led_to(run: Run, step: TaskRun) -> bool:
    if step.index is not None:
        _is_item(step)
        return True
    parents = [run.plan.steps[number] for number in run.plan.shape.predecessors[step.number]]
    return any(
        parent is not None
        and (parent.state in LEADS_ON or parent._is_handled())
        and (parent.chosen is None or step.number in parent.chosen)
        for parent in parents
    )


def _may_close(run: Run, step: TaskRun) -> None:
    """Check that a step of the closing of a run begins in its turn."""
    at_work = [*(one for one in run.plan.reached() if one.driver is not None), *(run.wholes or ())]
    demand("G16", not at_work, "{!r} began, and {} is at work", step, at_work)
    closing = closing_of(run).steps
    others = [one for one in closing if one is not step]
    open_ = [one for one in others[: closing.index(step)] if one.state is FutureState.pending]
    demand("G16", not open_, "{!r} began before {} was over", step, open_)
    undone = step.undoes
    if undone is not None and undone.is_item:
        _was_begun(undone)
    elif undone is not None:
        # If it was to be run again, it has begun before.
        begun_before = undone.number in closing_of(run).begun
        has_begun = undone.started_at is not None or begun_before
        demand("G16", has_begun, "{!r} undoes what has not begun", step)


def _is_closed(run: Run, begun: list[TaskRun]) -> None:
    """Check that all was undone that is to be, in reverse order, and that the rest is told of.

    Args:
        run: The run, which is over.
        begun: The executions that have begun here, in order. The times of others are those of a
            report, which has microseconds.
    """
    words = run.plan.shape.closing
    if words is None or not run.has_begun_itself:
        return
    assert run.ending is not None
    steps = closing_of(run).steps
    undone: list[Any] = [one.parent for one in steps if one.parent is not None]
    cut = run.ending.value in words.endings
    done = {FutureState.finished, FutureState.timeout}
    # The last execution of each item that has begun here: what is undone was made anew.
    items: Any = {one.template.uid: one for one in begun if one.is_item}
    count = Counter(one.template.uid for one in undone)
    candidates: list[Any] = [*items.values(), *run.plan.reached()]
    for step in candidates:
        number = step.parent.number if step.is_item else step.number
        undo = words.undo.get(number)
        if undo is None or (undo.item is not None and not step.is_item):
            continue
        has_begun = step.started_at is not None and step.state is not FutureState.skipped
        if cut and (step.state in done or (undo.begun and has_begun)):
            demand("G16", count[step.template.uid] == 1, "{!r} was not undone, once", step)
    ended = [items.get(step.template.uid, step) for step in undone]
    ended = [step for step in ended if step in begun and step.state not in RUN_AGAIN]
    ends = [step.ended_at for step in ended if step.ended_at is not None]
    demand("G16", ends == sorted(ends, reverse=True), "undone in another order: {}", undone)
    last = [one.template.uid for one in steps if one.parent is None]
    demand("G16", last == [task.uid for task in words.last], "in the end came only {}", last)
    for step in steps:
        kept = step.ended_at is not None or step.template.uid in run.errors
        demand("G16", kept, "{!r} did not end, and nothing is told of that", step)


def _was_begun(item: TaskRun) -> None:
    """Check that an item that is undone has begun before; only its task knows that."""
    whole: Any = item.parent
    known = whole.work.items.is_over(item.index) or item.index in whole.work.begun()
    demand("G16", known, "{!r} is undone, and has not begun", item)


def _is_item(item: TaskRun) -> None:
    """Check an item of a mapped task that begins."""
    whole: Any = item.parent
    at_work = whole.started_at is not None and whole.ended_at is None and not whole.work.is_closed
    # It may be cut as it begins, with its task.
    at_work |= item.cancel_called or item.interrupted_for is not None
    demand("G8", at_work, "{!r} began, and its task is not at work", item)
    begun = [one for one in whole.work.open if one.started_at is not None]
    limit = whole.work.common.mapped.limit or len(begun)
    demand("G8", len(begun) <= limit, "{} items are at work with {!r}", len(begun), item)
    over = whole.work.items.is_over(item.index)
    demand("G11", not over, "{!r} began, and was over before", item)


def _is_due(step: TaskRun, now: float) -> bool:
    """Return whether a step has reached one of its limits."""
    begun, task, signs = step.started_at, step.template, step.extras.signs
    if begun is not None and task.timeout and now >= begun + task.timeout:
        return True
    return signs is not None and now >= _missed(step)


def _missed(step: TaskRun) -> float:
    """Return when a sign of life of a step is missed."""
    signs = step.extras.signs
    return math.inf if signs is None else signs.last + (step.template.idle_timeout or math.inf)


def _ends(life: _Life, execution: str, kind: str, content: Any) -> TaskRun:
    run, step = life.run, life.begun.get(execution)
    demand("G2", step is not None, "{!r} was told of a task that had not begun", kind)
    assert step is not None
    demand("G2", execution not in life.ended, "{!r} ended twice", step)
    life.ended.add(execution)
    work = work_of(step)
    left = [] if work is None else work.steps()
    demand("G1", not left, "{!r} told its end before its items {}", step, left)
    demand("G2", EVENT_OF.get(step.state) == kind, "{!r} was told of as {!r}", step, kind)
    if step.state is FutureState.timeout:
        demand("G4", _is_due(step, run.backend.time()), "{!r} timed out before its limit", step)
    if step.state in {FutureState.finished, FutureState.timeout}:
        demand("G10", content == step.outputs, "{!r} was told of with another output", step)
    if step.state is FutureState.exception:
        demand("G7", step.template.uid in run.errors, "the error of {!r} is not kept", step)
    return step
