"""What all runs of an engine have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .._events.broker import Broker
    from .._loop.contract import Backend
    from .._loop.turns import Turns
    from .._model.registry import Registry
    from .._model.template import WorkflowTemplate
    from .._step.step import LiveStep
    from .kinds import StepKinds
    from .watchdog import Watchdog

CLEANUP_TIMEOUT: Final = 5.0
"""Seconds that a task's `teardown()` may take, unless the engine is told otherwise."""


class ChildOf(NamedTuple):
    """Whose child a run is.

    Attributes:
        workflow: The run that has started it.
        step: The step there that waits for it.
    """

    workflow: Any
    step: LiveStep


class Children(Protocol):
    """What a step asks of an engine to have a child; the engine does not ask whether it stops."""

    async def make(self, child_of: ChildOf, what: WorkflowTemplate | str, uid: str) -> Any:
        """Return a new run, not started.

        Args:
            child_of: Whose child it is.
            what: Its template, or the id of a loaded one.
            uid: Its id.

        Raises:
            LookupError: No template with this id is loaded.
            RecursionError: There are too many runs above it, each the child of the next one.
        """
        ...

    def launch(
        self, run: Any, start: Callable[[], object], when_over: Callable[[], object]
    ) -> None:
        """Start a run that was made.

        Args:
            run: The run.
            start: Starts it.
            when_over: Called last when it is over.

        Raises:
            Exception: It could not start. It has ended, as failed, unless it was stopped before.
        """
        ...


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
        children: Makes and starts the children of steps; None for a run without an engine.
        child_of: Whose child the run is that this is made for; None for all runs that share one.
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
    children: Children | None = None
    child_of: ChildOf | None = None

    def of_child(self, child_of: ChildOf) -> Environment:
        """Return the environment of a child.

        By `child_of` it finds what it has from its parent, as the time that is left.
        """
        return replace(self, child_of=child_of)
