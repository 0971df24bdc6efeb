"""Where a scenario plays, on tukio 1.1.2 and on tukio 2 alike, and how it is written down.

Owns:   the form of a record, and all that makes two records of one scenario equal: ids become
        labels, times become milliseconds since the start, events are told branch by branch.
Knows:  only names and import paths of tukio 1.x, and Python 3.9.

Events are told branch by branch (each path from the root to a leaf, with the events of the run
itself), because 1.1.2 starts siblings in random order. Within a branch the order is exact, but for
an edge that skips a task: then siblings of one path begin together, and are told by their ids.
Across branches the order is held by the times.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from datetime import datetime
from enum import Enum
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import tukio
from tukio.broker import get_broker
from tukio.task import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

TURNS = 20
"""How often the loop turns before an end is looked at: 1.1.2 tells it some turns too late."""


class Stage:
    """An engine, tasks that are forgotten afterwards, and a listener that writes down.

    Made in a running asyncio loop, whose clock is virtual.

    Attributes:
        engine: The engine, as 1.x made it.
        broker: The broker of the loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.engine: Any = tukio.Engine(loop=self._loop)
        self.broker: Any = get_broker()
        self.broker.register(self._listen, tukio.EXEC_TOPIC)
        self._zero = self._loop.time()
        self._names: list[str] = []
        self._templates: dict[str, Any] = {}
        self._workflows: list[Any] = []
        self._labels: dict[str, str] = {}
        self._events: dict[str, list[Any]] = {}
        self._notes: dict[str, list[Any]] = {}
        self.task(add)
        self.task(Pause)

    # What a scenario uses --------------------------------------------------------------------

    def task(self, task: Any) -> Any:
        """Register a coroutine function, or a class with an `execute`, under its own name."""
        name = task.__name__
        register(name, "execute")(task)
        self._names.append(name)
        return task

    def template(self, graph: Any, tasks: Any = None, **fields: Any) -> Any:
        """Return a template; its policy is `start-new` and its id "flow" unless given.

        Args:
            graph: Task id -> ids of its successors, or a chain: "a b c".
            tasks: Task id -> name of its task, or a dict of its fields. `add` unless given.
            fields: Further fields of the template.
        """
        if isinstance(graph, str):
            chain = graph.split()
            graph = {uid: chain[place + 1 : place + 2] for place, uid in enumerate(chain)}
        ids = dict.fromkeys(uid for up, downs in graph.items() for uid in (up, *downs))
        described = []
        for uid in ids:
            given = (tasks or {}).get(uid, {})
            given = {"name": given} if isinstance(given, str) else given
            described.append({"id": uid, "name": "add", **given})
        document = {"id": "flow", "policy": "start-new", "tasks": described, "graph": graph}
        template = tukio.WorkflowTemplate.from_dict({**document, **fields})
        self._templates[template.uid] = template
        return template

    async def play(self, graph: Any, tasks: Any = None, **fields: Any) -> Any:
        """Load a template, start a run of it with data, wait for its end and return it."""
        workflow = await self.start(graph, tasks, **fields)
        await self.over(workflow)
        return workflow

    async def start(self, graph: Any, tasks: Any = None, **fields: Any) -> Any:
        """Load a template, start a run of it with data, and return it."""
        await self.engine.load(self.template(graph, tasks, **fields))
        (workflow,) = await self.engine.data_received({"start": 0})
        self.watch(workflow)
        return workflow

    def watch(self, *workflows: Any) -> None:
        """Have the end and the report of runs in the record."""
        self._workflows += [one for one in workflows if one not in self._workflows]

    async def over(self, *workflows: Any) -> None:
        """Wait for the ends of runs, and until they have been told."""
        self.watch(*workflows)
        await asyncio.wait(workflows)
        await self.settle()

    async def settle(self) -> None:
        """Let happen what can happen at this instant."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def note(self, key: str, value: Any) -> None:
        """Write something down, after what was written under the same key."""
        self._notes.setdefault(key, []).append(plain(value))

    async def refuses(self, key: str, expected: Any, call: Callable[..., Any], *args: Any) -> None:
        """Write down whether a call, sync or async, raises an error that 1.x code catches.

        Args:
            key: Where to write it.
            expected: The class that 1.x code catches; for any other, its own name is written.
            call: What to call.
            args: Its arguments.
        """
        try:
            result = call(*args)
            if inspect.isawaitable(result):
                await result
        except expected:
            self.note(key, f"refused: {expected.__name__}")
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is written down
            self.note(key, f"refused: {type(exc).__name__}")
        else:
            self.note(key, "accepted")

    # The record ------------------------------------------------------------------------------

    async def record(self) -> Any:
        """Stop the engine, and return all that was seen, as JSON."""
        await self.settle()
        await self.engine.stop()
        runs: dict[str, Any] = {}
        for workflow in self._workflows:
            runs[self._label_of(workflow)] = {
                "end": _end(workflow),
                "report": _report(workflow),
            }
        for label, events in self._events.items():
            runs.setdefault(label, {})["branches"] = self._branches(label, events)
        record = {
            "runs": {label: runs[label] for label in sorted(runs)},
            "notes": {key: self._notes[key] for key in sorted(self._notes)},
        }
        return self._relabelled(record)

    def close(self) -> None:
        """Forget the tasks and stop listening."""
        self.broker.unregister(self._listen, tukio.EXEC_TOPIC)
        for name in self._names:
            _, function = tukio.TaskRegistry.all().pop(name)
            tukio.TaskRegistry.codes().pop(function.__code__, None)

    def _listen(self, event: Any) -> None:
        source = event.source.as_dict()
        run, task = source["workflow_exec_id"], source["task_template_id"]
        label = "outside" if run is None else self._label(run, source["workflow_template_id"])
        if task is not None:
            task = self._label(source["task_exec_id"], task, label)
        content = plain(event.data["content"])
        told = [self._now(), event.data["type"], task, content]
        self._events.setdefault(label, []).append(told)

    def _now(self) -> int:
        return round((self._loop.time() - self._zero) * 1000)

    def _label_of(self, workflow: Any) -> str:
        return self._label(workflow.uid, workflow.template.uid)

    def _label(self, exec_id: str, template_id: str, within: str = "") -> str:
        """Return "a" for the first execution of the task a of a run, "a#2" for the second."""
        key = f"{within}/{exec_id}"
        if key not in self._labels:
            others = sum(
                other.startswith(f"{within}/") and label.partition("#")[0] == template_id
                for other, label in self._labels.items()
            )
            self._labels[key] = f"{template_id}#{others + 1}" if others else template_id
        return self._labels[key]

    def _branches(self, label: str, events: list[Any]) -> Any:
        template = self._templates.get(label.partition("#")[0])
        if template is None:
            return {"": events}
        graph = template.as_dict()["graph"]
        return {
            " ".join(path): _told(
                [
                    event
                    for event in events
                    if event[2] is None or event[2].partition("#")[0] in path
                ]
            )
            for path in sorted(_paths(graph, [template.root().uid]))
        }

    def _relabelled(self, value: Any) -> Any:
        """Replace the ids of executions by their labels, wherever they are."""
        labels = {key.partition("/")[2]: label for key, label in self._labels.items()}
        if isinstance(value, dict):
            return {key: self._relabelled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._relabelled(inner) for inner in value]
        if isinstance(value, str):
            return UUID.sub(lambda match: labels.get(match[0], "an id"), value)
        return value


def plain(value: Any) -> Any:
    """Return a value as JSON: times as "time", errors with their arguments, the rest by class."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    for kind, form in FORMS.items():
        if isinstance(value, kind):
            return form(value)
    return f"<{type(value).__name__}>"


def _plain_event(event: Any) -> Any:
    source = event.source.as_dict() if event.source else None
    return {"event": plain(event.data), "topic": plain(event.topic), "source": source}


FORMS: dict[type, Callable[[Any], Any]] = {
    Enum: lambda member: member.value,
    datetime: lambda time: "time" if time.tzinfo is not None else "naive time",
    BaseException: lambda error: {"raised": type(error).__name__, "args": plain(error.args)},
    tukio.Event: _plain_event,
}


def _end(workflow: Any) -> Any:
    """Return what awaiting a run leads to; of a result, the tasks that it is made of."""
    if not workflow.done():
        return "not over"
    if workflow.cancelled():
        return "cancelled"
    if workflow.exception() is not None:
        return plain(workflow.exception())
    return sorted(task.template.uid for task in workflow.result())


def _report(workflow: Any) -> Any:
    report = plain(workflow.report())
    report["graph"] = {up: sorted(downs) for up, downs in report["graph"].items()}
    return report


def _told(events: list[Any]) -> list[Any]:
    """Return events with tasks that begin, or are cancelled, together in the order of their ids."""
    told: list[Any] = []
    for (_, kind), group in groupby(events, key=lambda event: event[:2]):
        together = list(group)
        if kind in {"task-begin", "task-cancel"}:
            together.sort(key=itemgetter(2))
        told += together
    return told


def _paths(graph: Any, path: list[str]) -> Iterator[list[str]]:
    if not graph[path[-1]]:
        yield path
    for uid in graph[path[-1]]:
        yield from _paths(graph, [*path, uid])


def this_task() -> Any:
    """Return the task that this code runs in, as 1.x code finds it."""
    return asyncio.current_task()


def this_workflow() -> Any:
    """Return the run that this code runs in, as 1.x code finds it."""
    return tukio.Workflow.current_workflow()


async def add(event: Any) -> Any:
    """Return the data and, under the task's own id, a word."""
    return {**event.data, this_task().template.uid: "done"}


class Pause(tukio.TaskHolder):
    """Do the same after `config["for"]` seconds."""

    async def execute(self, event: Any) -> Any:
        """Sleep, then `add`."""
        await asyncio.sleep(self.config["for"])
        return await add(event)


def pause(seconds: float, **fields: Any) -> Any:
    """Return the fields of a task that takes some time."""
    return {"name": "Pause", "config": {"for": seconds}, **fields}
