"""What tasks do, as data, and the tasks that do it on the engine.

A behaviour is the `config` of a task named `actor`:

turns:     how many checkpoints it passes first (0)
seconds:   how long it sleeps then (0)
ends:      `dict` (default; its inputs and its id), `event`, `none`, `text`, `skip`, `task error`
           or `error`
chooses:   the successors it goes on with, said at its begin; all if left out
when_cut:  what it does with a cancellation: `passes` it on (default), or one of `ends`
shields:   how long it shields its unwinding (0)
teardown:  what its `teardown()` does: `nothing` (default), returns a `dict`, `error`
cleans:    how long that takes (0)

A task named `join` is the engine's own. A template is in its dict form, and so is a timeline: a
list of (instant, order, detail), where an order is `cancel`, `timeout`, `suspend`, `resume`,
`stop` (detail: None by force, or the grace) or `cancel task` (detail: its id).
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

import tukio
from support.flow import Tasks

from .model import HORIZON
from .parts import SEEN, Outcome

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime

    from .parts import Data, Order
    from .timeline import Told


class actor(tukio.TaskHolder):  # noqa: N801 - named as it is registered
    """Does what its config says."""

    async def execute(self, event: tukio.Event) -> object:
        """Perform the behaviour."""
        config: Data = self.config
        if "chooses" in config:
            tukio.current_workflow().set_next_tasks(config["chooses"])
        try:
            for _ in range(config.get("turns", 0)):
                await anyio.lowlevel.checkpoint()
            if config.get("seconds"):
                await anyio.sleep(config["seconds"])
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                if config.get("shields"):
                    await anyio.sleep(config["shields"])
            how = config.get("when_cut", "passes")
            if how == "passes":
                raise
            return end_as(how, event.data)
        return end_as(config.get("ends", "dict"), event.data)

    async def teardown(self) -> Data | None:
        """Perform the clean-up."""
        if self.config.get("cleans"):
            await anyio.sleep(self.config["cleans"])
        if self.config.get("teardown") == "error":
            raise LookupError
        if self.config.get("teardown") == "dict":
            return {tukio.current_task().template.uid: "torn down"}
        return None


def end_as(how: str, inputs: Data) -> object:
    """End a task in one of the ways there are."""
    uid = tukio.current_task().template.uid
    result = {**inputs, uid: how}
    match how:
        case "dict":
            return result
        case "event":
            return tukio.Event(result)
        case "none":
            return None
        case "text":
            return "text"
        case "skip":
            raise tukio.SkipTask("nothing to do")
        case "task error":
            raise tukio.TukioTaskError({"code": uid})
        case _:
            raise ValueError(uid)


@contextmanager
def registered() -> Generator[None, None, None]:
    """Register the actor for a while."""
    tasks = Tasks()
    tasks(actor)
    try:
        yield
    finally:
        tasks.forget()


async def perform(template: Data, data: Data, orders: Sequence[Order]) -> Outcome:
    """Play a template on the engine, and return what there is to see."""
    start = anyio.current_time()
    story: list[Told] = []

    def note(event: tukio.Event) -> None:
        kind, content = event.data["type"], event.data["content"]
        uid = event.source.task_template_id if event.source else None
        told = (anyio.current_time() - start, kind, uid, plain(content))
        story.append(told)

    engine, end = tukio.Engine(), 0.0
    async with engine:
        engine.broker.register(note, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(template), data)
        for order in orders:
            if order[0] == 0:
                obey(engine, run, order)
        async with anyio.create_task_group() as group:
            group.start_soon(give_orders, engine, run, start, orders)
            await run.wait()
            end = anyio.current_time() - start
            group.cancel_scope.cancel()
    report = run.report()
    began = report["exec"]["start"]
    tasks = {task["id"]: seen(task, began) for task in report["tasks"]}
    errors = {uid: kinds(error) for uid, error in run.errors.items()}
    return Outcome(run.state.value, end, tasks, errors, dict(run.outputs), story)


async def give_orders(
    engine: tukio.Engine, run: Any, start: float, orders: Sequence[Order]
) -> None:
    """Do to a run what the timeline says."""
    later = [order for order in orders if order[0]] + [(HORIZON, "cancel", None)]
    for at, group in groupby(later, key=lambda order: order[0]):
        await anyio.sleep_until(start + at)
        for order in group:
            obey(engine, run, order)


def obey(engine: tukio.Engine, run: Any, order: Order) -> None:
    """Do to a run what is ordered."""
    _, name, detail = order
    if name == "stop":
        engine.stop(detail, force=detail is None)
    elif name == "cancel task":
        for step in run.tasks:
            if step.template.uid == detail:
                step.cancel()
    else:
        getattr(run, name)()


def plain(content: Any) -> Any:
    """Return the content of an event as the model has it."""
    if isinstance(content, BaseException):
        return type(content).__name__
    if isinstance(content, dict) and "exception" in content:
        return {"exception": type(content["exception"]).__name__}
    if isinstance(content, dict) and "status" in content:
        return tuple(parent["id"] for parent in content["tasks"]), content["status"]
    return content


def kinds(error: BaseException) -> list[str]:
    """Return the types of an error, or of those in a group of the engine's."""
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
    return sorted(type(one).__name__ for one in errors)


def seen(task: Data, began: datetime) -> Data | None:
    """Return what a report has to say about a task."""
    step = task["exec"]
    if step is None or step["start"] is None:
        return None
    known = {key: step.get(key) for key in SEEN}
    for key in ("start", "end"):
        known[key] = known[key] and (known[key] - began).total_seconds()
    if task["name"] == "join":
        reporting = step["reporting"]
        known["joined"] = [parent["id"] for parent in reporting["tasks"]]
        known["status"] = reporting["status"]
    return known
