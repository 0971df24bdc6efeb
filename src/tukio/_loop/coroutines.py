"""Coroutines driven by hand: begun at once, and awaited only if they suspend.

What ends at once costs no task; what does not is awaited by the task that began it, in the
context that it began in.

A coroutine that is sent into ends with a `StopIteration`: the exception, its traceback and the
frames for it cost more than many a coroutine. In `yield from` it ends without. So coroutines are
driven by a generator that goes from one to the next, and yields `ENDED` between two.
"""

from __future__ import annotations

from functools import wraps
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

    Runner = Generator[Any, Any, None]
    # A runner, and what sends it the next.
    Turns = tuple[Runner, Callable[[Any], Any]]


P = ParamSpec("P")

ENDED: Final = object()
"""Yielded in place of what is for the backend: a coroutine has come to its end."""


def sequential(run: Callable[P, Runner]) -> Callable[P, Turns]:
    """Decorate a generator function whose generators run coroutines, each to its end.

    Such a generator awaits by `yield from`, and between two it yields `ENDED`, to be sent what is
    next. What is raised in a coroutine ends it, too.

    Returns:
        A function that returns a generator which waits for the first, and what sends it one.
    """
    make: Callable[P, Any] = coroutine(run)

    @wraps(run)
    def ready(*args: P.args, **kwargs: P.kwargs) -> Turns:
        runner: Runner = make(*args, **kwargs)
        send = runner.send
        send(None)
        return runner, send

    return ready


@sequential
def one_by_one() -> Runner:
    """Run the coroutines that are sent."""
    coro: Any = yield ENDED
    while True:
        yield from coro
        coro = yield ENDED


@coroutine
def finish_awaiting(
    context: Context, coro: Coroutine[Any, Any, Any] | Runner, trap: Any
) -> Generator[Any, Any, Any]:
    """Await the rest of a coroutine, in a context of its own.

    Args:
        context: Where every part of the coroutine runs.
        coro: A coroutine that has begun, or what runs coroutines one by one: then it is awaited
            to the end of the present one.
        trap: What it yielded last, for the backend.

    Returns:
        What the coroutine returned; None if it was one of several.
    """
    # Bound methods are not kept: there is one of these frames for every step that waits.
    while trap is not ENDED:
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
