"""What a plan needs of whoever drives it, and gives: a driver of two pages does as the engine.

It knows no loop and no scopes, and has a clock of its own: only what the plan tells it to do next.
"""

from __future__ import annotations

from contextlib import contextmanager
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import anyio
from hypothesis import example, given, strategies as st

import tukio
from support.hurry import hurry
from support.profiles import many
from support.silence import silence
from tukio._model.plan import Plan
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio._model.step import Step
from tukio.errors import InvalidResult
from tukio.testing import registered
from tukio.testing.clock import BACKENDS, is_available, run as run_on, settle
from tukio.testing.strategies import workflow_templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypothesis.strategies import DrawFn

HERE = [name for name in BACKENDS if is_available(name)]
NAME = "of the plan's contract"
DATA = {"in": 0}

FINISHED, SKIPPED, FAILED = FutureState.finished, FutureState.skipped, FutureState.exception


# The driver ---------------------------------------------------------------------------------------


class Driven(Step):
    """A step at work; one that gathers its parents knows which may still come."""

    __slots__ = ("expected", "met")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.met: list[str] = []
        # None before it asks, and when it has enough.
        self.expected: set[int] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """What it is to do."""
        found: dict[str, Any] = self.template.config
        return found

    def receive(self, data: dict[str, Any], parent: Step) -> None:
        """Take the data of a late parent."""
        super().receive(data, parent)
        if self.expected is not None:
            self.meet(parent)

    def meet(self, parent: Step) -> None:
        """Gather a parent."""
        if len(self.met) < self.config["gathers"]:
            self.met.append(parent.template.uid)
        self.give_up_on(parent.number)

    def give_up_on(self, number: int) -> None:
        """Wait for a parent no more."""
        if self.expected is not None:
            self.expected.discard(number)
            if not self.expected or len(self.met) == self.config["gathers"]:
                self.expected = None
                self.run.end_later(self)


class Driver:
    """Carries a template out, from its plan alone.

    Args:
        template: What to carry out.
        pauses: When all that is at work is interrupted, and begun anew at once.
    """

    def __init__(self, template: tukio.WorkflowTemplate, pauses: Sequence[float]) -> None:
        self.plan: Plan[Driven] = Plan(shape_of(template), Driven, self)
        self.pauses = sorted(pauses)
        self.now = 0.0
        self.ends: list[tuple[float, int, Driven]] = []

    def carry_out(self, data: dict[str, Any]) -> None:
        """Do all of it."""
        self.plan.begin(data)
        self.start_ready()
        while self.ends:
            if self.pauses and self.pauses[0] < self.ends[0][0]:
                self.now = self.pauses.pop(0)
                self.begin_anew()
            else:
                self.now, _, step = heappop(self.ends)
                self.end(step)
            self.start_ready()

    def start_ready(self) -> None:
        """Start what is ready, first in, first out."""
        while self.plan.ready:
            step = self.plan.ready.popleft()
            step.started_at = self.now
            successors = [self.plan.shape.tasks[n] for n in self.plan.shape.successors[step.number]]
            if "chooses" in step.config:
                places = step.config["chooses"]
                self.plan.choose(step, [t.uid for n, t in enumerate(successors) if n in places])
            if "gathers" in step.config:
                self.gather(step)
            else:
                self.end_later(step)

    def gather(self, step: Driven) -> None:
        """Let a step wait for its parents: for those who came, and those who may come."""
        step.expected = self.plan.open_parents(step)
        came = ([step.parent] if step.parent else []) + [parent for _, parent in step.late]
        step.met = [parent.template.uid for parent in came][: step.config["gathers"]]
        step.expected -= {parent.number for parent in came}
        # It may have all that will come.
        step.give_up_on(-1)

    def end_later(self, step: Driven) -> None:
        """Let a step end in its time."""
        heappush(self.ends, (self.now + step.config["seconds"], step.number, step))

    def begin_anew(self) -> None:
        """Interrupt what is at work, and make it ready once more."""
        self.ends.clear()
        at_work = [step for step in self.plan.reached() if step.ended_at is None]
        for step in sorted(at_work, key=lambda step: (step.started_at or 0.0, step.number)):
            step.expected = None
            self.plan.requeue(step)

    def end(self, step: Driven) -> None:
        """End a step, and follow it."""
        step.ended_at = self.now
        ends = step.config.get("ends", "dict")
        if ends == "error":
            step.state = FAILED
            self.plan.stop_branch(step)
        elif ends == "skip":
            step.state = SKIPPED
            self.plan.follow(step, step.input_data)
        else:
            met = {"met": step.met} if "gathers" in step.config else {}
            result = {"dict": {**step.input_data, step.template.uid: 1, **met}, "none": None}
            try:
                step.output_data, data = self.plan.passed_on(step, result.get(ends, ends))
            except InvalidResult:
                step.state, step.output_data = FAILED, ends
                self.plan.stop_branch(step)
            else:
                step.state = FINISHED
                self.plan.follow(step, data)


# The same on an engine ----------------------------------------------------------------------------


def chosen_by(me: tukio.TaskRun) -> list[str]:
    """Return the ids of the successors that a task is to choose."""
    successors = me.workflow.template.dag.successors(me.template)
    places = me.template.config["chooses"]
    return [each.uid for place, each in enumerate(successors) if place in places]


async def gathered(me: tukio.TaskRun) -> dict[str, Any]:
    """Return which parents came, as many as are wanted."""
    met: list[str] = []
    async for uid, _ in me.parents():
        met.append(uid)
        if len(met) == me.template.config["gathers"]:
            break
    return {"met": met}


async def task(event: tukio.Event) -> Any:
    """Do what the config says."""
    me = tukio.current_task()
    config = me.template.config
    if "chooses" in config:
        me.workflow.set_next_tasks(chosen_by(me))
    met = await gathered(me) if "gathers" in config else {}
    await anyio.sleep(config["seconds"])
    ends = config.get("ends", "dict")
    if ends == "skip":
        raise tukio.SkipTask("why not")
    if ends == "error":
        raise KeyError(me.template.uid)
    return {"dict": {**event.data, me.template.uid: 1, **met}, "none": None}.get(ends, ends)


@contextmanager
def stage() -> Iterator[None]:
    """Register the task, and keep its failures out of the log."""
    with silence(), registered({NAME: task}):
        yield


async def carried_out(
    template: tukio.WorkflowTemplate, pauses: Sequence[float], data: dict[str, Any]
) -> list[Any]:
    """Carry a template out on an engine, and return the steps."""
    hurry()
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        for pause in sorted(pauses):
            await anyio.sleep_until(start + pause)
            if run.suspend():
                await settle()
                run.resume()
        await run.wait()
    return list(run._steps)


def seen(steps: Sequence[Any]) -> list[Any]:
    """Return all that a plan knows of its steps."""
    return [
        step
        and {
            "id": step.template.uid,
            "state": step.state.value,
            "inputs": step.input_data,
            "outputs": step.output_data,
            "chosen": step.chosen,
            "parent": step.parent and step.parent.template.uid,
            "late": [(data, parent.template.uid) for data, parent in step.late],
            "start": step.started_at,
            "end": step.ended_at,
        }
        for step in steps
    ]


# What is drawn ------------------------------------------------------------------------------------


@st.composite
def tasks(draw: DrawFn, uid: str, *, parents: Sequence[str] = ()) -> dict[str, Any]:
    """Draw a task; no two of a workflow ever end at one instant, in whatever order they start."""
    config: dict[str, Any] = {"seconds": 2 ** (ord(uid) - ord("a"))}
    ends = draw(st.sampled_from(["dict"] * 6 + ["none", "skip", "error", "text"]))
    if ends != "dict":
        config["ends"] = ends
    if draw(st.integers(0, 3)) == 1:
        config["chooses"] = draw(st.sampled_from([[], [0], [0], [1], [0, 2]]))
    if len(parents) > 1 and draw(st.booleans()):
        config["gathers"] = draw(st.integers(1, len(parents)))
    return {"id": uid, "name": NAME, "config": config}


def only_the_graph(template: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is no affair of the plan."""
    left_out = {"timeout", "on_error", "defaults"}
    return {key: value for key, value in template.items() if key not in left_out}


templates = workflow_templates(tasks=tasks).map(only_the_graph)
# At no instant at which a task ends: those that go on after a pause end at a fraction, too.
pauses = st.lists(st.integers(0, 60), max_size=2, unique=True).map(
    lambda seconds: [second + 1 / (2 << place) for place, second in enumerate(seconds)]
)

DIAMOND = {"a": ["b", "c", "d"], "b": ["d"], "c": ["d"], "d": []}
GATHERING: dict[str, Any] = {
    "id": "gathering",
    "tasks": [
        {"id": "a", "name": NAME, "config": {"seconds": 1}},
        {"id": "b", "name": NAME, "config": {"seconds": 2, "ends": "error"}},
        {"id": "c", "name": NAME, "config": {"seconds": 4, "chooses": []}},
        {"id": "d", "name": NAME, "config": {"seconds": 8, "gathers": 3}},
    ],
    "graph": DIAMOND,
}

SHORTCUT: dict[str, Any] = {
    "id": "shortcut",
    "tasks": [
        {"id": "a", "name": NAME, "config": {"seconds": 1}},
        {"id": "b", "name": NAME, "config": {"seconds": 2}},
        {"id": "d", "name": NAME, "config": {"seconds": 8, "gathers": 2}},
    ],
    "graph": {"a": ["b", "d"], "b": ["d"], "d": []},
}


@many(150)
@given(template=templates, pauses=pauses)
@example(template=GATHERING, pauses=[])
@example(template=GATHERING, pauses=[1.5, 3.5])
# All that may come has come before the pause.
@example(template=SHORTCUT, pauses=[3.5])
def test_a_driver_that_knows_the_plan_alone_does_what_the_engine_does(
    template: dict[str, Any], pauses: list[float]
) -> None:
    """States, data, choices, who led to whom, who came late, and when; interrupted or not."""
    with stage():
        sound = tukio.WorkflowTemplate.from_dict(template)
        driver = Driver(sound, pauses)
        driver.carry_out(DATA)
        expected = seen(driver.plan.steps)
        for backend in HERE:
            assert seen(run_on(carried_out, sound, pauses, DATA, backend=backend)) == expected


def test_a_step_that_gathers_gives_up_on_those_who_cannot_come() -> None:
    """The driver is told of each; without that it would wait for ever."""
    with stage():
        driver = Driver(tukio.WorkflowTemplate.from_dict(GATHERING), [])
        driver.carry_out(DATA)
    *_, d = driver.plan.reached()
    assert (d.met, d.started_at, d.ended_at) == (["a"], 1, 1 + 4 + 8)
