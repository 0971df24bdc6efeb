"""How the parts that carry out a run are put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._loop.turns import Turns
from .._model.kinds import CHILD, CLOSING, HANDLED, IDLE, ITEM, MAP, MAP_OF_RUNS, RUN_OF_ITEM
from .._model.registry import REGISTRY
from .child_step import ChildStep
from .closing_step import ClosingStep
from .driver import drive
from .environment import CLEANUP_TIMEOUT, Environment
from .handled import HandledStep
from .idle import IdleStep
from .item import ItemStep
from .kinds import StepKinds
from .mapped_children import MapOfRuns, RunOfItem
from .task_run import TaskRun
from .watchdog import Watchdog
from .whole import MapStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._events.broker import Broker
    from .._loop.contract import Backend
    from .._model.registry import Registry
    from .environment import Children


KINDS: Final = StepKinds(
    TaskRun,
    {
        CHILD: ChildStep,
        CLOSING: ClosingStep,
        HANDLED: HandledStep,
        IDLE: IdleStep,
        ITEM: ItemStep,
        MAP: MapStep,
        MAP_OF_RUNS: MapOfRuns,
        RUN_OF_ITEM: RunOfItem,
    },
)
"""The classes of the steps of all runs."""


def assemble(
    backend: Backend,
    broker: Broker,
    *,
    registry: Registry | None = None,
    cleanup_timeout: float = CLEANUP_TIMEOUT,
    engine: Callable[[], Any] | None = None,
    children: Children | None = None,
) -> Environment:
    """Return what the runs of one engine share.

    Args:
        backend: The backend.
        broker: Where execution events go.
        registry: Where the names of tasks are looked up; None is the one of the process.
        cleanup_timeout: Seconds that a `teardown()` may take.
        engine: A weak reference to the engine; None if there is none.
        children: Makes and starts the children of steps; likewise.
    """
    registry = REGISTRY if registry is None else registry
    return Environment(
        backend=backend,
        broker=broker,
        watchdog=Watchdog(backend),
        registry=registry,
        may_suspend=registry.may_suspend,
        cleanup_timeout=cleanup_timeout,
        make_step=KINDS.ordinary,
        kinds=KINDS,
        turns=Turns(backend),
        drive=drive,
        engine=engine,
        children=children,
    )
