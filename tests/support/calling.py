"""Programs that call much of what users hand in: handlers, callbacks, predicates, texts of errors.

Owns:   those that are not worth an interruption at each of their lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from .programs import INNER, PROGRAMS, RETRY, chain

if TYPE_CHECKING:
    import tukio

    from .programs import Story


TOGETHER = {"id": "together", "policy": "start-new"}


async def suspended_children(story: Story, engine: tukio.Engine) -> None:
    """Children and items that are suspended are cancelled with their run, or reach its limit."""
    over = {"over": "$.list"}
    tasks: list[dict[str, Any]] = [
        {"id": "a", "name": "quick"},
        {"id": "each", "workflow": INNER, "map": over},
        {"id": "calls", "name": "calls"},
        {"id": "holds", "name": "holds", "map": over},
        {"id": "again", "name": "fails", "retry": {**RETRY, "initial": 5}},
    ]
    graph = {"a": [task["id"] for task in tasks[1:]]}
    document = {**TOGETHER, "tasks": tasks, "graph": graph, "timeout": 1.0}
    for is_suspended in (True, False):
        run: Any = await engine.start(document, {"list": [1, 2]})
        await anyio.sleep(0.5)
        story.runs += engine.instances
        if is_suspended:
            run.suspend()
            await anyio.sleep(0.25)
            run.cancel()
        await run.wait()


async def closes_late(story: Story, engine: tukio.Engine) -> None:
    """The time to close is over before all is undone."""
    undo: dict[str, Any] = {"name": "fails", "retry": {**RETRY, "initial": 5}}
    each = {"id": "each", "name": "quick", "map": {"over": "$.list"}, "compensate": "holds"}
    sub = chain({"id": "x", "name": "quick", "compensate": undo}, {"id": "y", "name": "holds"})
    tasks: list[dict[str, Any]] = [
        {"id": "a", "name": "quick", "compensate": "holds"},
        each,
        {"id": "sub", "workflow": {**sub, "id": "inner"}},
        {"id": "e", "name": "holds"},
    ]
    for seconds in (0.5, 2.0):
        document = chain(*tasks, closing_timeout=seconds, timeout=1.0)
        run: Any = await engine.start(document, {"list": [1, 2, 3]})
        await anyio.sleep(0.5)
        story.runs += engine.instances
        await run.wait()


async def closes_sooner(story: Story, engine: tukio.Engine) -> None:
    """A child that closes, and waits for its next attempt at that, gets less time from above."""
    undo: dict[str, Any] = {"name": "fails", "retry": {**RETRY, "initial": 5}}
    undone: dict[str, Any] = {"id": "x", "name": "quick", "compensate": undo}
    inner = chain(undone, {"id": "y", "name": "fails"}, id="inner", on_error="abort")
    document = chain({"id": "sub", "workflow": inner}, closing_timeout=1.0)
    run: Any = await engine.start(document, {})
    await anyio.sleep(0.5)
    story.runs += engine.instances
    run.cancel()
    await run.wait()


ASKS = {**RETRY, "retry_if": "asks"}
ODD: dict[str, Any] = {"name": "odd", "retry": ASKS}


async def asks(story: Story, engine: tukio.Engine) -> None:
    """Failures of all kinds, whose errors have a text of their own; a predicate is asked first."""
    over = {"over": "$.list", "tolerate": "all"}
    child = chain({"id": "x", "name": "odd"}, id="child", on_error="abort")
    tasks: list[dict[str, Any]] = [
        {"id": "a", "name": "quick", "compensate": ODD},
        {"id": "plain", **ODD},
        {"id": "each", **ODD, "map": over},
        {"id": "sub", "workflow": child, "retry": ASKS},
        {"id": "subs", "workflow": child, "retry": ASKS, "map": over},
        {"id": "output", "name": "odd", "on_error": {"output": {"n": 1}}},
        {"id": "to", "name": "odd", "on_error": {"to": ["z"]}},
        {"id": "z", "name": "quick"},
    ]
    graph = {"a": [task["id"] for task in tasks[1:-1]], "to": ["z"]}
    run: Any = await engine.start({**TOGETHER, "tasks": tasks, "graph": graph}, {"list": [1, 2]})
    await anyio.sleep(0.1)
    story.runs += engine.instances
    await run.wait()


async def asks_alone(story: Story, engine: tukio.Engine) -> None:
    """A child alone has failed, and then the run closes: nothing else is at work."""
    child = chain({"id": "x", "name": "odd"}, id="child", on_error="abort")
    sub = {"id": "sub", "workflow": child, "retry": ASKS}
    document = chain(sub, **{"finally": [{"id": "last", **ODD}], "on_error": "abort"})
    run: Any = await engine.start(document, {})
    await anyio.sleep(0.1)
    story.runs += engine.instances
    await run.wait()


CALLING = {
    **PROGRAMS,
    **{
        each.__name__: each
        for each in (suspended_children, closes_late, closes_sooner, asks, asks_alone)
    },
}
