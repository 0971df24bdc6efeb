"""The order in which the tasks of an event loop go on, drawn at random from a seed.

Owns:   the steps of tasks that are ready, and which of these steps is next.
Knows:  the callbacks by which asyncio drives its tasks.

The promises of asyncio stay true. Callbacks, those of futures included, are called in the order in
which they were registered, and never change places with a step of a task. Only steps of different
tasks change places, if they became ready in the same turn of the loop with no other callback in
between. A task that yields by `sleep(0)` still comes after all tasks that were ready before. Timers
of the same instant change places, too, because their order is undefined.
"""

from __future__ import annotations

import asyncio
import itertools
from contextvars import copy_context
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

WAKE_UP = "task_wakeup"
"""The name of the callback that continues a task; the callback that begins a task has no name."""


def task_driven_by(callback: object) -> asyncio.Task[Any] | None:
    """Return the task that a callback is a step of; None for any other callback."""
    task = getattr(callback, "__self__", None)
    # By its name, because other methods of a task, as `cancel`, may be callbacks, too.
    if isinstance(task, asyncio.Task) and getattr(callback, "__name__", WAKE_UP) == WAKE_UP:
        return task
    return None


class Step(NamedTuple):
    """A step of a task that is ready.

    Attributes:
        number: The number of the task, in the order in which the tasks first became ready.
        callback: The callback that performs the step.
        args: The arguments of the callback.
        context: The context that the callback runs in.
    """

    number: int
    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: Context


class Order:
    """An order of steps and timers; the same seed gives the same order.

    A step that becomes ready takes a place in the queue of the loop. When that place comes up, one
    of the steps that are ready together is drawn, and performed there.

    Args:
        seed: The seed of the random numbers.
    """

    def __init__(self, seed: int) -> None:
        self._random: Random = Random(seed)  # noqa: S311 - no secret is made of it
        # A number for each task, which does not depend on the task's address in memory.
        self._numbers: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._next_number: itertools.count[int] = itertools.count()
        # The steps that are ready together with the next one; replaced by `separate`.
        self._together: list[Step] = []

    def place(
        self,
        task: asyncio.Task[Any],
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> Callable[[], None]:
        """Add a step, and return the callback to queue in its place.

        Args:
            task: The task of the step.
            callback: The callback that performs the step.
            args: The arguments of the callback.
            context: The context that the callback runs in; None is a copy of the present one.
        """
        number = self._numbers.get(task)
        if number is None:
            number = self._numbers[task] = next(self._next_number)
        if task is asyncio.current_task(task.get_loop()):
            self.separate()  # it yields to all tasks that are ready
        context = copy_context() if context is None else context
        self._together.append(Step(number, callback, args, context))
        return partial(self._do_one_of, self._together)

    def separate(self) -> None:
        """Keep all steps that were added so far ahead of those that will be added."""
        self._together = []

    def tie(self) -> float:
        """Return the rank of a timer among the timers of its instant."""
        return self._random.random()

    def _do_one_of(self, steps: list[Step]) -> None:
        # Sorted first: the order in which they were added may depend on the addresses of tasks in
        # memory, as when a set of tasks was cancelled.
        steps.sort(key=lambda step: step.number)
        step = steps.pop(self._random.randrange(len(steps)))
        step.context.run(step.callback, *step.args)
