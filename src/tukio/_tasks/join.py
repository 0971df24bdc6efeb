"""The join task: waits for several parents before its branch of the workflow goes on.

Source: 1.x `JoinTask`, which hung for ever when a parent could not arrive; here it goes on with
those that have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.display import listed, shown
from .._model.registry import Registry
from .._run.current import calling_task
from .._step.holder import TaskHolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._model.event import Event
    from .._step.parents import Parents

COLLECT = ("first", "merge", "all")
"""What a join can pass on."""


@Registry.build_in("join", "execute")
class JoinTask(TaskHolder):
    """Waits for some of its parents, and passes on what they brought.

    Args:
        config: `wait_for`: how many parents, or a list of their task ids. `collect`: `first`
            (default) passes on the data of the parent that came first, waited for or not; of
            those that were waited for, `merge` passes on one dict, in the order they came, and
            `all` a dict of parent id to data.

    It goes on as soon as those it waits for have come, or cannot come any more. When it reaches
    its time limit, it passes on what has come until then.
    """

    __slots__ = ("_arrived", "_awaited", "_data", "_parents", "_status", "_told")

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        wait_for = self.config.get("wait_for")
        # None is all of them.
        self._awaited: frozenset[str] | None = None
        if isinstance(wait_for, list):
            self._awaited = frozenset(wait_for)
        self._parents: Parents | None = None
        self._data: dict[str, dict[str, Any]] = {}
        self._arrived: list[dict[str, Any]] = []
        # The same for listeners, who share it: a copy of each in each event would be the square.
        self._told: list[dict[str, Any]] = []
        self._status: str = "running"

    @staticmethod
    def find_faults(config: Any, parents: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Yield what is wrong with the config of a join: path within it, problem, advice.

        Args:
            config: The config.
            parents: Ids of the tasks that lead to the join.
        """
        config = config if isinstance(config, dict) else {}
        collect = config.get("collect", "first")
        if collect not in COLLECT:
            problem = f"{shown(collect)} is not one of {', '.join(COLLECT)}"
            yield "collect", problem, "leave it out for 'first'"
        wait_for = config.get("wait_for")
        wanted = f"a number of parents or a list of their ids; parents: {listed(parents)}"
        if "wait_for" not in config:
            yield "wait_for", "missing", f"give {wanted}"
        elif isinstance(wait_for, list):
            yield from _find_list_faults(wait_for, parents)
        elif isinstance(wait_for, bool) or not isinstance(wait_for, int):
            yield "wait_for", f"cannot wait for {shown(wait_for)}", f"give {wanted}"
        elif not 1 <= wait_for <= len(parents):
            problem = f"cannot wait for {shown(wait_for)} of {len(parents)} parents"
            yield "wait_for", problem, f"give a number from 1 to {len(parents)}"

    async def execute(self, event: Event) -> dict[str, Any]:
        """Wait for the parents and return what is passed on."""
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
        """The data of the parent that came first; None before."""
        return next(iter(self._data.values()), None)

    def add_task_report(self, task_id: str) -> None:
        """Note in the report that a parent has come, and tell it."""
        task = calling_task()
        ended_at = None if self._parents is None else self._parents.ended_at(task_id)
        end_time = task.now() if ended_at is None else task.run.backend.wall_time(ended_at)
        self._arrived.append({"id": task_id, "end_time": end_time})
        self._tell()

    def report(self) -> dict[str, Any]:
        """Return which parents have come (`tasks`: their `id` and `end_time`) and the `status`.

        The status is `running`, `done`, `timeout` or `cancelled`.
        """
        return {"tasks": [task.copy() for task in self._arrived], "status": self._status}

    def teardown(self) -> dict[str, Any]:
        """Say how it was cut, and return what is passed on after a time limit."""
        task = calling_task()
        self._status = "timeout" if task.timed_out else "cancelled"
        if task.timed_out:
            self._tell()
        return self._collected(task.inputs)

    def _tell(self) -> None:
        task = calling_task()
        # The list grows with the parents: it is not made for nobody.
        if task.run.broker.has_listeners:
            self._told.extend(one.copy() for one in self._arrived[len(self._told) :])
            task.dispatch_progress({"tasks": self._told.copy(), "status": self._status})

    def _collected(self, inputs: dict[str, Any]) -> dict[str, Any]:
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
    wait_for: list[Any], parents: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    known, names, seen = listed(parents), frozenset(parents), set[str]()
    if not wait_for:
        yield "wait_for", "waits for nobody", f"name parents: {known}"
    for number, uid in enumerate(wait_for):
        if not isinstance(uid, str) or uid not in names:
            yield f"wait_for[{number}]", f"{shown(uid)} is not a parent", f"parents: {known}"
        elif uid in seen:
            yield f"wait_for[{number}]", f"{shown(uid)} is listed twice", "name each parent once"
        else:
            seen.add(uid)
