"""Coroutines driven by hand: begun at once, and awaited only if they suspend.

A coroutine that ends at once costs no task. A coroutine that suspends is awaited by the task that
began it, always in the context that it began in.

Driving a coroutine by its own `send` ends with a `StopIteration`; that exception, with traceback
and frames, costs more than many a coroutine. `yield from` ends without one. So a generator, the
runner, drives one coroutine after the other by `yield from`, and yields `ENDED` between two.
"""

from __future__ import annotations

from functools import wraps
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from .._model.guard import exposed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

    Runner = Generator[Any, Any, None]
    # A runner, and its `send`, which is given the next coroutine.
    Turns = tuple[Runner, Callable[[Any], Any]]


P = ParamSpec("P")


class EscapedExit(Exception):
    """Stands for a `GeneratorExit` that a coroutine has raised by itself, while nothing closed it.

    A `GeneratorExit` that comes out of an await says that whoever awaits is being closed, and that
    there is nobody left to tell. That of a user's code says nothing of the kind.

    Args:
        error: What the coroutine raised.
    """

    def __init__(self, error: GeneratorExit) -> None:
        super().__init__(error)
        self.error: GeneratorExit = error


ENDED: Final = object()
"""Yielded by a runner between two coroutines; all else that a runner yields is for the backend."""


def sequential(run: Callable[P, Runner]) -> Callable[P, Turns]:
    """Decorate a generator function that makes runners: generators that run coroutines in turn.

    A runner awaits each coroutine by `yield from`. Before each one it yields `ENDED`, and is then
    sent the coroutine. An exception of a coroutine ends the runner, too.

    Returns:
        A function that returns a runner, ready for its first coroutine, and the runner's `send`.
    """
    make: Callable[P, Any] = coroutine(run)

    @wraps(run)
    def ready(*args: P.args, **kwargs: P.kwargs) -> Turns:
        runner: Runner = make(*args, **kwargs)
        send = runner.send
        send(None)
        return runner, send

    return ready


@exposed
@sequential
def one_by_one() -> Runner:
    """Run coroutines one after the other, as they are sent."""
    coro: Any = yield ENDED
    while True:
        yield from coro
        coro = yield ENDED


@coroutine
def finish_awaiting(
    context: Context, coro: Coroutine[Any, Any, Any] | Runner, trap: Any
) -> Generator[Any, Any, Any]:
    """Await the rest of a coroutine that has begun, in a context of its own.

    Args:
        context: The context that every part of the coroutine runs in.
        coro: The coroutine, or a runner: then its present coroutine is awaited to the end.
        trap: The last object that the coroutine has yielded, for the backend.

    Returns:
        The result of the coroutine; None for a runner.
    """
    # Bound methods are not kept in variables, because there is one such frame for every step that
    # waits.
    while trap is not ENDED:
        try:
            try:
                answer = yield trap
            except GeneratorExit:
                context.run(coro.close)
                raise
            except BaseException as exc:  # noqa: ASYNC103, BLE001 - thrown on, as by `await`
                try:
                    trap = context.run(coro.throw, exc)
                except GeneratorExit as exit_:
                    raise EscapedExit(exit_) from exit_  # noqa: ASYNC104 - in that
            else:
                try:
                    trap = context.run(coro.send, answer)
                except GeneratorExit as exit_:
                    # Nothing was closed: the coroutine has raised this, like any other error.
                    raise EscapedExit(exit_) from exit_
                finally:
                    # On trio the answer may be an exception whose traceback leads to this frame,
                    # which would be a reference cycle.
                    del answer
        except StopIteration as end:
            return end.value


async def awaited_in(context: Context, coro: Coroutine[Any, Any, Any]) -> Any:
    """Await a coroutine that has not begun, in a context of its own, and return its result."""
    try:
        trap = context.run(coro.send, None)
    except StopIteration as end:
        return end.value
    except GeneratorExit as exit_:
        raise EscapedExit(exit_) from exit_
    return await finish_awaiting(context, coro, trap)
