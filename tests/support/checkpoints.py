"""Cancellation at every await: what a story leaves behind, wherever it is cut off.

Owns:   the count of a coroutine's suspensions, and the cancellation at a chosen one.
Knows:  one task. The suspensions of the tasks which the body starts are not counted; those tasks
        are cut off when their task group is.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine


async def cancel_at_every_await(
    body: Callable[[], Awaitable[object]],
    check: Callable[[int], Awaitable[None]],
) -> int:
    """Run a body again and again, cancelled at its first suspension, its second, and so on.

    The scope is cancelled at the moment of the suspension; a shielded part of the body goes on
    until it leaves the shield, as it should. The last run, which ends before it reaches the
    point, is not checked.

    Args:
        body: The story. Called anew for each run, so it must make all that it uses.
        check: Called with the number of the point after each run that was cancelled there, outside
            the cancelled scope; raises if the postcondition does not hold.

    Returns:
        How many points were covered. It may differ between the backends.

    Raises:
        BaseException: What the body or the check raised, with a note that tells the point.
    """
    for point in itertools.count(1):
        try:
            if not await _cancel_at(point, body):
                return point - 1
            await check(point)
        except BaseException as error:
            error.add_note(f"the body was cancelled at its await number {point}")
            raise
    raise AssertionError  # unreachable: the count has no end


async def _cancel_at(point: int, body: Callable[[], Awaitable[object]]) -> bool:
    """Run the body, cancel it at a point, and return whether it got there."""
    countdown = itertools.count(point - 1, -1)
    with anyio.CancelScope() as scope:

        def on_suspension() -> None:
            if next(countdown) == 0:
                scope.cancel()

        await Observed(_as_coroutine(body), on_suspension)
    return scope.cancel_called


async def _as_coroutine(body: Callable[[], Awaitable[object]]) -> None:
    await body()


class Observed(Generator[object, object, object]):
    """Drives a coroutine as `await` would, with a call right before each suspension."""

    def __init__(
        self, coro: Coroutine[object, object, object], on_suspension: Callable[[], None]
    ) -> None:
        self._coro = coro
        self._on_suspension = on_suspension

    def __await__(self) -> Generator[object, object, object]:
        return self

    def send(self, value: object, /) -> object:
        """Go on, up to the next suspension."""
        trap = self._coro.send(value)
        self._on_suspension()
        return trap

    def throw(self, error: type[BaseException] | BaseException, /, *_: object) -> object:
        """Go on with an exception, up to the next suspension."""
        trap = self._coro.throw(error if isinstance(error, BaseException) else error())
        self._on_suspension()
        return trap

    def close(self) -> None:
        """End the coroutine."""
        self._coro.close()
