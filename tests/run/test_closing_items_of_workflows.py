"""What undoes the items of a map beside `workflow`: runs that have come to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution
from support.undone import Undo, ended, ids, register, taking

if TYPE_CHECKING:
    from support.flow import Tasks

LIST = [{"takes": 2}, {"takes": 1}, {"takes": 30}]
CHILD = {"id": "child", "on_error": "abort", "tasks": [{"id": "x", "name": "inner"}]}


@pytest.fixture
def undone(task: Tasks) -> list[Undo]:
    """Register what is run; give what is undone."""

    @task
    async def inner(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(event.data["takes"])
        return {"took": event.data["takes"]}

    return register(task)


def template(*, begun: bool = False) -> dict[str, Any]:
    """Return a map of workflows whose items can be undone."""
    made = taking(undo={"name": "give_back", "begun": begun})
    del made["tasks"][0]["name"]
    made["tasks"][0]["workflow"] = CHILD
    return made


def cancel(run: Any) -> None:
    """Cancel a run."""
    run.cancel()


async def test_children_that_have_finished_are_undone(undone: list[Undo]) -> None:
    """Those that were cut are not, unless that is asked for."""
    run = await ended(template(), LIST, cancel, 4)
    assert ids(undone) == ["each[0]", "each[1]"]
    assert [one.given for one in undone] == [{"took": 2}, {"took": 1}]
    assert undone[0].undoes.inputs == {"takes": 2}
    assert len(run.closing) == 2
    undone.clear()
    await ended(template(begun=True), LIST, cancel, 4)
    assert ids(undone) == ["each[2]", "each[0]", "each[1]"]


@pytest.mark.parametrize("begun", [False, True])
async def test_after_a_rescue(undone: list[Undo], begun: bool) -> None:
    """Of a run at work, and of one that closes."""
    reports: list[dict[str, Any]] = []
    async with tukio.Engine() as engine:
        run = await engine.start(template(begun=begun), {"list": LIST})
        await anyio.sleep(4)
        reports.append(run.report())
        run.cancel()
        await anyio.sleep(0.5)
        reports.append(run.report())
        await run.wait()
    assert list(execution(run, "each")["items"]["children"]) == ["2"]
    for report in reports:
        undone.clear()
        async with tukio.Engine() as engine:
            stored = tukio.report_from_json(tukio.report_to_json(report))
            again = await engine.rescue(template(begun=begun), stored)
            await anyio.sleep(0.25)
            again.cancel()
            await again.wait()
        assert ids(undone) == ["each[2]"] * begun + ["each[0]", "each[1]"]
