"""Random workflows: of every shape, whose tasks do all that tasks can do, in milliseconds.

Owns:   the tasks, and the dice that templates are made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

import tukio

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from support.flow import Tasks

MOST_TASKS = 10
"""How many tasks a workflow has at most."""

DOES = {
    "returns": 30,
    "sleeps": 20,
    "returns an event": 5,
    "skips": 5,
    "fails": 5,
    "fails with output": 2,
    "chooses": 5,
    "nests": 5,
    "shields": 3,
    "swallows": 2,
    "listens": 3,
    "progresses": 5,
}
"""What a task does, and how often."""

POLICIES = ("start-new", "start-new", "start-new", "skip", "skip-until-unlock", "abort-running")


def register_tasks(task: Tasks) -> None:  # noqa: C901 - many, and small
    """Register what the workflows run: `acts` does what its config says, for as long."""

    @task
    class acts(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> Any:
            does: Callable[[float], Any] = getattr(self, self.config["does"].replace(" ", "_"))
            result = await does(self.config["seconds"])
            return event.data if result is None else result

        async def returns(self, seconds: float) -> None:
            pass

        async def sleeps(self, seconds: float) -> None:
            await anyio.sleep(seconds)

        async def returns_an_event(self, seconds: float) -> Any:
            await anyio.sleep(seconds)
            return tukio.Event({"n": 1})

        async def skips(self, seconds: float) -> None:
            raise tukio.SkipTask("nothing to do")

        async def fails(self, seconds: float) -> None:
            await anyio.sleep(seconds)
            raise KeyError("soak")

        async def fails_with_output(self, seconds: float) -> None:
            raise tukio.TukioTaskError({"code": 3})

        async def chooses(self, seconds: float) -> None:
            workflow = tukio.current_workflow()
            successors = workflow.template.dag.successors(tukio.current_task().template)
            workflow.set_next_tasks([task.uid for task in successors[::2]])
            workflow.unlock()
            await anyio.sleep(seconds)

        async def nests(self, seconds: float) -> None:
            async with anyio.create_task_group() as group:
                for part in range(3):
                    group.start_soon(anyio.sleep, seconds * part)

        async def shields(self, seconds: float) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(seconds)

        async def swallows(self, seconds: float) -> None:
            try:
                await anyio.sleep(seconds)
            except BaseException:  # noqa: ASYNC103, BLE001 - that is the fault
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(seconds)

        async def listens(self, seconds: float) -> None:
            with tukio.broker.TopicManager("news"), anyio.move_on_after(seconds):
                await self.queue.get()

        async def progresses(self, seconds: float) -> None:
            tukio.current_task().dispatch_progress({"percent": 50})
            await anyio.sleep(seconds)

        async def teardown(self) -> Any:
            await anyio.sleep(self.config["seconds"] / 4)
            return {"n": -1}


def random_template(dice: Random, uid: str) -> tukio.WorkflowTemplate:
    """Return a sound template: a graph with a single root, mostly acting tasks, and some joins."""
    ids = [f"t{number}" for number in range(dice.randint(1, MOST_TASKS))]
    parents = {uid: _some(dice, ids[:number]) for number, uid in enumerate(ids) if number}
    graph: dict[str, list[str]] = {uid: [] for uid in ids}
    for uid_, ups in parents.items():
        for up in ups:
            graph[up].append(uid_)
    document = {
        "id": uid,
        "topics": [uid, "everybody"] if dice.random() < 0.2 else [uid],
        "policy": dice.choice(POLICIES),
        "on_error": "abort" if dice.random() < 0.2 else None,
        "timeout": dice.uniform(0.02, 0.2) if dice.random() < 0.2 else None,
        "tasks": [_task(dice, uid_, parents.get(uid_, [])) for uid_ in ids],
        "graph": graph,
    }
    return tukio.WorkflowTemplate.from_dict(document)


def _some(dice: Random, ids: list[str]) -> list[str]:
    # Mostly one: chains and trees; sometimes many: diamonds, shortcuts, merges.
    return sorted(dice.sample(ids, min(len(ids), dice.choice((1, 1, 1, 2, 3)))))


def _task(dice: Random, uid: str, parents: list[str]) -> dict[str, Any]:
    limit = dice.uniform(0.005, 0.05) if dice.random() < 0.15 else None
    if len(parents) > 1 and dice.random() < 0.7:
        waits_for: Any = dice.randint(1, len(parents)) if dice.random() < 0.5 else parents
        config = {"wait_for": waits_for, "collect": dice.choice(("first", "merge"))}
        return {"id": uid, "name": "join", "timeout": limit, "config": config}
    [does] = dice.choices(list(DOES), list(DOES.values()))
    config = {"does": does, "seconds": dice.choice((0, 0.001, 0.01, 0.03))}
    return {"id": uid, "name": "acts", "timeout": limit, "config": config}
