"""The engine that the calling code runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._loop.surroundings import serving, surroundings
from .._model.errors import EngineError

if TYPE_CHECKING:
    from .engine import Engine


def current_engine() -> Engine:
    """Return the engine whose block, task or handler this code runs in, the innermost one.

    Child tasks that are started there see it, too, and so do threads that get the context, as by
    `anyio.to_thread.run_sync` and `asyncio.to_thread`; there, call the engine by `from_thread`.

    Raises:
        EngineError: The code runs in none of these; or in a task of a run without an engine.
    """
    step, served = surroundings.get(None), serving.get(None)
    if served is not None and served[1] is step:
        reference = served[0]
    else:
        reference = None if step is None else step[0].run.environment.engine
    engine: Any = None if reference is None else reference()
    if engine is None:
        msg = (
            "not inside an engine - call this in the block of an engine, in a task of one of its"
            " runs, or in one of its handlers"
        )
        raise EngineError(msg)
    return engine  # type: ignore[no-any-return]  # a weak reference to anything
