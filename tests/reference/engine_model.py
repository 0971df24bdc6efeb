"""What an engine must do, as a plain program: the specification, executable.

Owns:   what is loaded, which data starts which runs, what the overrun policies do to others, and
        how an engine ends; in virtual time, without a loop.
Knows:  runs of one task each (`short_run`); nothing of the engine.
Source: the design of tukio 2, sections 4 and 5; for the rest what tukio 1.1.2 did.

Whatever is called takes effect at once, without anything else happening. What follows from it
happens in a pause, in an order that nobody can tell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .short_run import ShortRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .parts import Data

HORIZON = 100.25
"""How long an engine that is left waits for its runs, before the tests lose their patience."""
TOPICS = (None, "red", "blue", "green")
"""What the selector is asked for."""


class EngineModel:
    """An engine, from its beginning to its end.

    What returns a run returns its number: runs are counted in the order in which they are asked
    for. What is refused, or raises, returns the words for it.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.loaded: dict[str, Data] = {}
        self.runs: list[ShortRun] = []
        self.stopping = False

    # Templates

    def load(self, template: Data) -> str:
        """Load a template, as the last, and return it; one with the same id is replaced."""
        if is_faulty(template):
            return "TemplateError"
        self.loaded.pop(template["id"], None)
        self.loaded[template["id"]] = template
        uid: str = template["id"]
        return uid

    def reload(self, templates: Sequence[Data]) -> str | None:
        """Replace all, or nothing."""
        if any(map(is_faulty, templates)):
            return "TemplateError"
        self.loaded = {}
        for template in templates:
            self.load(template)
        return None

    def unload(self, uid: str) -> str:
        """Forget a template; its runs go on."""
        return self.loaded.pop(uid)["id"] if uid in self.loaded else "KeyError"

    def select(self, topic: str | None) -> list[str]:
        """Say what an event triggers: what listens to everything, then what listens to it."""
        everything = [uid for uid, template in self.loaded.items() if template["topics"] is None]
        listed = [
            uid for uid, template in self.loaded.items() if topic in (template["topics"] or ())
        ]
        return everything + listed

    # Runs

    @property
    def instances(self) -> list[int]:
        """The runs that are not over, in the order in which they were asked for."""
        return [run.number for run in self.runs if run.phase != "over"]

    def data_received(self, topic: Any, data: Data) -> str | list[int]:
        """Let the tasks at work hear, then start what it triggers."""
        if topic is not None and not isinstance(topic, str):
            return "TypeError"
        for run in self.runs:
            run.hear(topic, data)
        started = [] if self.stopping else [self.attempt(uid, data) for uid in self.select(topic)]
        return [number for number in started if isinstance(number, int)]

    def trigger(self, uid: str, data: Data) -> str | int:
        """Start a run of one template, whatever its topics."""
        if uid not in self.loaded:
            return f"UNKNOWN_TEMPLATE {uid}"
        return f"STOPPING {uid}" if self.stopping else self.attempt(uid, data)

    def run_once(self, template: Data, data: Data) -> str | int:
        """Start a run of a template that is not loaded, whatever its policy."""
        if is_faulty(template):
            return "TemplateError"
        if self.stopping:
            return f"STOPPING {template['id']}"
        return self.add(template, data, []).number

    def attempt(self, uid: str, data: Data) -> str | int:
        """Do what the policy says, of the template as it is now, about all runs with its id."""
        template = self.loaded[uid]
        others = [self.runs[n] for n in self.instances if self.runs[n].template["id"] == uid]
        policy = template["policy"]
        locked = any(run.locked for run in others)
        if (policy == "skip" and others) or (policy == "skip-until-unlock" and locked):
            return f"SKIPPED {uid}"
        replaced = others if policy == "abort-running" else []
        run = self.add(template, data, replaced)
        for other in replaced:
            other.stop("cancelled")
        return run.number

    def add(self, template: Data, data: Data, replaced: list[ShortRun]) -> ShortRun:
        """Add a run, which starts when those that it replaces are over."""
        run = ShortRun(self, len(self.runs), template, data, replaced)
        self.runs.append(run)
        self.one_is_over()
        return run

    def one_is_over(self) -> None:
        """Start those that have waited for it."""
        for run in self.runs:
            if run.phase == "waiting" and all(other.phase == "over" for other in run.replaced):
                run.start()

    def of_run(self, order: str, number: int) -> bool | None:
        """Do something to a run; 0 is the latest, and so on, round and round."""
        return getattr(self.runs[-1 - number % len(self.runs)], order)() if self.runs else None

    # Time

    def settle(self) -> None:
        """Let happen what needs no time."""
        while any(run.go_on() for run in self.runs):
            pass

    def pause(self, seconds: float) -> None:
        """Let time pass, and what happens meanwhile happen."""
        until = self.now + seconds
        self.settle()
        while (at := self.next_due()) <= until:
            self.now = at
            self.settle()
        self.now = until

    def next_due(self) -> float:
        """Say when something will happen by itself; inf for never."""
        return min((run.next_due for run in self.runs if run.phase != "over"), default=math.inf)

    # The end

    def stop(self, grace: float | None, force: bool) -> None:
        """Start nothing more; cancel what goes on, now or later or not at all.

        To have no time left is to be cancelled now.
        """
        self.stopping = True
        for number in self.instances:
            if force or grace == 0:
                self.runs[number].stop("cancelled")
            elif grace is not None:
                self.runs[number].end_by(self.now + grace, "cancelled")

    @property
    def is_done(self) -> bool:
        """Whether it was stopped and all is over."""
        return self.stopping and not self.instances

    def leave(self, force: bool) -> None:
        """Wait for all runs; cancel them first if it is left by an error, or in the end."""
        self.stop(None, force)
        self.settle()
        horizon = self.now + HORIZON
        while self.instances and self.next_due() <= horizon:
            self.pause(self.next_due() - self.now)
        if self.instances:
            self.pause(horizon - self.now)
            self.stop(None, force=True)
            self.settle()
        while self.instances:
            self.pause(self.next_due() - self.now)


def is_faulty(template: Data) -> bool:
    """Say whether a template must be refused: nobody has its task."""
    return template["does"] is None
