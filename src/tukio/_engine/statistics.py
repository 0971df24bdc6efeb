"""How an engine is doing, in numbers.

Knows:  the runs and the receivers of the engine, which are counted when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._events.broker import Broker
    from .._model.not_started import Reason
    from .._run.run import Run


@dataclass(frozen=True, slots=True)
class Statistics:
    """How an engine is doing; `Engine.statistics` returns one.

    Attributes:
        runs: The number of runs that are not over, by their `status`; only those that there are.
        started: The number of runs so far, rescued ones included.
        events: The number of calls of `data_received` so far.
        refused: The number of runs so far that data or a caller has asked for and that were not
            started, by the reason; only those that there are.
        dropped: The number of events that slow handlers and readers have lost, of those that
            listen now.
        oldest_wait: For how many seconds the run waits that has waited for the longest, for its
            turn or to be resumed; None if none waits.
    """

    runs: dict[str, int]
    started: int
    events: int
    refused: dict[Reason, int]
    dropped: int
    oldest_wait: float | None


def open_runs(runs: Iterable[Run]) -> dict[str, int]:
    """Return the number of runs by status."""
    return dict(Counter(run.face.status for run in runs if run.face is not None))


def oldest_wait(runs: Iterable[Run]) -> float | None:
    """Return for how many seconds the run waits that has waited for the longest; None if none."""
    waits = [run.backend.time() - run.waiting.since for run in runs if run.waiting]
    return max(waits, default=None)


def dropped(broker: Broker) -> int:
    """Return the number of events that the receivers of a broker have lost."""
    return sum(getattr(receiver, "dropped", 0) for receiver in broker._receivers)
