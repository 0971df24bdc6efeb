"""How the function of a task is called in a process, and what comes of it.

Owns:   the coroutine function that is registered for such a task.
"""

from __future__ import annotations

import pickle
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
import anyio.to_process
import anyio.to_thread

from .._model.candidate import place_of
from .._model.process_failed import ProcessFailed
from . import worker
from .calls import named_as, take_of_plain
from .limits import Limit
from .outputs import dumped
from .processes import Astray, Exchange, pool_here

if TYPE_CHECKING:
    from .calls import Function
    from .limits import Limiter


def in_process(function: Any, limiter: Limiter) -> Function:
    """Return what is registered for a function that is called in a process."""
    take = take_of_plain(function, "process=True")
    _check_picklable(function)
    limit = Limit(limiter)
    module, name = function.__module__, function.__qualname__

    async def call(event: Any) -> Any:
        value = event if take is None else take(event)
        _check_callable_there(function)
        # By this name a process knows the main module, and what it returns of there comes back so.
        sys.modules.setdefault(worker.MAIN, sys.modules["__main__"])
        pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        asked = (sys.path, main_of_program(), module, name, pickled)
        # The process is killed when the step is cancelled.
        exchange = await _answered(
            pickle.dumps(asked, pickle.HIGHEST_PROTOCOL),
            limit.here() or anyio.to_process.current_default_process_limiter(),
        )
        return dumped(_result_of(exchange, place_of(function)))

    return named_as(function, call)


async def _answered(call: bytes, limiter: anyio.CapacityLimiter) -> Exchange:
    """Make a call in a process, and return what has come of it.

    Cancellation: the process is killed, and then it is over.
    """
    exchange, over = Exchange(await pool_here(), call), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_cut_when_cancelled, exchange, over, name="tukio process")
        # Waited for in any case, which does not take long once the process is killed.
        await anyio.to_thread.run_sync(exchange.make, limiter=limiter)
        over.set()
    if exchange.answer is None:
        # If the step was cut, it ends here.
        await anyio.lowlevel.checkpoint()
    return exchange


async def _cut_when_cancelled(exchange: Exchange, over: anyio.Event) -> None:
    try:
        await over.wait()
    finally:
        exchange.cut()


def _result_of(exchange: Exchange, place: str) -> Any:
    """Return what a function has returned in its process.

    Raises:
        Exception: What it raised there, with its traceback as a note.
        ProcessFailed: There is no such thing, because the process has died for instance.
    """
    if isinstance(exchange.problem, Astray):
        raise ProcessFailed(place, str(exchange.problem), exchange.exit_code)
    if exchange.problem is not None:
        raise exchange.problem
    if exchange.answer is None:
        raise ProcessFailed(place, _how_it_died(exchange.exit_code), exchange.exit_code)
    kind, *facts = pickle.loads(exchange.answer)  # noqa: S301 - of our own process
    if kind == worker.RETURNED:
        return _loaded(facts[0], place)
    raise _error_of(place, *facts)


def _loaded(pickled: bytes, place: str) -> Any:
    try:
        return pickle.loads(pickled)  # noqa: S301 - of our own process
    except Exception as error:
        msg = f"what it has returned cannot be unpickled here: {type(error).__name__}: {error}"
        raise ProcessFailed(place, msg) from error


def _error_of(place: str, itself: bytes | None, kind: str, text: str, trace: str) -> Exception:
    """Return what a function has raised in its process, or an error that tells of that."""
    error: Exception | None = None
    if itself is not None:
        try:
            error = pickle.loads(itself)  # noqa: S301 - of our own process
        except Exception:  # noqa: BLE001 - it is told of then
            error = None
    if error is None:
        error = ProcessFailed(place, f"{kind}: {text}")
    error.add_note(f"In its process:\n{trace.rstrip()}")
    return error


def _how_it_died(code: int) -> str:
    if code >= 0:
        return f"the process has ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the process was killed by {name}"


# What a process can find


def main_of_program() -> tuple[str | None, str | None] | None:
    """Return the name, or the file, by which a process imports the main module; None for none."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name not in (None, "__main__"):
        return name, None
    file = getattr(main, "__file__", None)
    return (None, str(Path(file).absolute())) if file and Path(file).is_file() else None


LOCAL: Final = "<locals>"


def _check_picklable(function: Any) -> None:
    """Make sure that a process can find a function, and the classes that it takes and returns.

    Raises:
        TypeError: It is not at the top of its module, or one of the classes is not. Or its module
            is the main module, and that is no file.
    """
    things = [function, *getattr(function, "__annotations__", {}).values()]
    for thing in things:
        name = getattr(thing, "__qualname__", "")
        if LOCAL in name or "<lambda>" in name:
            msg = (
                f"a process cannot find {place_of(thing)}"
                " - define it at the top of a module, with 'def' or 'class'"
            )
            raise TypeError(msg)
        if getattr(thing, "__module__", "") == "__main__" and main_of_program() is None:
            msg = (
                f"a process cannot find {place_of(thing)}, for the main module is no file here"
                " - define it in a module that can be imported"
            )
            raise TypeError(msg)


def _check_callable_there(function: Any) -> None:
    """Make sure, before a call, that a process finds the function.

    Raises:
        TypeError: Something else has its name, or nothing.
        RuntimeError: A process is about to import the main module, which starts all this.
    """
    if worker.state["loading"]:
        msg = (
            "a process imports the main module of the program, which must start nothing by that"
            " - put what starts anything below if __name__ == '__main__'"
        )
        raise RuntimeError(msg)
    if worker.function_at(function.__module__, function.__qualname__) is not function:
        msg = (
            f"a process finds no task at {place_of(function)}"
            " - keep it there, under the name that it was defined by"
        )
        raise TypeError(msg)
