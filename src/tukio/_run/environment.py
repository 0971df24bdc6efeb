"""What all runs of an engine have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .._events.broker import Broker
    from .._loop.contract import Backend
    from .._loop.turns import Turns
    from .._model.registry import Registry
    from .._step.step import LiveStep
    from .kinds import StepKinds
    from .watchdog import Watchdog

CLEANUP_TIMEOUT: Final = 5.0
"""Seconds that a task's `teardown()` may take, unless the engine is told otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Environment:
    """What the runs of one engine share; made once, by `assemble`.

    Attributes:
        backend: The backend.
        broker: Where execution events go.
        watchdog: Looks for steps that go on although they were cancelled.
        registry: Where the names of tasks are looked up.
        may_suspend: The method of that, which is called for every step.
        cleanup_timeout: Seconds that a `teardown()` may take.
        make_step: The class of the steps of most tasks: `kinds.ordinary`.
        kinds: The classes of the steps of all.
        turns: Which of the calls that wait for a run that is over gives others a turn.
        drive: What a driver does, given the run that it works for.
        engine: A weak reference to the engine; None for a run without one.
    """

    backend: Backend
    broker: Broker
    watchdog: Watchdog
    registry: Registry
    may_suspend: Callable[[Any], bool]
    cleanup_timeout: float
    make_step: type[LiveStep]
    kinds: StepKinds
    turns: Turns
    drive: Callable[[Any], Coroutine[Any, Any, None]]
    engine: Callable[[], Any] | None
