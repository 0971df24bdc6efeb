"""What the model handles: orders, steps, and what there is to see of a run in the end.

Owns:   their names and fields; the rules are the model's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from .timeline import Told

Data = dict[str, Any]
Order = tuple[float, str, Any]
"""An instant, what is done to the run then, and a detail: the task to cancel, the grace."""

RETURNS = ("dict", "event", "none", "text")
"""The ways to end without raising: a step that does so has finished, interrupted or not."""
ERRORS = {"error": "ValueError", "timeout error": "TimeoutError", "group error": "ExceptionGroup"}
SEEN = ("state", "inputs", "outputs", "start", "end", "chosen")
"""What a report says of a task."""
WEIGHTS = {"limit": 0, "suspend": 0, "task": 1, "run": 2}
"""Reasons to interrupt a step; until its clean-up begins, a weightier one overrides another."""
STOPS = {"cancel": "cancelled", "stop": "cancelled", "timeout": "timeout"}
ENDS = {
    "finished": ("workflow-end", None),
    "cancelled": ("workflow-end", {"cancel": True}),
    "timeout": ("workflow-end", {"cancel": True, "timeout": True}),
    "exception": ("workflow-error", "WorkflowFailed"),
}


def tasks_of(template: Data) -> dict[str, Data]:
    """Return the tasks of a template by id, each with what it takes of the defaults."""
    defaults = template.get("defaults") or {}
    return {
        task["id"]: task
        | {
            key: value
            for key, value in defaults.items()
            if task.get(key) is None and not (key == "idle_timeout" and "workflow" in task)
        }
        for task in template["tasks"]
    }


@dataclass
class Outcome:
    """What there is to see of a run when it is over."""

    state: str
    end: float
    tasks: dict[str, Any]
    errors: dict[str, list[str]]
    outputs: Data
    story: list[Told]
    choices: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]], compare=False)
    """Which of how many, wherever more than one thing was due."""
    slow: dict[str, float] = field(default_factory=dict[str, float], compare=False)
    """Task -> how long it took at most to unwind; of the engine: those named, and when."""


@dataclass
class Items:
    """The items of a task that is run once for each of a list, of all its executions."""

    total: int | None = None  # None until the task has begun
    values: list[Any] = field(default_factory=list[Any])
    results: dict[int, Any] = field(default_factory=dict[int, Any])
    failed: dict[int, str] = field(default_factory=dict[int, str])
    outputs: dict[int, Any] = field(default_factory=dict[int, Any])  # of those that have failed
    cancelled: set[int] = field(default_factory=set[int])  # those that were, but not with the task
    late: list[int] = field(default_factory=list[int])  # those that have a result past their limit
    skipped: list[int] = field(default_factory=list[int])  # those that have their inputs for that
    left: list[int] = field(default_factory=list[int])  # places of those not made
    open: list[Step] = field(default_factory=list["Step"])  # due, at work, or to be tried again
    earlier: dict[int, Step] = field(default_factory=dict[int, "Step"])  # those to be made anew
    tried: dict[int, int] = field(default_factory=dict[int, int])  # attempts that have failed
    tolerated: int = 0  # how many may go wrong
    closed: bool = False  # whether no further one begins
    unwinds: bool = False  # whether that is because the task was cut
    again: bool = False  # whether it was interrupted, and makes its items anew

    @property
    def are_too_bad(self) -> bool:
        """Whether more have failed, or were cancelled, than may."""
        return len(self.failed) + len(self.cancelled) > self.tolerated

    @property
    def over(self) -> set[int]:
        """The places of those that are over, and not to be run again."""
        return {*self.results, *self.failed, *self.cancelled}

    def seen(
        self, whole: Step, errors: dict[str, list[str]], started: Collection[str]
    ) -> Data | None:
        """Return what a report says of them: of those that did not go well, or of all.

        Of all, if the output of the task has not their results and these may be needed.
        """
        uid, undo = whole.uid, whole.task.get("compensate")
        places = {str(place): f"{uid}[{place}]" for place in range(self.total or 0)}
        beside = {
            place: errors[item][0] if len(errors[item]) == 1 else "ExceptionGroup"
            for place, item in places.items()
            if item in errors and int(place) not in self.failed
        }
        failed = {str(place): error for place, error in self.failed.items()}
        late = {"timed_out": sorted(self.late)} if self.late else {}
        flaws = {"total": self.total, "failed": failed, **late}
        if self.outputs:
            flaws["outputs"] = {str(place): output for place, output in self.outputs.items()}
        if self.skipped:
            flaws["skipped"] = sorted(self.skipped)
        if beside:
            flaws["errors"] = beside
        begun = [int(place) for place, item in places.items() if item in started]
        begun = [place for place in begun if place not in {*self.results, *self.failed}]
        if undo and undo.get("begun") and begun:
            flaws["begun"] = begun
        if whole.state == "cancelled" or (undo and self.results and whole.state != "finished"):
            done = {str(place): result for place, result in self.results.items()}
            tried = {str(n): made for n, made in self.tried.items() if n not in self.over}
            return {**flaws, "done": done, "attempts": tried}
        return flaws if failed or len(flaws) > len(("total", "failed")) else None


@dataclass(eq=False)
class Step:
    """One task, from the moment it is due; its last execution."""

    uid: str
    task: Data
    inputs: Any
    state: str = "pending"
    outputs: Any = None
    start: float | None = None
    end: float | None = None
    chosen: list[str] | None = None
    cut: str | None = None  # why it is interrupted: a key of `WEIGHTS`
    cut_at: float = 0.0
    beat: float = 0.0  # when it has shown its last sign of life
    silent: bool = False  # cut because it has shown none for too long
    loose: bool = False  # whether it is of no task in the graph
    called_off: bool = False  # cancelled before it began
    cleaning: bool = False  # whether its teardown has begun
    attempt: int = 1  # as often it was run, those that have failed
    first: float | None = None  # when the first attempt began, of a later one
    beside: list[str] = field(default_factory=list[str])  # errors that it has if it fails for good
    overran: bool = False  # whether it came to its end later than its limit
    joined: list[str] = field(default_factory=list[str])  # parents that a join has noticed
    status: str = "running"  # of a join
    woken: bool = False  # a join that has yet to look round
    reached: bool = False  # whether it has learnt that it is interrupted
    late: list[Data] = field(default_factory=list[Data])  # what further parents brought
    queue: list[Data] = field(default_factory=list[Data])
    reads: bool = False  # whether it waits for something to come into the queue
    heard: list[Data] = field(default_factory=list[Data])  # what it has taken out of the queue
    child: Any = None  # the run that it is, if it is one, while that is not over
    items: Items | None = None  # of a task that is run once for each of a list
    whole: Step | None = None  # of an item: the step of its task
    place: int = 0  # of an item, in the list
    error: str = ""  # what it has failed with
    due: float = 0.0  # when it may begin, if it is to be tried again

    @property
    def config(self) -> Data:
        """Its behaviour."""
        return dict(self.task.get("config") or {})

    @property
    def is_join(self) -> bool:
        """Whether it is the join task."""
        return bool(self.task.get("name") == "join")

    @property
    def in_graph(self) -> bool:
        """Whether it is of a task in the graph."""
        return not self.loose and self.whole is None

    @property
    def work(self) -> Items:
        """Its items; it must be a task that has them."""
        assert self.items is not None
        return self.items

    @property
    def at_work(self) -> bool:
        """Whether it has begun and is not over."""
        return self.start is not None and self.end is None

    def result(self, how: str) -> Any:
        """Return what it returns, if it ends in one of the ways that do."""
        if self.items is not None:
            results = [self.items.results.get(place) for place in range(len(self.items.values))]
            return {**self.inputs, self.task["map"].get("into", "results"): results}
        if how in ("none", "text"):
            return {"none": None, "text": "text"}[how]
        inputs = self.inputs if isinstance(self.inputs, dict) else {}
        return {**inputs, self.uid: how} | ({"heard": [*self.heard]} if self.heard else {})

    def seen(self, errors: dict[str, list[str]], started: Collection[str]) -> Data | None:
        """Return what there is to see of it; None if it never began.

        Args:
            errors: All errors of the run.
            started: The ids of all that has ever begun.
        """
        if self.start is None:
            return None
        join = {"joined": self.joined, "status": self.status} if self.is_join else {}
        items = self.items and self.items.seen(self, errors, started)
        return {key: getattr(self, key) for key in SEEN} | join | {"items": items}
