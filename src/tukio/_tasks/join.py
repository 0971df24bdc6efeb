"""The join task: waits for several parents before its branch of the workflow goes on.

Source: 1.x `JoinTask`, which waited for ever when a parent could not arrive. This one goes on with
the parents that have arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.display import listed, nearest, plain, shown
from .._model.fan_in import COLLECT
from .._model.keys import spelt
from .._model.registry import Registry
from .._run.current import calling_task
from .._step.holder import TaskHolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._model.event import Event
    from .._step.parents import Parents

KEYS = ("wait_for", "collect")
"""The keys of the config of a join."""


@Registry.build_in("join", "execute")
class JoinTask(TaskHolder):
    """Waits for some of its parents, and passes their data on.

    A join goes on as soon as each parent that it waits for has arrived or cannot arrive any more.
    When a join reaches its time limit, it passes on the data that has arrived until then.

    Args:
        config: `wait_for`: a number of parents, or a list of their task ids. `collect`: with
            `first` (the default) the join passes on the data of the parent that arrived first,
            waited for or not. With `merge` it passes on one dict made of the data of all parents
            that were waited for, in the order they arrived; with `all`, a dict of parent id to
            data.
    """

    __slots__ = ("_arrived", "_awaited", "_data", "_parents", "_status", "_told")

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        wait_for = self.config.get("wait_for")
        # The ids of the parents to wait for; None if `wait_for` is a number. Never changes.
        self._awaited: frozenset[str] | None = None
        if isinstance(wait_for, list):
            self._awaited = frozenset(wait_for)
        # None until the coroutine has begun.
        self._parents: Parents | None = None
        # Task id -> data, in the order in which the parents arrived; only grows.
        self._data: dict[str, dict[str, Any]] = {}
        # The same parents for the report: their `id` and `end_time`.
        self._arrived: list[dict[str, Any]] = []
        # Copies of the entries of `_arrived` for listeners, which share them: with new copies in
        # each event, the cost would grow with the square of the number of parents.
        self._told: list[dict[str, Any]] = []
        # The `status` of the report.
        self._status: str = "running"

    @staticmethod
    def find_faults(config: Any, parents: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Yield the faults in the config of a join: path within the config, problem, advice.

        Args:
            config: The config.
            parents: Ids of the tasks that lead to the join.
        """
        config = config if isinstance(config, dict) else {}
        for key in config:
            if key not in KEYS:
                yield plain(key), "unknown key", nearest(key, KEYS)
        collect = config.get("collect", "first")
        if collect not in COLLECT:
            problem = f"{shown(collect)} is not one of {', '.join(COLLECT)}"
            yield "collect", problem, "leave it out for 'first'"
        # A misspelt key is not missing as well, and what is under it is looked at.
        key = spelt(config, "wait_for", frozenset(KEYS))
        wait_for = config.get(key)
        wanted = f"a number of parents or a list of their ids; parents: {listed(parents)}"
        if key not in config:
            yield key, "missing", f"give {wanted}"
        elif isinstance(wait_for, list):
            yield from _find_list_faults(key, wait_for, parents)
        elif isinstance(wait_for, bool) or not isinstance(wait_for, int):
            yield key, f"cannot wait for {shown(wait_for)}", f"give {wanted}"
        elif not 1 <= wait_for <= len(parents):
            problem = f"cannot wait for {shown(wait_for)} of {len(parents)} parents"
            yield key, problem, f"give a number from 1 to {len(parents)}"

    async def execute(self, event: Event) -> dict[str, Any]:
        """Wait for the parents, and return the data to pass on."""
        del event
        task, awaited = calling_task(), self._awaited
        count = self.config["wait_for"] if awaited is None else len(awaited)
        self._parents = task.parents(awaited, others=True)
        async for uid, data in self._parents:
            self._data[uid] = data
            self.add_task_report(uid)
            count -= self._waits_for(uid)
            if not count:
                break
        self._status = "done"
        self._tell()
        return self._collected(task.inputs)

    @property
    def data(self) -> dict[str, Any] | None:
        """The data of the parent that arrived first; None before."""
        return next(iter(self._data.values()), None)

    def add_task_report(self, task_id: str) -> None:
        """Add a parent that has arrived to the report, and send a progress event."""
        task = calling_task()
        ended_at = None if self._parents is None else self._parents.ended_at(task_id)
        end_time = task.now() if ended_at is None else task.run.backend.wall_time(ended_at)
        self._arrived.append({"id": task_id, "end_time": end_time})
        self._tell()

    def report(self) -> dict[str, Any]:
        """Return the parents that arrived (`tasks`: their `id` and `end_time`) and the `status`.

        The status is `running`, `done`, `timeout` or `cancelled`.
        """
        return {"tasks": [task.copy() for task in self._arrived], "status": self._status}

    def teardown(self) -> dict[str, Any]:
        """Set the status after a cancellation or timeout, and return the data to pass on."""
        task = calling_task()
        self._status = "timeout" if task.timed_out else "cancelled"
        if task.timed_out:
            self._tell()
        return self._collected(task.inputs)

    def _tell(self) -> None:
        """Send a progress event."""
        task = calling_task()
        # Only with listeners, because the list is as long as the number of parents.
        if task.run.broker.has_listeners:
            self._told.extend(one.copy() for one in self._arrived[len(self._told) :])
            task.dispatch_progress({"tasks": self._told.copy(), "status": self._status})

    def _collected(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the data to pass on; `inputs` if no parent has arrived."""
        collect = self.config.get("collect", "first")
        awaited = {uid: data for uid, data in self._data.items() if self._waits_for(uid)}
        if collect == "all":
            return awaited
        if collect == "merge":
            return {key: value for data in awaited.values() for key, value in data.items()}
        return inputs if self.data is None else self.data

    def _waits_for(self, uid: str) -> bool:
        return self._awaited is None or uid in self._awaited


def _find_list_faults(
    key: str, wait_for: list[Any], parents: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    known, names, seen = listed(parents), frozenset(parents), set[str]()
    if not wait_for:
        yield key, "waits for nobody", f"name parents: {known}"
    for number, uid in enumerate(wait_for):
        if not isinstance(uid, str) or uid not in names:
            yield f"{key}[{number}]", f"{shown(uid)} is not a parent", f"parents: {known}"
        elif uid in seen:
            yield f"{key}[{number}]", f"{shown(uid)} is listed twice", "name each parent once"
        else:
            seen.add(uid)
