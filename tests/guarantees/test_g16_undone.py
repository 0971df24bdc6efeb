"""G16: what has finished is undone if the run does not finish, whatever is done meanwhile."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from packaging.version import Version

import tukio
from support import profiles
from support.flow import flow
from support.gallery import WORKFLOWS, closing, register_tasks
from tukio.testing import (
    act_everywhere,
    cancel_everywhere,
    fail_everywhere,
    interrupt_everywhere,
    leave_everywhere,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

SLOW = {"name": "slow", "config": {"seconds": 600}}

EVERY = 1 if profiles.PROFILE == "deep" else 13
"""Of so many lines, one is interrupted."""

CLOSING = {name: one for name, one in WORKFLOWS.items() if name.startswith("closing")} | {
    "closing with no time": closing("a=quick b=quick c=quick d=fails", SLOW, closing_timeout=1.75)
}
"""Name -> a workflow that closes."""

every_workflow = pytest.mark.parametrize("name", CLOSING)


def made(name: str) -> Callable[[tukio.Engine], Awaitable[Any]]:
    """Return what starts a run of a workflow."""

    async def make_run(engine: tukio.Engine) -> Any:
        return await engine.run_once(CLOSING[name], {"in": 0})

    return make_run


@pytest.fixture(autouse=True)
def _tasks(task: Tasks) -> None:
    register_tasks(task)


def undone(run: Any, *_: object) -> None:
    """Make sure that each task that has finished is undone, or that it is told why not."""
    words = run._run.template
    if run.state is tukio.FutureState.finished or not run.closing:
        return
    for step in run.tasks:
        done = step.state.value in ("finished", "timeout")
        if step.template.map is not None and step.template.compensate is not None:
            for place in places_done(step):
                _is_undone(run, f"{step.template.uid}[{place}]")
        elif done and step.template.compensate is not None:
            assert _is_undone(run, step.template.uid).undoes is step
    last = [task["name"] for task in words.finally_]
    assert [one.template.name for one in run.closing][-len(last) :] == last


def _is_undone(run: Any, task: str) -> Any:
    """Return what undoes a task, or an item: once, or it is told why not."""
    uid = f"{task}.compensate"
    [by] = [one for one in run.closing if one.template.uid == uid]
    assert by.undoes.template.uid == task
    assert by.state is tukio.FutureState.finished or uid in run.unhandled
    return by


def places_done(step: Any) -> list[int]:
    """Return the places of the items of a task that are done, by what its report shows."""
    shown = step.report()
    if step.state is tukio.FutureState.finished:
        return [n for n, result in enumerate(shown["outputs"]["results"]) if result is not None]
    return [int(place) for place in shown.get("items", {}).get("done", {})]


@every_workflow
async def test_g16_cancelled_at_every_point(name: str) -> None:
    """Also while it closes: that changes nothing."""
    assert await cancel_everywhere(made(name), undone) > 10


@every_workflow
async def test_g16_an_error_at_every_point(name: str) -> None:
    """Also in what undoes tasks, and in what comes last: the others go on."""
    assert await fail_everywhere(made(name), undone) > 5


@every_workflow
async def test_g16_suspended_or_stopped_at_every_point(name: str) -> None:
    """A run that closes cannot be suspended, and takes no time limit for its own."""

    def pause(run: Any) -> None:
        closes = run.status == "closing" and run.closing
        assert not (run.suspend() and closes)
        run.resume()

    assert await act_everywhere(made(name), pause, undone) > 10
    assert await act_everywhere(made(name), lambda run: run.timeout(), undone) > 10


@every_workflow
@pytest.mark.parametrize("cancellations", [1, 2])
async def test_g16_left_at_every_point(name: str, cancellations: int) -> None:
    """The block of the engine is cancelled, and waits until the run has closed."""
    assert await leave_everywhere(made(name), undone, cancellations=cancellations) > 5


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("name", ["closing after a failure", "closing items"])
def test_g16_interrupted_at_every_line(backend: str, name: str, signals: int) -> None:
    """By Ctrl-C: the run closes all the same, but for what was cut itself."""
    if signals == 2 and backend != "trio" and Version(version("anyio")) < Version("4.15"):
        # Before that, a scope that Ctrl-C has left open is cancelled anew in each turn of the loop,
        # for ever. In real time the run closes meanwhile; in virtual time no time passes.
        pytest.skip("time stands still: anyio cancels what is left of a scope again and again")
    lines = interrupt_everywhere(made(name), _closed, backend=backend, every=EVERY, signals=signals)
    assert lines > 10


def _closed(run: Any) -> None:
    if run.report()["exec"]["start"] is not None:
        undone(run)


async def test_g16_its_time_is_bounded() -> None:
    """By `closing_timeout` and the clean-up of the one that was cut."""
    async with tukio.Engine() as engine:
        run = await made("closing with no time")(engine)
        begun = anyio.current_time()
        await run.wait()
    # One second until it fails, and half a second of clean-up.
    assert anyio.current_time() - begun == 1 + 1.75 + 0.5
    assert {uid for uid in run.errors if uid != "d"} == {
        "c.compensate",
        "b.compensate",
        "a.compensate",
        "y",
        "z",
    }


async def test_g16_reverse_order_of_ends() -> None:
    """Not that of their starts."""
    graph = {"a": ["b", "c"], "b": ["d"], "c": []}
    names = {"a": "quick", "b": "slow", "c": "quick", "d": "fails"}
    template = flow(graph, names=names, on_error="abort")
    for one in template.tasks:
        one.compensate = "quick"
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await run.wait()
    assert [one.undoes.template.uid for one in run.closing if one.undoes] == ["b", "c", "a"]
