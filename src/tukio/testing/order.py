"""The order in which the tasks of an event loop go on, drawn at random from a seed.

Owns:   the steps of tasks that are ready, and which of them is next.
Knows:  the callbacks by which asyncio's tasks are driven.

What asyncio promises stays true. Callbacks are called in the order they were registered, the
callbacks of futures too, and none of them changes places with a step of a task. Only steps of
different tasks do, if they became ready in the same turn of the loop with no other callback in
between; and a task that yields, by `sleep(0)`, still comes after all that was ready before. Timers
of the same instant change places as well, for their order is undefined.
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
"""The name of the callback that goes on with a task; the one that begins it has none."""


def task_driven_by(callback: object) -> asyncio.Task[Any] | None:
    """Return the task that a callback is a step of; None if it is none."""
    task = getattr(callback, "__self__", None)
    # Not `task.cancel`, say, which anyone may register.
    if isinstance(task, asyncio.Task) and getattr(callback, "__name__", WAKE_UP) == WAKE_UP:
        return task
    return None


class Step(NamedTuple):
    """A step of a task that is ready.

    Attributes:
        number: That of the task, in the order in which the tasks were made.
        callback: What does it.
        args: What with.
        context: Where.
    """

    number: int
    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: Context


class Order:
    """An order of steps and timers; the same seed makes the same order.

    A step that becomes ready takes a place in the queue of the loop. Whose step it is that is
    done at that place is drawn when the place comes up.

    Args:
        seed: Where it comes from.
    """

    def __init__(self, seed: int) -> None:
        self._random: Random = Random(seed)  # noqa: S311 - no secret is made of it
        # A number for each task, which does not depend on where in memory it is.
        self._numbers: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._next_number: itertools.count[int] = itertools.count()
        self._together: list[Step] = []

    def place(
        self,
        task: asyncio.Task[Any],
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> Callable[[], None]:
        """Add a step, and return what is to be queued for it.

        Args:
            task: Whose it is.
            callback: What does it.
            args: What with.
            context: Where; None is a copy of the present one.
        """
        number = self._numbers.get(task)
        if number is None:
            number = self._numbers[task] = next(self._next_number)
        if task is asyncio.current_task(task.get_loop()):
            self.separate()  # it yields to those that are ready
        context = copy_context() if context is None else context
        self._together.append(Step(number, callback, args, context))
        return partial(self._do_one_of, self._together)

    def separate(self) -> None:
        """Keep the steps added so far ahead of all that will be."""
        self._together = []

    def tie(self) -> float:
        """Return the rank of a timer among those of its instant."""
        return self._random.random()

    def _do_one_of(self, steps: list[Step]) -> None:
        # They may have been added in an order that depends on where in memory their tasks are,
        # as when a set of tasks was cancelled.
        steps.sort(key=lambda step: step.number)
        step = steps.pop(self._random.randrange(len(steps)))
        step.context.run(step.callback, *step.args)
