"""What the three bare contenders share: the works, made from one workflow written by hand.

"Bare" is the least a program could do: no ids, no times, no states, no reports, no events.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.contenders.steps import Data, verify
from benchmarks.meter import kibibytes_each, resident_bytes
from benchmarks.shapes import PARKED, README, Graph, chain, count_parents, fan_out, root

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.meter import Meter, Work

EVENTS = 10_000

BURST = 32
"""How many workflows are started before others have a turn, where very many are."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        graph: What follows what.
        pauses: Whether each step lets others run once.
        limit: Seconds that a step may take, and a sixth of what the workflow may take.
        parked: Tasks that wait until cancelled.
        root: The first task.
        parents: Task id -> how many tasks it waits for, for those that wait for several.
    """

    graph: Graph
    pauses: bool = False
    limit: float | None = None
    parked: tuple[str, ...] = ()
    root: str = field(init=False)
    parents: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        counts = count_parents(self.graph)
        object.__setattr__(self, "root", root(self.graph))
        object.__setattr__(self, "parents", {uid: n for uid, n in counts.items() if n > 1})


class RunMany(Protocol):
    """Run what is planned so many times at once, to the end."""

    async def __call__(self, plan: Plan, size: int) -> None:
        """Return when all are over."""


class Parked(Protocol):
    """Keep what is planned in flight so many times."""

    def __call__(self, plan: Plan, size: int) -> AbstractAsyncContextManager[None]:
        """Start them, with a turn for others now and then; at the end of the block cancel all."""


def works(
    run_many: RunMany, parked: Parked, checkpoint: Callable[[], Awaitable[Any]]
) -> dict[str, Work]:
    """Return the works of a bare contender.

    Args:
        run_many: How it runs workflows.
        parked: How it keeps them in flight.
        checkpoint: How it lets others run once.
    """
    found: dict[str, Work] = {
        "memory": functools.partial(memory, parked=parked, checkpoint=checkpoint),
        "dispatch sync": functools.partial(dispatch, later=False, checkpoint=checkpoint),
        "dispatch async": functools.partial(dispatch, later=True, checkpoint=checkpoint),
    }
    for kind, pauses in ("noop", False), ("pause", True):
        readme = Plan(README, pauses=pauses)
        limited = Plan(README, pauses=pauses, limit=10.0)
        found[kind] = functools.partial(workflows, run_many=run_many, plan=readme)
        found[f"limits {kind}"] = functools.partial(workflows, run_many=run_many, plan=limited)
        for name, shape in ("chain", chain), ("fan-out", fan_out):
            found[f"{name} {kind}"] = functools.partial(
                tasks, run_many=run_many, shape=shape, pauses=pauses
            )
    return found


async def workflows(meter: Meter, size: int, *, run_many: RunMany, plan: Plan) -> None:
    """Run the DAG of the README `size` times at once."""
    for number in meter.passes(size):
        await run_many(plan, number)


async def tasks(meter: Meter, size: int, *, run_many: RunMany, shape: Any, pauses: bool) -> None:
    """Run one workflow, and count its tasks."""
    plan = Plan(shape(size), pauses=pauses)
    for _ in meter.passes(1, units=size):
        await run_many(plan, 1)


class Listener:
    """Somebody who counts events."""

    def __init__(self) -> None:
        self.count = 0

    def hear(self, _event: Data) -> None:
        """Count an event."""
        self.count += 1

    async def hear_later(self, _event: Data) -> None:
        """Count an event."""
        self.count += 1


async def dispatch(
    meter: Meter, size: int, *, later: bool, checkpoint: Callable[[], Awaitable[Any]]
) -> None:
    """Hand events to `size` handlers in turn; the sender lets others run after each event."""
    listeners = [Listener() for _ in range(size)]
    sent = 0
    for events in meter.passes(EVENTS, units=size * EVENTS):
        sent += events
        if later:
            handlers = [listener.hear_later for listener in listeners]
            await _send_to_async(events, handlers, checkpoint)
        else:
            await _send(events, [listener.hear for listener in listeners], checkpoint)
    verify(done=all(listener.count == sent for listener in listeners), what=sent)


async def _send(events: int, handlers: list[Any], checkpoint: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(events):
        event = {"value": 0}
        for handler in handlers:
            handler(event)
        await checkpoint()


async def _send_to_async(
    events: int, handlers: list[Any], checkpoint: Callable[[], Awaitable[Any]]
) -> None:
    for _ in range(events):
        event = {"value": 0}
        for handler in handlers:
            await handler(event)
        await checkpoint()


async def memory(
    meter: Meter, size: int, *, parked: Parked, checkpoint: Callable[[], Awaitable[Any]]
) -> None:
    """Weigh workflows with two branches parked."""
    before = resident_bytes()
    async with parked(Plan(README, parked=PARKED), size):
        await let_settle(checkpoint)
        meter.figures["KiB each"] = kibibytes_each(before, size)


async def let_settle(checkpoint: Callable[[], Awaitable[Any]]) -> None:
    """Let everything that can run do so, until it waits."""
    for _ in range(50):
        await checkpoint()
