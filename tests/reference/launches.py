"""The runs that a history starts, each with what is done to it from then on.

Knows:  the model of one run, which it plays in every way that is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .model import HORIZON, Run
from .timeline import every_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .parts import Data, Order, Outcome
    from .timeline import Diverged, Told

HARMLESS = ("trigger", "handler error", "callback error", "report", "edit")
"""What does nothing to the runs in progress."""


@dataclass(frozen=True)
class Launch:
    """A run that is started: when, with what data, and what is done to it from then on.

    Its deadline is the number of seconds from its start on; None for none.
    """

    at: float
    data: Data
    orders: list[Order]
    deadline: float | None = None

    def ways(
        self, template: Data, story: Sequence[Told] | None = None
    ) -> Iterator[Outcome | Diverged]:
        """Play it in every way that is allowed; with a story, give up where another is told."""

        def make(script: Sequence[int]) -> Run:
            horizon = HORIZON - self.at
            orders, data = self.orders, self.data
            return Run(
                template,
                data,
                orders,
                horizon=horizon,
                script=script,
                expected=story,
                deadline=self.deadline,
            )

        return every_way(make, Run.play)


def launches(template: Data, data: Data, history: Sequence[Order]) -> list[Launch]:
    """Return the runs that a history starts, in their order: there are none after a stop.

    What the history does, it does to all runs that are in progress; handlers that fail harm none.
    """
    found = [Launch(0, data, [])]

    def of_run(at: float, name: str, detail: Any) -> Any:
        if name == "cancel task":
            return template["tasks"][detail % len(template["tasks"])]["id"]
        return (detail, {**data, "event": at}) if name == "event" else detail

    stopped = False
    for at, name, detail in history:
        for launch in found if name not in HARMLESS else ():
            launch.orders.append((at - launch.at, name, of_run(at, name, detail)))
        if name == "trigger" and not stopped:
            found.append(Launch(at, {**data, "run": at}, [], detail))
        topics = template.get("topics")
        if name == "event" and not stopped and (topics is None or detail in topics):
            found.append(Launch(at, {**data, "event": at}, []))
        stopped |= name == "stop"
    return found
