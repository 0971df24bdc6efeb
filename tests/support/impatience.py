"""Native cancellations of asyncio at every await of a story, several in a row.

Owns:   the task that the story runs in, the count of its suspensions, and its cancellations.
Knows:  asyncio only. Nothing of a story's own tasks is counted.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import anyio

from support.checkpoints import Observed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Check = Callable[[asyncio.Task[Any]], Awaitable[None]]


async def cancel_natively_at_every_await(
    body: Callable[[], Coroutine[Any, Any, object]], check: Check, *, times: int
) -> int:
    """Run a story again and again; from its first await on, its second, ... cancel it natively.

    At each of so many suspensions in a row the task of the story is cancelled once. The last run,
    which ends before it reaches the point, is not checked.

    Args:
        body: The story. Called anew for each run, so it must make all that it uses.
        check: Called with the task of the story, which is over, after each run that was cancelled.
        times: The number of cancellations of each run, if it has so many awaits.

    Returns:
        How many points were covered.

    Raises:
        BaseException: What the check raised, with a note that tells the point.
    """
    for point in itertools.count(1):
        suspensions = itertools.count(1)

        def on_suspension(
            point: int = point, suspensions: itertools.count[int] = suspensions
        ) -> None:
            if point <= next(suspensions) < point + times:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

        async def story(on_suspension: Callable[[], None] = on_suspension) -> object:
            return await Observed(body(), on_suspension)

        task = asyncio.ensure_future(story())
        await asyncio.wait([task])
        if not task.cancelling():
            task.result()
            return point - 1
        try:
            await check(task)
        except BaseException as error:
            error.add_note(f"the story was cancelled {times} times from its await {point} on")
            raise
    raise AssertionError  # unreachable: the count has no end


async def a_scope_spares_others() -> bool:
    """Return whether a cancelled scope of this anyio lets a native cancellation pass.

    Up to version 4.15, it takes one that follows its own in the same turn for its own: then the
    task goes on after the scope, with nothing of ours in it.
    """
    scope = anyio.CancelScope()

    async def body() -> None:
        with scope:
            await anyio.sleep_forever()

    task = asyncio.ensure_future(body())
    await asyncio.sleep(0)
    scope.cancel()
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()
