"""What one run of a workflow must do, as a plain program: the specification, executable.

Owns:   the rules by which steps begin and end, joins wait, limits and orders are kept, and what
        is told meanwhile; in virtual time, without a loop, in one thread.
Knows:  the dict form of a template and the behaviours in the config of its tasks (`behaviours`
        says what they mean); nothing of the engine.
Source: the design of tukio 2, sections 4 and 5; for the rest what tukio 1.1.2 did.

What is said to come first comes first: ready steps begin in the order in which they became ready.
All else that is due at one instant may happen in any order: the next ready step, the wake-ups of
steps at work, orders from outside.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .parts import ENDS, STOPS, WEIGHTS, Outcome, Step
from .timeline import Timeline, every_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .parts import Data, Order
    from .timeline import Diverged, Told

RETURNS = ("dict", "event", "none", "text")
"""The ways to end without raising: a step that does so has finished, interrupted or not."""
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
        script: See `Timeline`.
        expected: Likewise.
    """

    def __init__(
        self,
        template: Data,
        data: Data,
        orders: Sequence[Order],
        script: Sequence[int] = (),
        expected: Sequence[Told] | None = None,
    ) -> None:
        super().__init__(script, expected)
        self.tasks: dict[str, Data] = {task["id"]: task for task in template["tasks"]}
        self.graph: dict[str, list[str]] = {uid: [] for uid in self.tasks} | template["graph"]
        self.parents = {
            uid: [up for up in self.graph if uid in self.graph[up]] for uid in self.tasks
        }
        self.aborts = template.get("on_error") == "abort"
        self.data = data
        self.steps: dict[str, Step] = {}
        self.ready: list[Step] = []
        self.put_off: list[Step] = []
        self.to_announce: list[Step] | None = None
        self.came: dict[str, dict[str, Data]] = {uid: {} for uid in self.tasks}
        self.lost: dict[str, set[str]] = {uid: set() for uid in self.tasks}
        self.errors: dict[str, list[str]] = {}
        self.phase = "new"  # then "running", "suspended", "over"
        self.ending: str | None = None
        for at in sorted({at for at, _, _ in orders}):
            together = [order for order in orders if order[0] == at]
            self.later(at, partial(self.obey, together))
        if template.get("timeout"):
            self.later(template["timeout"], lambda: self.stop("timeout"))
        self.later(HORIZON, lambda: self.stop("cancelled"))
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
        acts: list[Callable[[], object]] = []
        if self.phase == "running" and self.ready:
            acts.append(self.begin_next)
        if self.is_at_rest():
            acts.append(self.over)
        return acts + self.due_now()

    def obey(self, orders: list[Order]) -> None:
        """Do what is ordered from outside, one after the other without a pause."""
        for _, name, detail in orders:
            if self.phase == "over":
                return
            if name == "cancel task":
                if detail in self.steps:
                    self.cut(self.steps[detail], "task")
            elif name == "suspend":
                self.suspend()
            elif name == "resume":
                self.resume()
            elif name == "stop" and detail:
                self.later(self.now + detail, partial(self.stop, "cancelled"))
            else:
                self.stop(STOPS[name])

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
        self.ready = []  # what was due never begins
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

    def again(self, step: Step) -> Step:
        """Return a new execution of an interrupted step."""
        self.steps[step.uid] = Step(step.uid, step.task, step.inputs)
        return self.steps[step.uid]

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
        return not (at_work or self.ready or (self.phase == "suspended" and not self.ending))

    def over(self) -> None:
        """Tell the end, once and last (G2)."""
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
        if limit := step.task.get("timeout"):
            self.later(self.now + limit, lambda: self.cut(step, "limit"), step)
        if step.is_join:
            if self.due_now():
                self.wake_join(step.uid)  # it looks round in a turn of its own
            else:
                self.look_round(step)
            return
        config = step.config
        if "chooses" in config:
            step.chosen = [down for down in self.graph[step.uid] if down in config["chooses"]]
        if config.get("turns") or config.get("seconds"):
            self.later(self.now + config.get("seconds", 0), partial(self.wake, step), step)
        else:
            self.wake(step)

    def wake(self, step: Step) -> None:
        """Let a step come to its end; if it was interrupted just now, nobody knows better."""
        how = step.config.get("ends", "dict")
        if step.cut:
            self.forget(step)
            self.react(step, how)
        else:
            self.end_as(step, how)

    def look_round(self, join: Step) -> None:
        """Notice the parents that have come; a join has finished when no more is needed (B05)."""
        join.woken, wanted = False, join.config["wait_for"]
        for parent in self.came[join.uid]:
            if self.is_enough(join, wanted):
                break
            among = parent in wanted if isinstance(wanted, list) else True
            if among and parent not in join.joined:
                join.joined.append(parent)
                self.tell("task-progress", join.uid, (tuple(join.joined), "running"))
                # It takes a turn for each, if others want one.
                if self.due_now() and not self.is_enough(join, wanted):
                    self.wake_join(join.uid)
                    return
        if self.is_enough(join, wanted):
            join.status = "done"
            self.tell("task-progress", join.uid, (tuple(join.joined), "done"))
            self.finish(join, self.collected(join))

    def is_enough(self, join: Step, wanted: Any) -> bool:
        """Say whether a join has all it waits for, or all that can still arrive."""
        open_ = set(self.parents[join.uid]) - set(join.joined) - self.lost[join.uid]
        if isinstance(wanted, list):
            return not open_ & set(wanted)
        return len(join.joined) >= wanted or not open_

    def collected(self, join: Step) -> Data:
        """Return what a join passes on."""
        came = self.came[join.uid]
        how = join.config.get("collect", "first")
        if how == "all":
            return {parent: came[parent] for parent in join.joined}
        if how == "merge":
            return {key: value for parent in join.joined for key, value in came[parent].items()}
        return next((came[parent] for parent in join.joined), join.inputs)

    def end_as(self, step: Step, how: str) -> None:
        """End a step in the way that its behaviour says."""
        if how in RETURNS:
            results = {"none": None, "text": "text"}
            self.finish(step, results.get(how, {**step.inputs, step.uid: how}))
        elif how == "skip":
            self.end(step, "skipped", "task-skip", {"exception": "SkipTask"})
            self.lead_on(step, step.inputs)
        elif how == "task error":
            step.outputs = {"code": step.uid}
            self.fail(step, "TukioTaskError", step.outputs)
        else:
            self.fail(step, "ValueError")

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
        self.note(step, error)
        self.end(step, "exception", "task-error", content or {"exception": error})
        self.lead_on(step, None)
        if self.aborts:
            self.stop("exception")

    def note(self, step: Step, error: str) -> None:
        """Lose no error (G7)."""
        self.errors.setdefault(step.uid, []).append(error)

    def end(self, step: Step, state: str, kind: str, content: Any) -> None:
        """Let a step be over, and tell it."""
        self.forget(step)
        step.state, step.end = state, self.now
        self.tell(kind, step.uid, content)

    def lead_on(self, step: Step, data: Data | None) -> None:
        """Start the successors, in declared order (G8), each with data of its own (G9).

        Not those that were not chosen; with None, nothing.
        """
        for down in self.graph[step.uid]:
            if data is None or (step.chosen is not None and down not in step.chosen):
                self.lose(step.uid, down)
                continue
            self.came[down][step.uid] = dict(data)
            if down not in self.steps and not self.ending:
                self.make_ready(down, data)
            else:
                self.wake_join(down)

    def lose(self, parent: str, uid: str) -> None:
        """Learn that a parent will not lead to a task; what no parent can lead to is lost, too."""
        self.lost[uid].add(parent)
        self.wake_join(uid)
        if self.lost[uid] == set(self.parents[uid]):
            for down in self.graph[uid]:
                self.lose(uid, down)

    def wake_join(self, uid: str) -> None:
        """Let a join look round, in a turn of its own."""
        join = self.steps.get(uid)
        if join and join.is_join and join.at_work and not (join.cut or join.woken):
            join.woken = True
            self.later(self.now, lambda: self.look_round(join), join)

    def cut(self, step: Step, why: str) -> None:
        """Interrupt a step at work; what is due at this very instant may still come first."""
        if not step.at_work or step.state == "suspended":
            return
        if step.cut is None:
            self.forget(step, after=self.now)
            step.cut = why
            self.later(self.now, lambda: self.reach(step), step)
        elif WEIGHTS[why] > WEIGHTS[step.cut] and not step.cleaning:
            step.cut = why

    def reach(self, step: Step) -> None:
        """Let a step learn that it is interrupted; its own shield holds for a while."""
        self.forget(step)
        how = step.config.get("when_cut", "passes")
        self.after(step, step.config.get("shields", 0), partial(self.react, step, how))

    def after(self, step: Step, seconds: float, act: Callable[[], object]) -> None:
        """Let a step do something after a while; without one, at once."""
        if seconds:
            self.later(self.now + seconds, act, step)
        else:
            act()

    def react(self, step: Step, how: str) -> None:
        """End in the way of its own, if it has one; else as it was told."""
        if how == "passes" and step.cut == "suspend":
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
        self.after(
            step, min(step.config.get("cleans", 0), CLEANUP), partial(self.torn_down, step, how)
        )

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
            result = self.collected(step)
        if how != "passes":
            self.end_as(step, how)
        elif step.cut == "limit":
            step.outputs = result
            if step.is_join:
                self.tell("task-progress", step.uid, (tuple(step.joined), "timeout"))
            self.end(step, "timeout", "task-timeout", result)
            self.lead_on(step, result)
        else:
            self.end(step, "cancelled", "task-cancel", None)
            self.lead_on(step, None)

    def outcome(self) -> Outcome:
        """Return what there is to see, now that the run is over."""
        tasks = dict.fromkeys(self.tasks) | {uid: step.seen() for uid, step in self.steps.items()}
        states = ("finished", "skipped", "timeout")
        outputs = {s.uid: s.outputs for s in self.steps.values() if s.state in states}
        assert self.ending
        errors = {uid: sorted(kinds) for uid, kinds in self.errors.items()}
        return Outcome(self.ending, self.now, tasks, errors, outputs, self.story, self.choices)


def runs(
    template: Data, data: Data, orders: Sequence[Order], story: Sequence[Told] | None = None
) -> Iterator[Outcome | Diverged]:
    """Play a run in every way that is allowed; with a story, give up where another is told."""
    return every_way(lambda script: Run(template, data, orders, script, story), Run.play)
