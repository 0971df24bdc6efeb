"""Coroutines driven by hand: begun with one `send(None)`, and awaited only if they suspend.

What ends at once costs no task; what does not is awaited by the task that began it, in the
context that it began in.
"""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from contextvars import Context


@coroutine
def rest_of(
    context: Context, coro: Coroutine[Any, Any, Any], trap: Any
) -> Generator[Any, Any, Any]:
    """Await the rest of a coroutine, in a context of its own.

    Args:
        context: Where every part of the coroutine runs.
        coro: A coroutine that has been started.
        trap: What it yielded last, for the backend.
    """
    # Bound methods are not kept: there is one of these frames for every step that waits.
    while True:
        try:
            try:
                answer = yield trap
            except GeneratorExit:
                context.run(coro.close)
                raise
            except BaseException as exc:  # noqa: ASYNC103, BLE001 - thrown on, as by `await`
                trap = context.run(coro.throw, exc)
            else:
                try:
                    trap = context.run(coro.send, answer)
                finally:
                    # Trio's may be an error whose traceback leads here: a cycle.
                    del answer
        except StopIteration as end:
            return end.value
