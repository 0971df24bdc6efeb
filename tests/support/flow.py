"""Short ways to describe workflows in tests, and to look at their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import tukio
from tukio._model.registry import TaskRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Asked = TypeVar("Asked", bound="Callable[..., object]")


class Tasks:
    """Registers tasks under their own names, and forgets them after the test.

    `@task` on a coroutine function or (with an `execute` method) on a holder class.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._predicates: list[str] = []

    def __call__(self, task: Any) -> Any:
        """Register a task under its `__name__`."""
        name = task.__name__
        if isinstance(task, type):
            tukio.register(name, "execute")(task)
        else:
            tukio.register(name)(task)
        self._names.append(name)
        return task

    def predicate(self, name: str) -> Callable[[Asked], Asked]:
        """Return a decorator that registers a predicate."""
        self._predicates.append(name)
        return tukio.predicate(name)

    def forget(self) -> None:
        """Undo all registrations."""
        while self._predicates:
            TaskRegistry.predicates().remove(self._predicates.pop())
        while self._names:
            TaskRegistry.remove(self._names.pop())


def flow(
    graph: Mapping[str, list[str]] | str,
    *,
    limits: Mapping[str, float] | None = None,
    names: Mapping[str, str] | None = None,
    **fields: Any,
) -> tukio.WorkflowTemplate:
    """Return a template in which each task id is also the name of the task it runs.

    Args:
        graph: Task id -> ids of its successors; leaves may be left out. A string is a chain:
            "a b c".
        limits: Task id -> time limit in seconds.
        names: Task id -> registered name, where it differs.
        fields: Further fields of the template; the policy is `start-new` unless given.
    """
    if isinstance(graph, str):
        chain = graph.split()
        graph = {up: [down] for up, down in zip(chain, [*chain[1:], ""], strict=True) if down} or {
            chain[0]: []
        }
    ids = dict.fromkeys(uid for up, downs in graph.items() for uid in (up, *downs))
    tasks = [
        {
            "id": uid,
            "name": (names or {}).get(uid, uid),
            "timeout": (limits or {}).get(uid),
        }
        for uid in ids
    ]
    document = {"id": "flow", "policy": "start-new", "tasks": tasks, "graph": dict(graph)}
    return tukio.WorkflowTemplate.from_dict(document | fields)


def listen(engine: tukio.Engine) -> list[tuple[str, str | None, Any]]:
    """Return a list that gets (type, task id or None, content) of each execution event."""
    story: list[tuple[str, str | None, Any]] = []

    def note(event: tukio.Event) -> None:
        source = event.source
        assert source is not None
        story.append((event.data["type"], source.task_template_id, event.data["content"]))

    engine.broker.register(note, tukio.EXEC_TOPIC)
    return story


def kinds(story: list[tuple[str, str | None, Any]]) -> list[str]:
    """Return a story as words: "task-begin a"."""
    return [f"{kind} {uid}" if uid else kind for kind, uid, _ in story]


def states(run: Any) -> dict[str, str | None]:
    """Return the state of each task, from the report; None for one that was never due."""
    return {task["id"]: task["exec"] and task["exec"]["state"] for task in run.report()["tasks"]}


def execution(run: Any, uid: str) -> Any:
    """Return what the report says of one task."""
    (found,) = [task["exec"] for task in run.report()["tasks"] if task["id"] == uid]
    return found


def step_of(run: Any, uid: str) -> Any:
    """Return the execution of one task."""
    (found,) = [step for step in run.tasks if step.template.uid == uid]
    return found
