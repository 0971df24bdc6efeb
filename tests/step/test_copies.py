"""What stands twice, so that it costs no call: both are the same."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import given, strategies as st

import tukio
from support.flow import flow
from support.strategies import graphs, json_values
from tukio._backends.asyncio.backend import AsyncioDriver
from tukio._backends.asyncio.task import TukioTask
from tukio._backends.trio.backend import TrioDriver
from tukio._loop.contract import Driver
from tukio._model.plan import Plan
from tukio._model.shape import shape_of
from tukio._model.step import Step
from tukio._run.outcome import Ending, failed, finished
from tukio._run.task_run import TaskRun
from tukio._step.step import LiveStep

if TYPE_CHECKING:
    from support.strategies import Graph


def slots_of(kind: type[Any]) -> set[str]:
    """Return the names of the slots of a class and its bases."""
    return {name for base in kind.__mro__ for name in vars(base).get("__slots__", ())}


def fields(thing: Any, names: set[str]) -> dict[str, Any]:
    """Return the attributes that a thing has, among some."""
    found: dict[str, Any] = {}
    for name in names:
        with suppress(AttributeError):
            found[name] = getattr(thing, name)
    return found


# The constructor of a step ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LiveStep, TaskRun])
def test_a_live_step_is_made_as_a_step_is(kind: type[LiveStep]) -> None:
    """Every attribute of a step, with the value that it has there; and its own, all of them."""
    args: Any = (object(), 3, flow("a").tasks[0], {"in": 0}, object())
    plain = Step(*args)
    live = kind(*args)
    expected = fields(plain, slots_of(Step))
    assert set(expected) == slots_of(Step)
    assert fields(live, slots_of(Step)) == expected
    own = {name: getattr(live, name) for name in slots_of(LiveStep) - slots_of(Step)}
    assert own == {
        "driver": None,
        "holder": None,
        "cancel_called": False,
        "interrupted_for": None,
        "_extras": None,
    }


# The constructor of a driver ----------------------------------------------------------------------

CONTRACT = set(Driver.__annotations__)


async def nothing(_: object = None) -> None:
    """Do nothing."""


@pytest.mark.backends("asyncio", "uvloop")
async def test_a_driver_is_made_as_a_task_of_a_user_is() -> None:
    """Every attribute of it, with the same values: but for the run, and what is known of a task."""
    loop = asyncio.get_running_loop()

    class Run:
        face = object()

    run: Any = Run()
    driver = AsyncioDriver(nothing, run, loop, "driver", None)
    task = TukioTask(nothing(), loop=loop)
    names = {name for name in slots_of(TukioTask) if not name.startswith("__")}
    one, other = fields(driver, names), fields(task, names)
    assert set(one) == set(other) == names
    assert (one.pop("_run"), one.pop("_workflow"), one.pop("_standalone")) == (run, Run.face, None)
    assert (other.pop("_run"), other.pop("_workflow")) == (None, None)
    assert other.pop("_standalone") is not None
    assert one == other
    await asyncio.wait([driver, task])


def test_a_driver_of_trio_is_made_as_one_of_asyncio_is() -> None:
    """As far as the contract goes."""
    run: Any = type("Run", (), {"face": None})()
    loop = asyncio.new_event_loop()
    driver = AsyncioDriver(nothing, run, loop, "driver", None)
    expected = fields(driver, CONTRACT)
    loop.run_until_complete(driver)
    loop.close()

    async def made() -> dict[str, Any]:
        return fields(TrioDriver(), CONTRACT)

    assert set(expected) == CONTRACT
    assert trio.run(made) == expected


# What a step leads to -----------------------------------------------------------------------------


class Written(Plan[Any]):
    """A plan whose `follow` makes new steps by `_reach`, as `begin` and `requeue` do."""

    def follow(self, step: Any, data: dict[str, Any]) -> None:
        """Pass data on."""
        chosen = step.chosen
        for number in self.shape.successors[step.number] if chosen is None else chosen:
            successor = self.steps[number]
            if successor is None:
                self._reach(number, data, step)
            elif successor.ended_at is None:
                successor.receive(data, step)
        if self._open is not None:
            self._close(step.number, None if chosen is None else frozenset(chosen))


def walked(plan: Plan[Any], picks: list[int]) -> list[Any]:
    """End the steps of a plan in some order, and return all that is to be seen after each."""
    story: list[Any] = []
    plan.begin({"n": 0})
    for turn, pick in enumerate(picks):
        if not plan.ready:
            break
        plan.ready.rotate(-(pick % len(plan.ready)))
        step = plan.ready.popleft()
        step.started_at = step.ended_at = turn
        plan.follow(step, {"n": turn})
        story.append(
            [
                step
                and (
                    step.run,
                    step.number,
                    step.template,
                    step.input_data,
                    step.parent and step.parent.number,
                    [(data, parent.number) for data, parent in step.late],
                    step.ended_at,
                )
                for step in plan.steps
            ]
        )
        story.append([step.number for step in plan.ready])
    return story


@given(graphs(rooted=True), st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_a_plan_follows_a_step_as_it_reaches_one(graph: Graph, picks: list[int]) -> None:
    """The same steps, of the same run, ready in the same order."""
    shape = shape_of(flow(graph, tasks=[{"id": uid, "name": uid} for uid in graph]))
    run = object()
    assert walked(Plan(shape, Step, run), picks) == walked(Written(shape, Step, run), picks)


# What a step passes on ----------------------------------------------------------------------------


class Odd(dict[str, Any]):
    """A dict of the user's own kind."""


@pytest.mark.parametrize("graph", ["a b", "a"], ids=["with a successor", "a leaf"])
@given(
    result=json_values
    | st.dictionaries(st.text(max_size=2), json_values)
    | st.builds(Odd, st.dictionaries(st.text(max_size=2), json_values))
    | st.builds(tukio.Event, st.dictionaries(st.text(max_size=2), json_values))
)
def test_a_step_finishes_with_what_the_plan_passes_on(graph: str, result: Any) -> None:
    """Also where the rule is written out; a tuple has the places of an ending."""
    plan: Plan[Any] = Plan(shape_of(flow(graph)), Step)
    step = plan.begin({"in": 0})
    ending = Ending(*finished(plan, step, result, 7.0))
    if ending.error is not None:
        with pytest.raises(type(ending.error), match=re.escape(str(ending.error))):
            plan.passed_on(step, result)
        assert ending == failed(step, ending.error, 7.0, result)
        return
    output, data = plan.passed_on(step, result)
    state = tukio.FutureState.finished
    assert repr(ending) == repr(Ending(state, "task-end", output, data, None, 7.0))
    assert (type(ending.output), type(ending.leads_to)) == (type(output), type(data))
    assert (ending.output is ending.leads_to) == (output is data)
    assert ending.leads_to is not result
