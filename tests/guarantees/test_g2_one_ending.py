"""G2: a run has one ending, and whoever listens knows it before anyone who waits goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from support.stories import QUICK, failing
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

as_in_1_x = pytest.mark.backends("asyncio", "uvloop")


async def _succeed(engine: tukio.Engine) -> Any:
    return await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})


async def _fail(engine: tukio.Engine) -> Any:
    return await engine.run_once(flow("a b", names=QUICK | {"b": "fails"}), {})


async def _abort(engine: tukio.Engine) -> Any:
    names = {"a": "quick", "b": "slow", "c": "fails"}
    return await engine.run_once(flow({"a": ["b", "c"]}, names=names, on_error="abort"), {})


async def _limit(engine: tukio.Engine) -> Any:
    return await engine.run_once(flow("a", names={"a": "slow"}, timeout=1), {})


async def _cancel(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})
    await anyio.sleep(1)
    run.cancel()
    run.cancel()
    return run


async def _cancel_at_once(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a", names=QUICK), {})
    run.cancel()
    return run


async def _suspend(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})
    await anyio.sleep(1)
    run.suspend()
    await settle()
    return run


async def _stop(engine: tukio.Engine) -> Any:
    run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})
    await anyio.sleep(1)
    engine.stop(force=True)
    return run


ENDINGS: dict[str, tuple[Callable[[tukio.Engine], Awaitable[Any]], str, Any]] = {
    "success": (_succeed, "workflow-end", None),
    "failed task": (_fail, "workflow-end", None),
    "abort": (_abort, "workflow-error", tukio.WorkflowFailed),
    "limit": (_limit, "workflow-end", {"cancel": True, "timeout": True}),
    "cancel": (_cancel, "workflow-end", {"cancel": True}),
    "cancel at once": (_cancel_at_once, "workflow-end", {"cancel": True}),
    "cancel suspended": (_suspend, "workflow-end", {"cancel": True}),
    "stop": (_stop, "workflow-end", {"cancel": True}),
}


@pytest.mark.parametrize(("start", "kind", "content"), ENDINGS.values(), ids=ENDINGS)
async def test_g2_a_run_has_one_ending_before_anyone_who_waits_goes_on(
    task: Tasks, ran: list[str], start: Any, kind: str, content: Any
) -> None:
    """It is the last event, and handlers of both topics know it before any waiter does.

    In 1.1.2 it came a turn or two later, or not at all.
    """
    failing(task, KeyError("boom"))
    order: list[str] = []

    async def wait(run: Any) -> None:
        await run.wait()
        order.append("waiter")

    def note(event: tukio.Event) -> None:
        if event.data["type"] in {"workflow-end", "workflow-error"}:
            order.append("handler")

    def note_own(event: tukio.Event) -> None:
        note(event)

    async with tukio.Engine() as engine:
        story = listen(engine)
        engine.broker.register(note, tukio.EXEC_TOPIC)
        run: Any = await start(engine)
        engine.broker.register(note_own, f"{tukio.EXEC_TOPIC}/{run.uid}")
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait, run)
            await settle()
            if run.state is tukio.FutureState.suspended:
                run.cancel()  # it ends here and now
        await anyio.sleep(60)

    terminal = [event for event in story if event[0] in {"workflow-end", "workflow-error"}]
    assert story[-1:] == terminal
    assert terminal[0][:2] == (kind, None)
    told = terminal[0][2]
    assert (type(told) if isinstance(content, type) else told) == content
    assert order == ["handler", "handler", "waiter", "waiter", "waiter"]


@as_in_1_x
@pytest.mark.parametrize("start", [_succeed, _cancel, _abort])
async def test_g2_the_ending_is_known_before_a_future_is_done(
    task: Tasks, ran: list[str], start: Any
) -> None:
    """To those who await the run as such, or have it call them back."""
    failing(task, KeyError("boom"))
    order: list[str] = []

    def note(event: tukio.Event) -> None:
        if event.data["type"] in {"workflow-end", "workflow-error"}:
            order.append("handler")

    def call_back(run: object) -> None:
        order.append("callback")

    async with tukio.Engine() as engine:
        engine.broker.register(note, tukio.EXEC_TOPIC)
        run: Any = await start(engine)
        run.add_done_callback(call_back)
        await asyncio.wait([run])
        order.append("waiter")
        await settle()

    assert order[0] == "handler"
    assert sorted(order[1:]) == ["callback", "waiter"]


async def test_g2_a_stream_has_the_ending_before_anyone_who_waits_goes_on(
    ran: list[str],
) -> None:
    """It can be read at once, without any time or turn in between."""
    async with tukio.Engine() as engine, engine.subscribe(tukio.EXEC_TOPIC) as events:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        await run.wait()
        start = anyio.current_time()
        heard = [(await anext(events)).data["type"] for _ in range(4)]
        assert anyio.current_time() == start

    assert heard == ["workflow-begin", "task-begin", "task-end", "workflow-end"]
