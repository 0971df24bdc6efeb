"""Any run, suspended and resumed at any moments: nothing but the time is different."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from hypothesis import given, strategies as st

import tukio
from support.flow import flow, kinds, listen
from support.strategies import graphs
from support.suspensions import suspend
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from support.strategies import Graph

FINISHED, SUSPENDED = tukio.FutureState.finished, tukio.FutureState.suspended

TURNS = {"turn": 1, "turns": 4}


@st.composite
def histories(draw: DrawFn) -> tuple[Graph, dict[str, float], list[Any]]:
    """Draw a graph, how long its tasks take, and what happens to the run: calls and pauses."""
    graph = draw(graphs(rooted=True))
    takes = {uid: draw(st.sampled_from([0, 0, 1, 2.5, 4])) for uid in graph}
    waits = st.sampled_from([0, 0.5, 1, 3]) | st.sampled_from(["turn", "turns"])
    calls = st.sampled_from(["suspend", "suspend", "resume", "resume"])
    return graph, takes, draw(st.lists(calls | waits, max_size=12))


class Steps:
    """Tasks that take their time, and tell if they are at work when they must not be."""

    def __init__(self, graph: Graph, takes: dict[str, float]) -> None:
        self.parents = {uid: [up for up in graph if uid in graph[up]] for uid in graph}
        self.takes = takes
        self.at_work: set[str] = set()
        self.begun = 0
        self.template = flow(graph, names={uid: self.name_of(uid) for uid in graph})
        for one in self.template.tasks:
            if self.name_of(one.uid) == "join":
                one.config = {"wait_for": self.parents[one.uid], "collect": "all"}

    def name_of(self, uid: str) -> str:
        """Return `join` for some tasks with several parents."""
        return "join" if len(self.parents[uid]) > 1 and uid in "abc" else "work"

    async def work(self, event: tukio.Event) -> dict[str, Any]:
        """Return what does not depend on which of several parents comes first."""
        uid = tukio.current_task().template.uid
        assert uid not in self.at_work
        self.begun += 1
        self.at_work.add(uid)
        try:
            if self.takes[uid]:
                await anyio.sleep(self.takes[uid])
        finally:
            self.at_work.remove(uid)
        return {uid: event.data if len(self.parents[uid]) < 2 else 1}

    async def suffer(self, run: Any, calls: list[Any]) -> int:
        """Do to a run what was drawn; return how often it was suspended."""
        count = 0
        for call in calls:
            if call in {"suspend", "resume"}:
                done = suspend(run) if call == "suspend" else run.resume()
                count += done and call == "suspend"
            elif call in TURNS:
                for _ in range(TURNS[call]):
                    await anyio.lowlevel.checkpoint()
            elif run.state is SUSPENDED:
                await self.rest(run, call)
            else:
                await anyio.sleep(call)
        run.resume()
        return count

    async def rest(self, run: Any, seconds: float) -> None:
        """Check that nothing is at work and nothing begins while a run is suspended."""
        await settle()
        begun = self.begun
        assert self.at_work == set()
        await anyio.sleep(seconds)
        await settle()
        assert run.state is SUSPENDED
        assert (self.at_work, self.begun) == (set(), begun)


@given(histories())
async def test_suspensions_change_nothing_but_the_time(
    history: tuple[Graph, dict[str, float], list[Any]],
) -> None:
    """On any graph: each task ends once, with the output of a run that nobody disturbed."""
    graph, takes, calls = history
    steps = Steps(graph, takes)
    tukio.register("work")(steps.work)
    try:
        async with tukio.Engine() as engine:
            plain: Any = await engine.run_once(steps.template, {"n": 1})
            assert await plain.wait() is FINISHED
            story = listen(engine)
            run: Any = await engine.run_once(steps.template, {"n": 1})
            count = await steps.suffer(run, calls)
            with anyio.move_on_after(100):
                await run.wait()
            run.cancel()
    finally:
        tukio.TaskRegistry.all().pop("work")

    assert run.state is FINISHED
    assert run.outputs == plain.outputs
    told = kinds(story)
    assert sorted(what for what in told if "task-end" in what) == [
        f"task-end {uid}" for uid in sorted(graph)
    ]
    assert [told.count(f"task-begin {uid}") <= count + 1 for uid in graph] == [True] * len(graph)
    assert told.count("workflow-suspend") == count
    assert told[0] == "workflow-begin"
    assert [kind for kind in told if kind in ENDINGS] == [told[-1]] == ["workflow-end"]


ENDINGS = {"workflow-end", "workflow-error"}
