"""Orders that wait for a person: an answer to one of them, a reminder, a deadline, deployments.

A run is kept as its report, a text, at each of its events. The next process goes on with what is
kept. So the deadline is an absolute time in the data of the run: a limit of a task begins anew when
the task does. An answer that comes while no process is there is not kept.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

import tukio
from tukio.broker import TopicManager
from tukio.task import Registry
from tukio.testing import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest

DAY = 24 * 3600

ORDER = {
    "id": "order",
    "policy": "start-new",
    "topics": [],
    "tasks": [
        {"id": "ask", "name": "ask"},
        {"id": "approval", "name": "approval"},
        {"id": "ship", "name": "note"},
        {"id": "refuse", "name": "note"},
    ],
    "graph": {"ask": ["approval"], "approval": ["ship", "refuse"]},
}


def tasks(tell: Callable[[str], object], clock: Callable[[], float] = time.time) -> Registry:
    """Return the tasks of an order.

    Args:
        tell: Called with each message to people.
        clock: Returns the time, in seconds.
    """
    registry = Registry()

    @registry.task
    async def ask(event: tukio.Event) -> dict[str, Any]:
        tell(f"asked of {tukio.current_workflow().uid}")
        now = clock()
        return {**event.data, "reminder": now + DAY, "deadline": now + 7 * DAY}

    @registry.task
    async def approval(event: tukio.Event) -> dict[str, Any]:
        run, queue = tukio.current_workflow(), tukio.current_task().queue
        answer: dict[str, Any] = {"approved": False}
        with (
            TopicManager(f"approval/{run.uid}"),
            anyio.move_on_after(event.data["deadline"] - clock()),
        ):
            pause = event.data["reminder"] - clock()
            with anyio.move_on_after(pause) as reminder:
                answer = (await queue.get()).data
            if reminder.cancelled_caught:
                if pause > 0:
                    tell(f"reminded of {run.uid}")
                answer = (await queue.get()).data
        run.set_next_tasks(["ship" if answer["approved"] else "refuse"])
        return answer

    @registry.task
    async def note(event: tukio.Event) -> None:
        tell(f"{tukio.current_task().template.uid} {tukio.current_workflow().uid}")

    return registry


class Kept:
    """The runs that are not over, by their ids, each as a text; stands for a table."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def note(self, kind: str, run: tukio.Workflow, task: object, content: object) -> None:
        """Keep a run as it is now; forget it when it is over."""
        if kind in {"workflow-end", "workflow-error"}:
            del self.texts[run.uid]
        else:
            self.texts[run.uid] = tukio.report_to_json(run.report())


@asynccontextmanager
async def service(kept: Kept, registry: Registry) -> AsyncIterator[tukio.Engine]:
    """Give an engine that goes on with the runs that are kept."""
    async with tukio.Engine(registry=registry) as engine:
        with engine.tap(kept.note):
            for text in list(kept.texts.values()):
                await engine.rescue(ORDER, tukio.report_from_json(text))
            yield engine
        # Nothing is noted any more: what is cut by the end of the process is not over.
        engine.stop(force=True)


async def answer(engine: tukio.Engine, order: str, *, approved: bool) -> None:
    """Answer for one order, by the topic that has its id."""
    await engine.data_received({"approved": approved}, f"approval/{order}")


async def test_an_answer_is_for_one_order() -> None:
    """The others go on waiting, up to the deadline."""
    said = list[str]()
    async with service(Kept(), tasks(said.append, anyio.current_time)) as engine:
        one, other = [await engine.start(ORDER, {"sum": 5}, id=uid) for uid in ("17", "18")]
        await anyio.sleep(3600)
        await answer(engine, "17", approved=True)
        await one.wait(check=True)
        assert anyio.current_time() == 3600
        assert one.outputs["approval"] == {"approved": True}
        await other.wait(check=True)
        assert anyio.current_time() == 7 * DAY
    assert sorted(said[:2]) == ["asked of 17", "asked of 18"]
    assert said[2:] == ["ship 17", "reminded of 18", "refuse 18"]


async def test_who_answers_in_vain_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """As after a slip in the id."""
    async with service(Kept(), tasks(print, anyio.current_time)) as engine:
        await engine.start(ORDER, {}, id="17")
        await settle()
        await answer(engine, "71", approved=True)
    assert "nobody listens to topic approval/71" in caplog.text


async def test_an_order_that_comes_twice_is_asked_for_once() -> None:
    """By its id, as long as its run is not over."""
    said = list[str]()
    async with service(Kept(), tasks(said.append, anyio.current_time)) as engine:
        run = await engine.start(ORDER, {"sum": 5}, id="17")
        assert await engine.start(ORDER, {"sum": 5}, id="17") is run
        await settle()
    assert said == ["asked of 17"]


async def test_an_order_outlives_deployments() -> None:
    """Nobody is asked or reminded twice, and the deadline is that of the first day."""
    said, kept = list[str](), Kept()
    for _ in range(3):
        async with service(kept, tasks(said.append, anyio.current_time)) as engine:
            if not kept.texts:
                for uid in ("17", "18"):
                    await engine.start(ORDER, {"sum": 5}, id=uid)
            await anyio.sleep(DAY + 3600)
        assert set(kept.texts) == {"17", "18"}
        await anyio.sleep(3600)
    assert sorted(said) == ["asked of 17", "asked of 18", "reminded of 17", "reminded of 18"]
    async with service(kept, tasks(said.append, anyio.current_time)) as engine:
        await settle()
        await answer(engine, "17", approved=True)
        await settle()
        assert said[4:] == ["ship 17"]
        other = engine.get("18")
        assert other is not None
        await other.wait(check=True)
    assert anyio.current_time() == 7 * DAY
    assert said[5:] == ["refuse 18"]
    assert kept.texts == {}
