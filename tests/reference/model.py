"""What one run of a workflow must do, as a plain program: the specification, executable.

Owns:   the rules by which steps begin and end, joins wait, limits and orders are kept, and what
        is told meanwhile; in virtual time, without a loop, in one thread.
Knows:  the dict form of a template, and that its tasks are actors and joins (`body` and `joins`
        have what these do, `cuts` how they are interrupted, `maps` what one for each item of a list
        is); nothing of the engine.
Source: the design of tukio 2, sections 4 and 5; for the rest what tukio 1.1.2 did.

What is said to come first comes first: ready steps begin in the order in which they became ready.
All else that is due at one instant may happen in any order: the next ready step, the wake-ups of
steps at work, orders from outside.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from . import body, children, closing, cuts, failures, joins, limits, maps, parts, retries
from .leading import lead_on
from .parts import ENDS, ERRORS, RETURNS, STOPS, Outcome, Step
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .parts import Data, Order
    from .timeline import Told

HORIZON = 1000.25
"""When a run that still goes on is cancelled."""


class Run(Timeline):
    """One run, from its start to its end.

    Args:
        template: The dict form of what is run.
        data: What it is started with.
        orders: What is done to it; those of one instant follow each other without a pause.
        horizon: When it is cancelled if it still goes on.
        script: See `Timeline`.
        expected: Likewise.
        deadline: When it reaches the end of what its start has said; None if that has not.
    """

    def __init__(  # noqa: PLR0913 - all that decides about a run
        self,
        template: Data,
        data: Data,
        orders: Sequence[Order],
        *,
        horizon: float = HORIZON,
        script: Sequence[int] = (),
        expected: Sequence[Told] | None = None,
        deadline: float | None = None,
    ) -> None:
        super().__init__(script, expected)
        self.tasks = parts.tasks_of(template)
        self.graph: dict[str, list[str]] = {uid: [] for uid in self.tasks} | template["graph"]
        self.parents = {
            uid: [up for up in self.graph if uid in self.graph[up]] for uid in self.tasks
        }
        self.template, self.data = template, data
        self.aborts = template.get("on_error") == "abort"
        self.steps: dict[str, Step] = {}
        self.ready, self.put_off = list[Step](), list[Step]()
        self.waiting: list[Step] = []  # for their next attempt
        self.to_announce: list[Step] | None = None
        self.came: dict[str, dict[str, Data]] = {uid: {} for uid in self.tasks}
        self.lost: dict[str, set[str]] = {uid: set() for uid in self.tasks}
        self.spoilt: set[str] = set()  # tasks that a parent is lost to because of a failure
        self.errors: dict[str, list[str]] = {}
        self.slow: dict[str, float] = {}
        self.ended: list[str] = []  # tasks that are over, in the order of their ends
        self.begun: set[str] = set()  # tasks that have begun, and are to be run again
        self.to_close, self.closes_until = list[Step](), float("inf")
        self.no_time = False  # whether that is over
        self.phase = "new"  # then "running", "suspended", "closing", "over"
        self.ending: str | None = None
        if deadline is not None:
            # Before all orders: past that, nothing of it begins.
            self.later(deadline, lambda: self.stop("timeout"))
        for at in sorted({at for at, _, _ in orders}):
            together = [order for order in orders if order[0] == at]
            self.later(at, partial(self.obey, together))
        if template.get("timeout"):
            self.later(template["timeout"], lambda: self.stop("timeout"))
        self.later(horizon, lambda: self.stop("cancelled"))
        (root,) = [uid for uid in self.tasks if not self.parents[uid]]
        self.make_ready(root, data)

    def play(self) -> Outcome:
        """Let happen what happens, and return what there is to see."""
        while self.phase != "over":
            self.step()
        return self.outcome()

    def due(self) -> list[Callable[[], object]]:
        """Return what may happen next; orders of instant 0 come before the run begins."""
        if self.phase == "new":
            return self.due_now()[:1] or [self.begin_run]
        return self.own() + self.due_now()

    def own(self) -> list[Callable[[], object]]:
        """Return what may happen next by itself, here and in children."""
        if self.phase == "new":
            return [] if self.ending else [self.begin_run]
        acts: list[Callable[[], object]] = []
        if self.phase in {"running", "closing"} and self.ready:
            acts.append(self.begin_next)
        if self.is_at_rest() and self.phase != "over":
            acts.append(self.over)
        alive = [step.child for step in self.steps.values() if step.child]
        return acts + [act for child in alive for act in child.own()]

    @staticmethod
    def child_of(parent: Run, step: Step) -> Run:
        """Return a run that is the child of a step."""
        return ChildRun(parent, step)

    def unhandled(self) -> bool:
        """Return whether anything did not go well that no cut of the run explains."""
        cut = self.ending != "finished"
        limits_said = [
            step
            for step in self.steps.values()
            if (step.state == "timeout" and step.task.get("on_timeout") != "continue")
            or (step.state == "cancelled" and not cut and step.in_graph)
        ]
        return bool(self.errors.keys() - maps.counted(self) or limits_said)

    def handed_over(self) -> Any:
        """Return what its end tasks have returned, for whoever has started it."""
        found = {
            uid: step.outputs
            for uid, step in self.steps.items()
            if step.state in children.OUTPUTS and not (self.graph[uid] and step.chosen != [])
        }
        several = sum(not downs for downs in self.graph.values()) > 1
        return found if several else next(iter(found.values()), None)

    def obey(self, orders: list[Order]) -> None:
        """Do what is ordered from outside, one after the other without a pause."""
        for _, name, detail in orders:
            if self.phase != "over":
                self.obey_one(name, detail)

    def obey_one(self, name: str, detail: Any) -> None:
        """Do one thing that is ordered from outside."""
        match name:
            case "cancel task":
                self.cancel_task(detail)
            case "event":
                body.hear(self, *detail)
            case "suspend":
                self.suspend()
            case "resume":
                self.resume()
            case "stop" if detail:
                bound = self.now + detail + closing.limit(self)
                self.closes_until = min(self.closes_until, bound)
                self.later(self.now + detail, partial(self.stop, "cancelled"))
            case _:
                self.stop(STOPS[name])

    def cancel_task(self, uid: str) -> None:
        """Cancel a task, due or at work."""
        if uid in self.steps:
            step = self.steps[uid]
            if step in self.put_off:
                self.put_off.remove(step)
                self.end(step, "cancelled", "task-cancel", None)
                lead_on(self, step, None)
                return
            if step in self.waiting:
                step.called_off = True
                retries.come_due(self, step)
            step.called_off |= step in self.ready
            cuts.cut(self, step, "task")
            if step.items is not None and self.is_at_rest() and self.phase != "over":
                self.over()  # at once: nothing of it was at work

    def begin_run(self) -> None:
        """Tell the begin, once."""
        if self.phase != "new":
            return
        self.phase = "running"
        self.tell("workflow-begin", None, self.data)

    def stop(self, ending: str) -> None:
        """Cancel everything; the first reason counts (G3)."""
        if self.ending or self.phase == "over":
            return
        self.ending = ending
        due, self.ready, self.waiting = self.ready, [], []  # what was due never begins
        if self.phase == "new":
            self.over()
        for step in self.put_off:
            self.end(step, "cancelled", "task-cancel", None)
        self.put_off = []
        for step in due:
            maps.end_interrupted(self, step)
        for step in list(self.steps.values()):
            cuts.cut(self, step, "run")

    def suspend(self) -> None:
        """Interrupt every step at work; the run may not have come to its first."""
        self.begin_run()
        if self.phase == "running" and not self.ending:
            self.phase = "suspended"
            self.tell("workflow-suspend", None, None)
            for step in list(self.steps.values()):
                cuts.cut(self, step, "suspend")

    def resume(self) -> None:
        """Run again what was interrupted, and only that; then tell (KEEP: in this order)."""
        if self.phase == "suspended" and not self.ending:
            self.phase = "running"
            again = [self.again(step) for step in self.put_off]
            self.put_off = []
            self.ready += again
            for step in list(self.steps.values()):
                maps.go_on(self, step)
            self.to_announce = (self.to_announce or []) + again
            self.announce()
            for step in list(self.steps.values()):
                if step.child:
                    step.child.resume()
            if self.is_at_rest():
                self.over()  # at once: it was suspended as its last step ended

    def again(self, step: Step) -> Step:
        """Return a new execution of an interrupted step, which has lost the events it had."""
        new = Step(step.uid, step.task, step.inputs, late=[*step.late], queue=[*step.late])
        new.attempt, new.loose, new.items = step.attempt, step.loose, step.items
        new.first = step.first
        if step.start is not None:
            new.first = retries.begun(step)
            if not step.loose:
                self.begun.add(step.uid)
        self.steps[step.uid] = new
        maps.replace(self, step, new)
        return new

    def announce(self) -> None:
        """Tell a resume as soon as all that is run again has begun."""
        if self.to_announce is not None and all(
            step.start is not None for step in self.to_announce
        ):
            self.to_announce = None
            self.tell("workflow-resume", None, None)

    def is_at_rest(self) -> bool:
        """Say whether nothing is left to do: only then is a run over (G1)."""
        at_work = any(step.at_work for step in self.steps.values())
        waits = self.ready or self.waiting or (self.phase == "suspended" and not self.ending)
        return not (at_work or waits)

    def over(self) -> None:
        """Tell the end, once and last (G2); before that, do what closes it (G16)."""
        if closing.close(self):
            return
        self.phase = "over"
        self.ending = self.ending or "finished"
        kind, content = ENDS[self.ending]
        self.tell(kind, None, content)
        self.close()

    def make_ready(self, uid: str, inputs: Data) -> None:
        """Let a task be due."""
        self.steps[uid] = maps.step_of(uid, self.tasks[uid], dict(inputs))
        self.ready.append(self.steps[uid])

    def begin_next(self) -> None:
        """Begin the step that has been ready for longest."""
        step = self.ready.pop(0)
        step.start = self.now
        self.tell("task-begin", step.uid, step.inputs)
        self.announce()
        failures.begin(self, step)
        if step.called_off:
            self.end(step, "cancelled", "task-cancel", None)
            lead_on(self, step, None)
            return
        if retries.left(self, step) <= 0:
            self.fail(step, "TaskTimedOut")
            return
        limits.begin(self, step)
        if step.items is not None:
            maps.begin(self, step)
        elif step.task.get("workflow"):
            children.begin(self, step)
        elif not step.is_join:
            body.begin(self, step)
        elif self.due_now():
            joins.wake(self, step.uid)  # it looks round in a turn of its own
        else:
            joins.look_round(self, step)

    def come_to_end(self, step: Step, how: str) -> None:
        """Let a step come to its end; if it was interrupted just now, nobody knows better."""
        if step.cut:
            self.forget(step)
            cuts.react(self, step, how)
        else:
            self.end_as(step, how)

    def end_as(self, step: Step, how: str) -> None:
        """End a step in the way that its behaviour says."""
        if how in RETURNS:
            self.finish(step, step.result(how))
        elif how == "skip":
            self.end(step, "skipped", "task-skip", {"exception": "SkipTask"})
            lead_on(self, step, step.inputs)
        elif how == "task error":
            step.outputs = {"code": step.uid}
            self.fail(step, "TukioTaskError", step.outputs)
        else:
            self.fail(step, ERRORS[how])

    def finish(self, step: Step, result: Any) -> None:
        """End a step by what it returned; what cannot be passed on is an error (B02)."""
        step.outputs = result
        if isinstance(result, str) and self.graph.get(step.uid):
            self.fail(step, "InvalidResult")
            return
        self.end(step, "finished", "task-end", result)
        lead_on(self, step, result if isinstance(result, dict) else step.inputs)

    def fail(self, step: Step, error: str, content: Any = None) -> None:
        """End a step by an error: its branch stops, and the whole run if it says so."""
        wait = retries.wait_after(self, step, error)
        if wait is not None:
            raised = retries.asked(step, error)
            if raised is None:
                retries.tries_again(self, step, error, wait)
                return
            if raised:
                error, content = raised, None
        for one in (*step.beside, error):
            self.note(step, one)
        step.error = error
        data = failures.handled(self, step, error)
        if data is not None:
            step.outputs = data
            content = {"exception": error, "handled": True}
        self.end(step, "exception", "task-error", content or {"exception": error})
        lead_on(self, step, data)
        if data is None and failures.aborts(self, step):
            self.stop("exception")

    def note(self, step: Step, error: str) -> None:
        """Lose no error (G7)."""
        self.errors.setdefault(step.uid, []).append(error)

    def end(self, step: Step, state: str, kind: str, content: Any) -> None:
        """Let a step be over, and tell it; before that, its items are."""
        maps.end_interrupted(self, step)
        self.forget(step)
        step.state, step.end = state, self.now
        if not step.loose and state != "retried":
            self.ended.append(step.uid)
        self.tell(kind, step.uid, content)

    def outcome(self) -> Outcome:
        """Return what there is to see, now that the run is over."""
        shown = {uid: step for uid, step in self.steps.items() if step.whole is None}
        started = {uid for uid, step in self.steps.items() if step.start is not None} | self.begun
        tasks = dict.fromkeys(self.tasks) | {
            uid: step.seen(self.errors, started) for uid, step in shown.items()
        }
        states = ("finished", "skipped", "timeout")
        outputs = {
            s.uid: s.outputs
            for s in self.steps.values()
            if s.in_graph and (s.state in states or failures.gives_output(s))
        }
        assert self.ending
        errors = {uid: sorted(kinds) for uid, kinds in self.errors.items()}
        seen = (self.ending, self.now, tasks, errors, outputs, self.story)
        return Outcome(*seen, self.choices, self.slow)


class ChildRun(Run):
    """A run that is a step of another one, with which it shares the timeline.

    Args:
        parent: The other one.
        above: The step.
    """

    def __init__(self, parent: Run, above: Step) -> None:
        self.parent = parent
        self.above = above
        # What is planned as it is made counts from its start.
        self.since = parent.now
        template = {"graph": {}} | above.task["workflow"]
        super().__init__(template, above.inputs, (), horizon=math.inf)
        self.since = 0.0

    @property
    def now(self) -> float:
        """The instant."""
        return self.parent.now

    @now.setter
    def now(self, value: float) -> None:
        del value

    def later(self, at: float, act: Callable[[], object], owner: object = None) -> None:
        """Plan something."""
        if at < math.inf:
            self.parent.later(self.since + at, act, self if owner is None else owner)

    def forget(self, owner: object, after: float = -1) -> None:
        """Drop what is planned for somebody."""
        self.parent.forget(owner, after)

    def due_now(self) -> list[Callable[[], object]]:
        """Return what was planned for this instant."""
        return self.parent.due_now()

    def tell(self, kind: str, uid: str | None, content: Any) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """Expect nothing."""

    def stop(self, ending: str) -> None:
        """Cancel everything; one that has not begun ends in the turn of its begin."""
        if self.phase == "new" and not self.ending:
            self.ending, self.ready = ending, []
            self.parent.later(self.now, self.over, self)
        else:
            super().stop(ending)

    def over(self) -> None:
        """Come to the end, and end the step above."""
        if self.phase != "over":
            super().over()
            self.parent.forget(self)
            children.over(self.parent, self.above)
