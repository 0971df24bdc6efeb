"""What one run of a workflow must do, as a plain program: the specification, executable.

Owns:   the rules by which steps begin and end, joins wait, limits and orders are kept, and what
        is told meanwhile; in virtual time, without a loop, in one thread.
Knows:  the dict form of a template, and that its tasks are actors and joins (`body` and `joins`
        have what these do); nothing of the engine.
Source: the design of tukio 2, sections 4 and 5; for the rest what tukio 1.1.2 did.

What is said to come first comes first: ready steps begin in the order in which they became ready.
All else that is due at one instant may happen in any order: the next ready step, the wake-ups of
steps at work, orders from outside.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from . import body, children, closing, failures, fan_in, joins, limits, parts, retries
from .parts import ENDS, STOPS, WEIGHTS, Outcome, Step
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .parts import Data, Order
    from .timeline import Told

RETURNS = ("dict", "event", "none", "text")
"""The ways to end without raising: a step that does so has finished, interrupted or not."""
ERRORS = {"error": "ValueError", "timeout error": "TimeoutError", "group error": "ExceptionGroup"}
LATE_ERRORS = {"skip": "SkipTask", "task error": "TukioTaskError"}
"""What is an error, too, of a step that has overrun its limit."""
CLEANUP = 5
"""Seconds that a teardown may take."""
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
            or (step.state == "cancelled" and not cut)
        ]
        return bool(self.errors or limits_said)

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
                self.lead_on(step, None)
                return
            if step in self.waiting:
                step.called_off = True
                retries.come_due(self, step)
            step.called_off |= step in self.ready
            self.cut(step, "task")

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
        self.ready, self.waiting = [], []  # what was due never begins
        if self.phase == "new":
            self.over()
        for step in self.put_off:
            self.end(step, "cancelled", "task-cancel", None)
        self.put_off = []
        for step in list(self.steps.values()):
            self.cut(step, "run")

    def suspend(self) -> None:
        """Interrupt every step at work; the run may not have come to its first."""
        self.begin_run()
        if self.phase == "running" and not self.ending:
            self.phase = "suspended"
            self.tell("workflow-suspend", None, None)
            for step in list(self.steps.values()):
                self.cut(step, "suspend")

    def resume(self) -> None:
        """Run again what was interrupted, and only that; then tell (KEEP: in this order)."""
        if self.phase == "suspended" and not self.ending:
            self.phase = "running"
            again = [self.again(step) for step in self.put_off]
            self.put_off = []
            self.ready += again
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
        new.attempt, new.loose = step.attempt, step.loose
        if step.start is not None:
            new.first = retries.begun(step)
            if not step.loose:
                self.begun.add(step.uid)
        self.steps[step.uid] = new
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
        self.steps[uid] = Step(uid, self.tasks[uid], dict(inputs))
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
            self.lead_on(step, None)
            return
        if retries.left(self, step) <= 0:
            self.fail(step, "TaskTimedOut")
            return
        limits.begin(self, step)
        if step.task.get("workflow"):
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
            self.react(step, how)
        else:
            self.end_as(step, how)

    def end_as(self, step: Step, how: str) -> None:
        """End a step in the way that its behaviour says."""
        if how in RETURNS:
            self.finish(step, step.result(how))
        elif how == "skip":
            self.end(step, "skipped", "task-skip", {"exception": "SkipTask"})
            self.lead_on(step, step.inputs)
        elif how == "task error":
            step.outputs = {"code": step.uid}
            self.fail(step, "TukioTaskError", step.outputs)
        else:
            self.fail(step, ERRORS[how])

    def finish(self, step: Step, result: Any) -> None:
        """End a step by what it returned; what cannot be passed on is an error (B02)."""
        step.outputs = result
        if isinstance(result, str) and self.graph[step.uid]:
            self.fail(step, "InvalidResult")
            return
        self.end(step, "finished", "task-end", result)
        self.lead_on(step, result if isinstance(result, dict) else step.inputs)

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
        data = failures.handled(self, step, error)
        if data is not None:
            step.outputs = data
            content = {"exception": error, "handled": True}
        self.end(step, "exception", "task-error", content or {"exception": error})
        self.lead_on(step, data)
        if data is None and failures.aborts(self, step):
            self.stop("exception")

    def note(self, step: Step, error: str) -> None:
        """Lose no error (G7)."""
        self.errors.setdefault(step.uid, []).append(error)

    def end(self, step: Step, state: str, kind: str, content: Any) -> None:
        """Let a step be over, and tell it."""
        self.forget(step)
        step.state, step.end = state, self.now
        if not step.loose and state != "retried":
            self.ended.append(step.uid)
        self.tell(kind, step.uid, content)

    def lead_on(self, step: Step, data: Data | None) -> None:
        """Start the successors, in declared order (G8), each with data of its own (G9).

        Not those that were not chosen; with None, nothing.
        """
        for down in self.graph[step.uid]:
            if data is None or (step.chosen is not None and down not in step.chosen):
                self.lose(step.uid, down, spoilt=data is None)
                continue
            if down in self.steps or not fan_in.is_hopeless(self, down):
                self.came[down][step.uid] = dict(data)
                self.arrive(down, data)

    def arrive(self, uid: str, data: Data) -> None:
        """Let a parent's data come to a task that is at work, or that begins with it."""
        if self.ending:
            return
        if uid not in self.steps:
            if not fan_in.waits(self, uid):
                self.make_ready(uid, data)
            elif fan_in.is_due(self, uid):
                self.make_ready(uid, fan_in.collected(self, uid))
            return
        successor = self.steps[uid]
        if successor.end is None:
            successor.late.append(dict(data))
            body.receive(self, successor, dict(data))
        joins.wake(self, uid)

    def lose(self, parent: str, uid: str, *, spoilt: bool) -> None:
        """Learn that a parent will not lead to a task; what is out of reach is lost in turn."""
        pending = [(parent, uid, spoilt)]
        while pending:
            parent, uid, spoilt = pending.pop(0)
            was_hopeless = fan_in.is_hopeless(self, uid)
            self.lost[uid].add(parent)
            if spoilt:
                self.spoilt.add(uid)
            joins.wake(self, uid)
            if uid in self.steps or was_hopeless:
                continue
            if fan_in.is_hopeless(self, uid):
                pending += [(uid, down, uid in self.spoilt) for down in self.graph[uid]]
            elif fan_in.waits(self, uid) and fan_in.is_due(self, uid) and not self.ending:
                self.make_ready(uid, fan_in.collected(self, uid))

    def cut(self, step: Step, why: str) -> None:
        """Interrupt a step at work; what is due at this very instant may still come first."""
        if not step.at_work or step.state == "suspended":
            return
        if step.child:
            children.cut(self, step, why)
        elif step.cut is None:
            self.forget(step, after=self.now)
            step.cut, step.cut_at = why, self.now
            self.later(self.now, lambda: self.reach(step), step)
        elif WEIGHTS[why] > WEIGHTS[step.cut] and not step.cleaning:
            step.cut = why

    def reach(self, step: Step) -> None:
        """Let a step learn that it is interrupted; its own shield holds for a while."""
        self.forget(step)
        step.reads = False
        if step.config.get("swallows"):
            step.heard = []  # it has started over, and was cut again at once
        how = step.config.get("when_cut", "passes")
        self.after(step, step.config.get("shields", 0), partial(self.react, step, how))

    def after(self, step: Step, seconds: float, act: Callable[[], object]) -> None:
        """Let a step do something after a while; without one, at once."""
        if seconds:
            self.later(self.now + seconds, act, step)
        else:
            act()

    def react(self, step: Step, how: str) -> None:
        """End in the way of its own, if it has one; else as it was told. Past its limit, late."""
        self.slow[step.uid] = max(self.slow.get(step.uid, 0), self.now - step.cut_at)
        step.overran = limits.has_overrun(self, step)
        if step.overran:
            if step.cut == "suspend":
                step.cut = "limit"
            # Whatever it returned: it was too late.
            self.tear_down(step, "passes" if how in RETURNS else how)
        elif how == "passes" and step.cut == "suspend":
            step.state = "suspended"
            if self.phase == "suspended":
                self.put_off.append(step)
            else:
                self.ready.append(self.again(step))
        elif step.cut == "suspend" or how in RETURNS:
            self.end_as(step, how)
        else:
            self.tear_down(step, how)

    def tear_down(self, step: Step, how: str) -> None:
        """Clean up within a limit (G5), then end the step."""
        step.cleaning = True
        seconds = min(step.config.get("cleans", 0), CLEANUP)
        act = partial(self.torn_down, step, how)
        if seconds or self.due_now():
            # Even if it takes no time, others may have a turn before it is over.
            self.later(self.now + seconds, act, step)
        else:
            act()

    def torn_down(self, step: Step, how: str) -> None:
        """End an interrupted step; past its limit, it leads on (G4)."""
        config, result = step.config, step.inputs
        if config.get("cleans", 0) > CLEANUP:
            self.note(step, "CleanupTimedOut")
        elif config.get("teardown") == "error":
            self.note(step, "LookupError")
        elif config.get("teardown") == "dict":
            result = {step.uid: "torn down"}
        if step.is_join:
            step.status = "timeout" if step.cut == "limit" else "cancelled"
            result = joins.collected(self, step)
        late = step.overran and step.cut == "limit"
        if late and how != "passes":
            step.beside.append(LATE_ERRORS.get(how) or ERRORS[how])
            how = "passes"
        self.end_torn_down(step, how, result)

    def end_torn_down(self, step: Step, how: str, result: Any) -> None:
        """End a step that was interrupted and cleaned up after."""
        if how != "passes":
            self.end_as(step, how)
        elif step.cut == "limit":
            if step.is_join:
                self.tell("task-progress", step.uid, (tuple(step.joined), "timeout"))
            if step.task.get("on_timeout") in {"fail", "retry"} or retries.left(self, step) <= 0:
                step.outputs = None if result is step.inputs else result
                self.fail(step, "TaskTimedOut")
                return
            for one in step.beside:
                self.note(step, one)
            step.outputs = result
            self.end(step, "timeout", "task-timeout", result)
            self.lead_on(step, result)
        elif step.loose and self.no_time:
            self.fail(step, "CleanupTimedOut")
        else:
            self.end(step, "cancelled", "task-cancel", None)
            self.lead_on(step, None)

    def outcome(self) -> Outcome:
        """Return what there is to see, now that the run is over."""
        tasks = dict.fromkeys(self.tasks) | {uid: step.seen() for uid, step in self.steps.items()}
        states = ("finished", "skipped", "timeout")
        outputs = {
            s.uid: s.outputs
            for s in self.steps.values()
            if not s.loose and (s.state in states or failures.gives_output(s))
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
