"""What ends the program may be raised in any handler, at any event: G1 and G2 hold.

A second Ctrl-C is raised wherever the program is, and a handler may call `sys.exit()`.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.ending import HERE, RUN_ENDS, STEP_ENDS, ends_the_program
from support.flow import flow, step_of
from support.keeping import KeepingEngine
from tukio._model.facts import RunEnded, RunStopped, StepEnded
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.flow import Tasks


pytestmark = pytest.mark.usefixtures("naps")

CANCELLED = tukio.FutureState.cancelled
SUSPENDED, PENDING = tukio.FutureState.suspended, tukio.FutureState.pending

on_each = pytest.mark.parametrize("backend", HERE)


@dataclass
class Story:
    """What a second subscriber was told, and what there is to look at when the program is over."""

    runs: list[Any] = field(default_factory=list[Any])
    told: list[tuple[Any, str, str | None]] = field(default_factory=list[Any])
    kept: list[tuple[Any, list[Any]]] = field(default_factory=list[Any])
    raised: int = 0

    def hear(self, engine: KeepingEngine, kind: str, nth: int, error: type[BaseException]) -> None:
        """Raise at the n-th event of a kind in one handler, and note everything in another."""
        seen: Counter[str] = Counter()

        def raises(event: tukio.Event) -> None:
            seen[event.data["type"]] += 1
            if event.data["type"] == kind and seen[kind] == nth:
                self.raised += 1
                raise error

        def note(event: tukio.Event) -> None:
            assert event.source
            source = event.source
            self.told.append((source.workflow_exec_id, event.data["type"], source.task_template_id))

        engine.broker.register(raises, tukio.EXEC_TOPIC)
        engine.broker.register(note, tukio.EXEC_TOPIC)
        self.kept = engine.kept

    def check(self) -> None:
        """Make sure that each run and step has ended once, in the right order, and was told."""
        for run in self.runs:
            assert run.state not in {PENDING, SUSPENDED}
            told = [(kind, uid) for execution, kind, uid in self.told if execution == run.uid]
            kinds = Counter(kind for kind, _ in told)
            assert sum(kinds[kind] for kind in RUN_ENDS) == 1
            assert told[-1][0] in RUN_ENDS
            begun = Counter(uid for kind, uid in told if kind == "task-begin")
            ended = Counter(uid for kind, uid in told if kind in STEP_ENDS)
            assert set(ended) == set(begun)
            assert set(ended.values()) <= {1}
            (facts,) = [facts for kept, facts in self.kept if kept is run]
            over = Counter(fact.task for fact in facts if isinstance(fact, StepEnded))
            assert over == ended
            assert isinstance(facts[-1], RunEnded)
            if run.state is not tukio.FutureState.finished:
                (stop,) = [fact for fact in facts if isinstance(fact, RunStopped)]
                assert stop.ending is run.state
            else:
                assert all(step.done() for step in run.tasks)


FAN = {"quick": ["nap", "shields", "other"]}
NAMES = {"other": "nap"}

MOMENTS = [
    *[(kind, nth) for kind in ("task-begin", "task-end") for nth in (1, 2, 3)],
    *[(kind, nth) for kind in ("workflow-begin", "workflow-end") for nth in (1, 2)],
    ("task-cancel", 1),
]


@on_each
@pytest.mark.parametrize(("kind", "nth"), MOMENTS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_program_is_ended_in_a_handler_while_steps_are_at_work(
    backend: str, kind: str, nth: int, error: type[BaseException]
) -> None:
    """At an event of any kind, of two runs; one of them reaches its limit."""
    story = Story()

    async def main() -> None:
        async with KeepingEngine() as engine:
            story.hear(engine, kind, nth, error)
            for template in (flow(FAN, names=NAMES, timeout=8), flow("quick nap")):
                story.runs.append(await engine.run_once(template, {}))
            for run in story.runs:
                await run.wait()

    ends_the_program(main, backend, error)
    assert story.raised == 1
    story.check()


async def nothing(engine: tukio.Engine, runs: list[Any]) -> None:
    """Let the runs wait until their limit."""


async def force(engine: tukio.Engine, runs: list[Any]) -> None:
    """Stop the engine."""
    engine.stop(force=True)


async def leave(engine: tukio.Engine, runs: list[Any]) -> None:
    """Leave the engine by an error."""
    raise KeyError


def each(act: str) -> Callable[..., Coroutine[Any, Any, None]]:
    """Do something to each run."""

    async def do(engine: tukio.Engine, runs: list[Any]) -> None:
        for run in runs:
            getattr(run, act)()
        await anyio.sleep(1)

    return do


ACTS = {"limit": nothing, "force": force, "leave": leave} | {
    act: each(act) for act in ("cancel", "resume", "suspend")
}


async def waits(story: Story, act: str, kind: str, nth: int) -> None:
    """Let two runs wait, and have an event while they do raise."""
    async with KeepingEngine() as engine:
        template = flow(FAN, names=NAMES, timeout=20)
        story.runs += [await engine.run_once(template, {}) for _ in range(2)]
        await anyio.sleep(1)
        if act == "suspend":
            story.hear(engine, kind, nth, KeyboardInterrupt)
        else:
            await each("suspend")(engine, story.runs)
            await anyio.sleep(6)
            story.hear(engine, kind, nth, KeyboardInterrupt)
        await ACTS[act](engine, story.runs)
        for run in story.runs:
            await run.wait()


@on_each
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize(
    ("act", "kind"),
    [
        *((act, "task-cancel") for act in ACTS),
        *((act, "workflow-end") for act in ACTS),
        ("suspend", "workflow-suspend"),
        ("resume", "workflow-resume"),
        ("resume", "task-begin"),
    ],
)
def test_the_program_is_ended_in_a_handler_while_runs_wait(
    backend: str, act: str, kind: str, nth: int
) -> None:
    """Nobody drives them: what an alarm or a method has begun, it brings to its end."""
    story = Story()

    async def main() -> None:
        await waits(story, act, kind, nth)

    ends_the_program(main, backend, KeyboardInterrupt)
    assert story.raised == 1
    for run in story.runs:
        assert run.state not in {PENDING, SUSPENDED}
        told = [kind for uid, kind, _ in story.told if uid == run.uid]
        assert sum(kind in RUN_ENDS for kind in told) == 1
        assert told[-1] in RUN_ENDS
        (facts,) = [facts for kept, facts in story.kept if kept is run]
        ends = Counter(fact.task for fact in facts if isinstance(fact, StepEnded))
        assert set(ends.values()) == {1}
        # What was to be run again, and had yet to begin, has no end.
        assert act == "resume" or set(ends) == {"quick", "nap", "shields", "other"}
        assert isinstance(facts[-1], RunEnded)


@on_each
def test_the_program_is_ended_in_a_done_callback(backend: str) -> None:
    """The others are called all the same, and the step leads to where it leads."""
    called: list[str] = []
    story = Story()

    async def main() -> None:
        async with KeepingEngine() as engine:
            story.hear(engine, "none", 1, KeyboardInterrupt)
            run: Any = await engine.run_once(flow("nap quick"), {})
            story.runs.append(run)
            await settle()
            step = step_of(run, "nap")
            step.add_done_callback(lambda _: called.append("before"))
            step.add_done_callback(lambda _: sys.exit())
            step.add_done_callback(lambda _: called.append("after"))
            await run.wait()

    ends_the_program(main, backend, SystemExit)
    assert called == ["before", "after"]
    story.check()
    assert story.runs[0].state is CANCELLED
    assert [kind for _, kind, uid in story.told if uid == "nap"] == ["task-begin", "task-end"]


CHILD = {"id": "child", "tasks": [{"id": "only", "name": "nap"}]}
IN_FORMS: dict[str, dict[str, Any]] = {
    "workflow": {"workflow": CHILD},
    "map": {"workflow": CHILD, "map": {"over": "$.list"}},
    "code": {"name": "calls"},
}


@on_each
@pytest.mark.parametrize("form", IN_FORMS)
def test_the_program_is_ended_as_a_child_ends_at_the_limit(
    task: Tasks, backend: str, form: str
) -> None:
    """The run learns of its limit by that, and a callback of a step that it calls off raises."""

    @task
    async def calls(event: tukio.Event) -> None:
        await tukio.run_child(CHILD, {})

    @task
    async def fails(event: tukio.Event) -> None:
        raise OSError

    retry = {"attempts": 2, "initial": 60, "max": 60, "jitter": "none"}
    tasks = [
        {"id": "a", "name": "quick"},
        {"id": "b", **IN_FORMS[form]},
        {"id": "c", "name": "fails", "retry": retry},
    ]
    template = {"timeout": 5, "tasks": tasks, "graph": {"a": ["b", "c"]}}
    runs: list[Any] = []

    async def main() -> None:
        async with tukio.Engine() as engine:
            run: Any = await engine.start(template, {"list": [1, 2]})
            runs.append(run)
            await settle()
            step_of(run, "c").add_done_callback(lambda _: sys.exit())
            await run.wait()

    # Whether the end of the child or the limit comes first is up to the backend.
    for _ in range(10):
        ends_the_program(main, backend, SystemExit)
        assert all(step.done() for run in runs for step in run.tasks)
        assert {run.state for run in runs} == {tukio.FutureState.timeout}
