"""Mapped tasks whose items are undone, for the tests of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

import tukio

from .maps import register_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from .flow import Tasks


class Undo(NamedTuple):
    """A call of what undoes something.

    Attributes:
        at: When it has ended.
        uid: Its id in the template.
        given: What it was given.
        undoes: The execution that it undoes.
    """

    at: float
    uid: str
    given: Any
    undoes: Any


def register(task: Tasks) -> list[Undo]:
    """Register what is run; return what is undone, in order."""
    register_steps(task)
    found: list[Undo] = []

    @task
    async def give_back(event: tukio.Event) -> None:
        me: Any = tukio.current_task()
        await anyio.sleep(1)
        found.append(Undo(anyio.current_time(), me.template.uid, event.data, me.undoes))

    @task
    async def unwilling(event: tukio.Event) -> None:
        await give_back(event)
        me: Any = tukio.current_task()
        if me.undoes.index in (1, None) or me.attempt == 1:
            raise KeyError(me.template.uid)

    @task
    async def ship(event: tukio.Event) -> None:
        raise OSError("no van")

    @task
    async def waits(event: tukio.Event) -> None:
        await anyio.sleep(100)

    @task
    async def split(event: tukio.Event) -> None: ...

    @task
    async def other(event: tukio.Event) -> None:
        await anyio.sleep(event.data["other"])

    return found


def taking(
    end: str = "ship", undo: Any = "give_back", keys: dict[str, Any] | None = None, **words: Any
) -> dict[str, Any]:
    """Return a mapped task whose items can be undone, and one that decides how the run ends."""
    task = {"id": "each", "name": "page", "compensate": undo, "map": {"over": "$.list", **words}}
    tasks = [{**task, **(keys or {})}, {"id": "end", "name": end}]
    graph = {"each": ["end"]}
    return {"id": "taking", "on_error": "abort", "tasks": tasks, "graph": graph}


def of_three(end: str = "ship", **fields: Any) -> dict[str, Any]:
    """Return a fork: of two items and another task, which can be undone, too."""
    template = taking(end)
    split, other = ({"id": uid, "name": uid} for uid in ("split", "other"))
    template["tasks"] += [split, other | {"compensate": "give_back"}]
    template["graph"] = {"split": ["each", "other"], "each": ["end"]}
    return template | fields


ONE_TWO_THREE = {"list": [{"takes": 1}, {"takes": 3}], "other": 2}
"""What `of_three` is given: its items take 1 and 3 seconds, and the other task takes 2."""


async def ended(
    template: dict[str, Any],
    data: Any,
    act: Callable[[Any], object] | None = None,
    after: float = 1.5,
) -> Any:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, data if isinstance(data, dict) else {"list": data})
        if act is not None:
            await anyio.sleep(after)
            act(run)
        await run.wait()
    return run


def ids(found: list[Undo]) -> list[str]:
    """Return the ids of what was undone, in order; what undoes a thing is named after it."""
    assert all(one.uid == f"{one.undoes.template.uid}.compensate" for one in found)
    return [one.undoes.template.uid for one in found]
