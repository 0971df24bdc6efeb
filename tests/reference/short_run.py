"""What a run of one task does, as far as an engine with many of them needs to know it.

Owns:   how the task begins, ends, is interrupted and is run again, and what is told of it.
Knows:  the behaviours of `tukio.testing.actors` that need one task. What leads from one task to
        the next, and all that may happen at one instant, is the matter of `model`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .parts import ENDS

if TYPE_CHECKING:
    from .engine_model import EngineModel
    from .parts import Data
    from .timeline import Told

TASK = "work"
"""The id of the one task."""
FAILURES: dict[str, tuple[str, Data | None]] = {
    "error": ("task-error", {"exception": "ValueError"}),
    "skip": ("task-skip", {"exception": "SkipTask"}),
    "passes": ("task-cancel", None),
}
"""The ways to end that return nothing."""


class ShortRun:
    """A run of one task.

    Args:
        engine: Where.
        number: Which, of the runs of the engine.
        template: What is run.
        data: What it is started with.
        replaced: The runs that must be over before it starts.

    Attributes:
        phase: "waiting", "new" (started, and nobody was told), "running", "suspended", "over".
        step: "ready", "at work", "put off" until the run is resumed, or "over".
        cut: Why the step is interrupted: "suspend" or "run".
        is_driven: Whether what begins its step is on its way.
        due: When the step at work goes on, and `how` it ends then, unless it waits for events.
    """

    def __init__(
        self, engine: EngineModel, number: int, template: Data, data: Data, replaced: list[ShortRun]
    ) -> None:
        self.engine = engine
        self.number = number
        self.template = template
        self.does: Data = template["does"]
        self.data = data
        self.replaced = list(replaced)
        self.locked = template["policy"] == "skip-until-unlock"
        self.phase = "waiting"
        self.step = "ready"
        self.cut: str | None = None
        self.how = ""
        self.due = self.deadline = math.inf
        self.queue: list[Data] = []
        self.to_announce = False
        self.is_driven = False
        self.ending: str | None = None
        self.end_of_deadline = "timeout"
        self.errors: dict[str, list[str]] = {}
        self.story: list[Told] = []

    @property
    def state(self) -> str:
        """How it stands, for its user."""
        if self.phase == "over":
            return str(self.ending)
        return "suspended" if self.phase == "suspended" else "pending"

    @property
    def next_due(self) -> float:
        """When something will happen to it by itself."""
        deadline = math.inf if self.ending or self.looks_away else self.deadline
        return min(deadline, self.due if self.step == "at work" else math.inf)

    @property
    def unwinds(self) -> bool:
        """Whether its task takes its time to end: nothing else of it has to be cancelled."""
        return self.step == "at work" and self.cut is not None and self.due > self.engine.now

    @property
    def looks_away(self) -> bool:
        """Whether its limit is not noticed before its task has unwound; suspended, it always is."""
        return self.unwinds and self.phase != "suspended"

    @property
    def rests(self) -> bool:
        """Whether nothing drives it: it answers at once, then, and not in the next turn."""
        return self.step != "at work" and not self.is_driven

    def tell(self, kind: str, content: Any, uid: str | None = None) -> None:
        """Tell an event."""
        self.story.append((self.engine.now, kind, uid, content))

    # What is done to it

    def start(self) -> None:
        """Begin in the next turn; the time limit counts from now on."""
        self.phase, self.is_driven = "new", True
        if limit := self.template["timeout"]:
            self.end_by(self.engine.now + limit, "timeout")

    def end_by(self, deadline: float, ending: str) -> None:
        """Be stopped at an instant, if it does not come to its end before."""
        if deadline < self.deadline:
            self.deadline, self.end_of_deadline = deadline, ending

    def is_late(self) -> bool:
        """Say whether its time is up; then it stops."""
        late = self.engine.now >= self.deadline and not self.ending
        if late:
            self.stop(self.end_of_deadline)
        return late

    def stop(self, ending: str) -> bool:
        """Cancel it; the first reason counts (G3)."""
        if self.phase == "over":
            return False
        if self.ending:
            return True
        self.ending = self.end_of_deadline if self.engine.now >= self.deadline else ending
        if self.step == "put off":
            self.end_step("passes")
        elif self.step == "ready":
            self.step = "over"
        self.interrupt("run")
        if self.phase == "waiting":
            self.over()
        elif self.phase == "suspended":
            self.phase = "running"
            if self.rests:
                self.over()
        return True

    def cancel(self) -> bool:
        """Cancel it."""
        return self.stop("cancelled")

    def timeout(self) -> bool:
        """Cancel it as if its time was up."""
        return self.stop("timeout")

    def suspend(self) -> bool:
        """Interrupt its task, if it goes on."""
        if self.phase == "new":
            self.begin()
        if self.is_late() or self.phase != "running" or self.ending:
            return False
        self.phase = "suspended"
        self.tell("workflow-suspend", None)
        self.interrupt("suspend")
        return True

    def resume(self) -> bool:
        """Run again what was interrupted, then tell (KEEP: in this order)."""
        if self.is_late() or self.phase != "suspended":
            return False
        self.phase = "running"
        if self.step == "put off":
            self.step, self.to_announce, self.is_driven = "ready", True, True
        elif self.step == "ready":
            self.is_driven = True
        if not self.to_announce:
            self.tell("workflow-resume", None)
        if self.rests:
            self.over()
        return True

    def unlock(self) -> None:
        """Let new data start another run."""
        self.locked = False

    def hear(self, topic: str | None, data: Data) -> None:
        """Let an event come to its task, if that is at work and listens."""
        listens = self.does.get("listens", [])
        if self.step == "at work" and not self.cut and (listens is None or topic in listens):
            self.queue.append(data)
            if self.due == math.inf:
                self.due = self.engine.now

    # What it does

    def go_on(self) -> bool:
        """Do the next thing that needs no time; return whether there was one."""
        if not self.looks_away and self.phase != "over" and self.is_late():
            return True
        if (
            self.is_driven
            and self.phase != "new"
            and (self.phase, self.step) != ("running", "ready")
        ):
            self.is_driven = False
            return True
        if self.phase == "new":
            self.begin()
        elif self.phase in ("waiting", "over"):
            return False
        elif self.step == "ready" and self.phase == "running":
            self.begin_step()
        elif self.step == "at work" and self.due <= self.engine.now:
            self.go_on_with_step()
        elif self.step == "over" and self.phase == "running":
            self.over()
        else:
            return False
        return True

    def begin(self) -> None:
        """Tell the begin, unless it is to stop already."""
        self.phase = "running"
        if not self.ending:
            self.tell("workflow-begin", self.data)

    def begin_step(self) -> None:
        """Begin the task, again perhaps: then it has lost the events it had."""
        self.step, self.cut, self.queue, self.is_driven = "at work", None, [], False
        self.due = self.engine.now + self.does.get("seconds", 0)
        self.how = self.does.get("ends", "dict")
        self.tell("task-begin", self.data, TASK)
        if self.to_announce:
            self.to_announce = False
            self.tell("workflow-resume", None)
        if self.does.get("starts") == "error":
            self.end_step("error")

    def go_on_with_step(self) -> None:
        """End the task, or let it wait for events."""
        if not self.cut and len(self.queue) < self.does.get("awaits", 0):
            self.due = math.inf
        elif self.cut == "suspend" and self.how == "passes":
            self.step = "put off" if self.phase == "suspended" else "ready"
        else:
            self.end_step(self.how)

    def interrupt(self, why: str) -> None:
        """Interrupt the task: it may shield itself for a while; what it has heard counts."""
        if self.step != "at work":
            return
        if not self.cut and self.due > self.engine.now:
            self.due = self.engine.now + self.does.get("shields", 0)
            self.how = self.does.get("when_cut", "passes")
            self.queue = []
        self.cut = "run" if "run" in (why, self.cut) else "suspend"

    def end_step(self, how: str) -> None:
        """Let the task be over, and tell it."""
        self.step = "over"
        if how == "dict":
            heard = {"heard": self.queue[: self.does["awaits"]]} if self.queue else {}
            self.tell("task-end", {**self.data, TASK: how, **heard}, TASK)
            return
        kind, content = FAILURES[how]
        if how == "error":
            self.errors[TASK] = ["ValueError"]
        self.tell(kind, content, TASK)
        if how == "error" and self.template["on_error"] == "abort":
            self.stop("exception")

    def over(self) -> None:
        """Tell the end, once and last (G2)."""
        self.phase = "over"
        self.ending = self.ending or "finished"
        self.tell(*ENDS[self.ending])
        self.engine.one_is_over()
