"""Rescue by the order of ends: what clocks cannot tell, a report says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen, states
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished

FAN = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["after"], "after": []}
NAMES = {"a": "one", "b": "one", "c": "one", "d": "one", "after": "slow"}


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register `one`, which adds its id, `slow` (5 s), and `meet`, a join of the user's own."""

    @task
    async def one(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        # Turn by turn, so that the last to be declared is the first to end.
        for _ in range({"b": 9, "c": 6, "d": 3}.get(uid, 0)):
            await anyio.lowlevel.checkpoint()
        return {"from": uid}

    @task
    async def slow(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(5)
        return dict(event.data)

    @task
    async def meet(event: tukio.Event) -> dict[str, Any]:
        met: list[str] = []
        parents = tukio.current_task().parents()
        async for uid, _ in parents:
            met.append(uid)
            if len(met) == 2:
                await anyio.sleep(5)
        return {"met": met}


def joining(**fields: Any) -> tukio.WorkflowTemplate:
    """Return a workflow with a join of three, all of which end at one instant."""
    template = flow(FAN, names=NAMES | {"j": "join"}, **fields)
    template.tasks[4].config = {"wait_for": 3, "collect": "all"}
    return template


async def cut_in_two(template: tukio.WorkflowTemplate) -> dict[str, Any]:
    """Return the report of a run that is cut after the instant in which all parents ended."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
    assert isinstance(report, dict)
    return report


def execution(report: dict[str, Any], uid: str) -> dict[str, Any]:
    """Return what a report says of a task."""
    (found,) = [task["exec"] for task in report["tasks"] if task["id"] == uid]
    assert isinstance(found, dict)
    return found


async def rescued(template: tukio.WorkflowTemplate, report: dict[str, Any]) -> dict[str, Any]:
    """Go on from a report, and return the one of the end."""
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, report)
        assert await run.wait() is FINISHED
        found: dict[str, Any] = run.report()
    return found


def set_back(report: dict[str, Any], uid: str, by: timedelta) -> None:
    """Make the clock of a task have been behind."""
    step = execution(report, uid)
    for key in ("start", "end"):
        step[key] -= by


async def test_a_report_tells_the_order_of_ends_of_one_instant() -> None:
    """The instants are equal, and the declared order is another."""
    report = await cut_in_two(joining())
    assert report["exec"]["order"] == ["a", "d", "c", "b", "j"]
    assert len({execution(report, uid)["end"] for uid in "dcb"}) == 1


@pytest.mark.parametrize("clock", ["as it was", "set back"])
async def test_a_join_is_rescued_with_its_parents_in_the_order_of_the_report(clock: str) -> None:
    """Not in that of the instants, which are equal, or wrong since a clock was set back."""
    template = joining()
    report = await cut_in_two(template)
    # As if it had been thrown away before the join: it is begun anew.
    joined = execution(report, "j")
    joined |= {"state": "pending", "end": None, "outputs": None}
    report["tasks"][5]["exec"] = None
    report["exec"]["order"].remove("j")
    if clock == "set back":
        for number, uid in enumerate("bcd"):
            set_back(report, uid, timedelta(hours=3 - number))
    final = await rescued(template, report)
    assert [*execution(final, "j")["outputs"]] == ["d", "c", "b"]
    assert final["exec"]["order"] == ["a", "d", "c", "b", "j", "after"]


async def test_the_order_outlives_a_second_rescue_of_a_join_of_the_users_own() -> None:
    """Its template names no join, so the order is kept from when the task asked for its parents."""
    template = flow(FAN, names=NAMES | {"j": "meet"})
    report = await cut_in_two(template)
    assert report["exec"]["order"] == ["a", "d", "c", "b"]
    for number, uid in enumerate("bcd"):
        set_back(report, uid, timedelta(hours=3 - number))
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, report)
        await settle()
        again = run.report()
        run.cancel()
    assert again["exec"]["order"] == ["a", "d", "c", "b"]
    final = await rescued(template, again)
    assert execution(final, "j")["outputs"] == {"met": ["d", "c", "b"]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda order: order[:-1],
        lambda order: [*order, order[0]],
        lambda order: [order[0], *order[2:], order[0]],
        lambda order: [],
        lambda order: [*order[:-1], "x"],
        lambda order: [*order[:-1], 5],
        lambda order: "adcbj",
        lambda order: 5,
        dict.fromkeys,
        lambda order: [order[1], order[0], *order[2:]],
    ],
    ids=[
        "short",
        "twice",
        "one for another",
        "none",
        "unknown",
        "5",
        "text",
        "number",
        "dict",
        "led",
    ],
)
async def test_an_order_that_is_none_is_refused_before_anything_starts(
    spoil: Callable[[list[str]], Any],
) -> None:
    """It was edited, or cut: what it leads to would be another run."""
    template = joining()
    report = await cut_in_two(template)
    report["exec"]["order"] = spoil(report["exec"]["order"])
    async with tukio.Engine() as engine:
        story = listen(engine)
        with pytest.raises(tukio.RescueError):
            await engine.rescue(template, report)
        assert engine.instances == []
        await settle()
    assert kinds(story) == []


async def test_an_order_names_also_what_was_cancelled() -> None:
    """Which is run again: its place is given to nobody."""
    template = joining()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        run.cancel()
        await run.wait()
        report = run.report()
    assert report["exec"]["order"] == ["a", "d", "c", "b", "j", "after"]
    assert states(run)["after"] == "cancelled"
    final = await rescued(template, report)
    assert final["exec"]["order"] == report["exec"]["order"]


async def test_a_report_without_an_order_is_rescued_by_its_instants() -> None:
    """Ends first, then starts, then the declared order: as those of older versions are."""
    template = joining()
    for spread, expected in [
        ({}, ["b", "c", "d"]),
        ({"c": (0, 0), "b": (0, 1), "d": (0, 2)}, ["c", "b", "d"]),
        ({"d": (0, 0), "c": (1, 0), "b": (0, 1)}, ["d", "b", "c"]),
    ]:
        report = await cut_in_two(template)
        del report["exec"]["order"]
        joined = execution(report, "j")
        joined |= {"state": "pending", "end": None, "outputs": None}
        report["tasks"][5]["exec"] = None
        begin = execution(report, "a")["end"]
        inputs = execution(report, expected[0])["outputs"]
        joined["inputs"] = inputs
        for uid, (end, start) in spread.items():
            step = execution(report, uid)
            step["start"] = begin + timedelta(milliseconds=start)
            step["end"] = begin + timedelta(seconds=1, milliseconds=end)
        final = await rescued(template, report)
        assert [*execution(final, "j")["outputs"]] == expected
