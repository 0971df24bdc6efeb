"""The parents of a merge, as they arrive: what joins are made of.

Owns:   which parents have brought their data, and which may still.
Knows:  the plan, which says when a parent cannot arrive any more.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

import anyio

if TYPE_CHECKING:
    from collections.abc import Collection

    from .._model.plan import Step


class Parents:
    """The parents of the calling task that led to it, each with its data, first come first.

        async for task_id, data in tukio.current_task().parents():
            ...

    The iteration ends when no further one can arrive: because it failed, was cancelled, chose
    other successors, or can itself not be reached any more.

    Args:
        step: The task.
        among: Ids of the parents to wait for; None is all.
        others: Whether others are handed out, too, if they come meanwhile.
    """

    def __init__(
        self, step: Step, among: Collection[str] | None = None, *, others: bool = False
    ) -> None:
        tasks = step.run.plan.shape.tasks
        # They may be thousands, and each is looked for among them.
        named = None if among is None else frozenset(among)
        self._wanted: Collection[str] | None = None if others else named
        self._arrived: deque[tuple[str, dict[str, Any]]] = deque()
        self._ended_at: dict[str, float] = {}
        self._change: anyio.Event | None = None
        expected = step.run.plan.open_parents(step)
        self._expected: dict[int, str] = {
            number: tasks[number].uid
            for number in sorted(expected)
            if named is None or tasks[number].uid in named
        }
        if step.parent is not None:
            self.arrive(step.parent, step.input_data)
        for data, parent in step.late:
            self.arrive(parent, data)

    @property
    def expected(self) -> list[str]:
        """Ids of the parents that may still arrive, in declared order."""
        return list(self._expected.values())

    def ended_at(self, task_id: str) -> float | None:
        """Return when a parent that has come ended, on the clock of the run; None if unknown."""
        return self._ended_at.get(task_id)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, dict[str, Any]]:
        """Return the id of the next parent and a copy of its data; wait until there is one.

        Cancellation: no parent is lost.
        """
        while not self._arrived:
            if not self._expected:
                raise StopAsyncIteration
            if self._change is None:
                self._change = anyio.Event()
            await self._change.wait()
        return self._arrived.popleft()

    def arrive(self, parent: Any, data: dict[str, Any]) -> None:
        """Take the data of a parent."""
        uid = parent.template.uid
        if self._wanted is None or uid in self._wanted:
            self._arrived.append((uid, dict(data)))
            self._ended_at[uid] = parent.ended_at
        self.give_up_on(parent.number)

    def give_up_on(self, number: int) -> None:
        """Called when a parent need not be waited for any more."""
        self._expected.pop(number, None)
        if self._change is not None:
            self._change.set()
            self._change = None
