"""The parents of a task, as they arrive; joins are made of this.

Owns:   which parents have arrived with their data, and which may still arrive.
Knows:  the plan, which tells when a parent cannot arrive any more.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

import anyio

from .._model.event import own_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .._model.step import Step


class Parents:
    """The parents that led to the calling task, each with its data, in the order they arrive.

        async for task_id, data in tukio.current_task().parents():
            ...

    The iteration ends when no further parent can arrive. A parent cannot arrive if it failed, was
    cancelled, chose other successors, or cannot be reached itself any more.

    Args:
        step: The task.
        among: Ids of the parents to wait for; None is all.
        others: Whether other parents are returned, too, if they arrive meanwhile.
    """

    def __init__(
        self, step: Step, among: Collection[str] | None = None, *, others: bool = False
    ) -> None:
        tasks = step.run.plan.shape.tasks
        # A set, because there may be thousands of ids, and each parent is looked up.
        named = None if among is None else frozenset(among)
        # The ids of the parents to return; None is all. Never changes.
        self._wanted: Collection[str] | None = None if others else named
        # Parents that have arrived and were not returned yet, first come first served.
        self._arrived: deque[tuple[str, dict[str, Any]]] = deque()
        # Task id -> the instant at which the parent ended, for all that have arrived.
        self._ended_at: dict[str, float] = {}
        self._check: Callable[[], object] = step.run.backend.check_here
        # Set, and replaced by None, by every arrival; always None while nothing waits.
        self._change: anyio.Event | None = None
        # From this call on, `give_up_on` is called for each parent that will not arrive.
        expected = step.run.plan.open_parents(step)
        # Number -> id of each parent that is waited for and may still arrive; it only shrinks.
        self._expected: dict[int, str] = {
            number: tasks[number].uid
            for number in sorted(expected)
            if named is None or tasks[number].uid in named
        }
        for data, parent in step.run.plan.arrivals(step):
            self.arrive(parent, data)

    @property
    def expected(self) -> list[str]:
        """The ids of the parents that are waited for and may still arrive, in declared order."""
        return list(self._expected.values())

    def ended_at(self, task_id: str) -> float | None:
        """Return the instant at which a parent that has arrived ended; None if it is unknown."""
        return self._ended_at.get(task_id)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, dict[str, Any]]:
        """Return the id of the next parent and a copy of its data; wait until there is one.

        Raises:
            EngineError: Called from another event loop or thread.

        Cancellation: no parent is lost.
        """
        self._check()
        # Looked at anew after each wait: a parent may have been given up on instead.
        while not self._arrived:
            if not self._expected:
                raise StopAsyncIteration
            if self._change is None:
                self._change = anyio.Event()
            await self._change.wait()
        return self._arrived.popleft()

    def arrive(self, parent: Any, data: dict[str, Any]) -> None:
        """Called when a parent passes its data on to the task."""
        uid = parent.template.uid
        if self._wanted is None or uid in self._wanted:
            self._arrived.append((uid, own_dict(data)))
            self._ended_at[uid] = parent.ended_at
        self.give_up_on(parent.number)

    def give_up_on(self, number: int) -> None:
        """Called when a parent, given by its number, has arrived or will not arrive any more."""
        self._expected.pop(number, None)
        if self._change is not None:
            self._change.set()
            self._change = None
