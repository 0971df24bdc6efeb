"""What an actor does between its begin and its end, and how it hears of events.

Knows:  the behaviours of `tukio.testing.actors`; the run, for what becomes of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from . import cuts

if TYPE_CHECKING:
    from .model import Run
    from .parts import Data, Step


def begin(run: Run, step: Step) -> None:
    """Begin, as far as to the first thing that takes a turn or time."""
    config = step.config
    if config.get("starts") == "error":
        run.end_as(step, "error")
        return
    if "chooses" in config:
        places = enumerate(run.graph.get(step.uid, ()))
        step.chosen = [down for place, down in places if place in config["chooses"]]
    if config.get("turns") or config.get("seconds"):
        run.later(run.now + config.get("seconds", 0), partial(nest, run, step), step)
    else:
        nest(run, step)


def nest(run: Run, step: Step) -> None:
    """Wait for a group of tasks; one that fails cancels the others."""
    if step.config.get("beats"):
        step.beat = run.now
    naps = step.config.get("nests")
    if not naps:
        go_on(run, step)
    elif step.config.get("nested") == "error":
        run.later(run.now + min(naps), partial(run.come_to_end, step, "group error"), step)
    else:
        run.later(run.now + max(naps), partial(go_on, run, step), step)


def go_on(run: Run, step: Step) -> None:
    """Cancel the step itself, or read what it waits for."""
    if step.config.get("cancels"):
        cuts.cut(run, step, "task")
    else:
        read(run, step)


def read(run: Run, step: Step, handed_over: int = 0) -> None:
    """Take events out of the queue: of a step that is interrupted, only what was handed over."""
    missing = step.config.get("awaits", 0) - len(step.heard)
    taken = step.queue[: min(missing, handed_over) if step.cut else missing]
    step.heard += taken
    del step.queue[: len(taken)]
    if len(taken) == missing:
        run.come_to_end(step, step.config.get("ends", "dict"))
    elif not step.cut:
        step.reads = True


def receive(run: Run, step: Step, data: Data) -> None:
    """Put something into the queue; a step that waits for it goes on in a turn of its own."""
    step.queue.append(data)
    if step.reads:
        step.reads = False
        run.later(run.now, partial(read, run, step, 1), step)


def hear(run: Run, topic: str, data: Data) -> None:
    """Let an event come to the steps at work that listen to its topic."""
    for step in run.steps.values():
        topics = step.task.get("topics", [])
        if step.at_work and step.state != "suspended" and (topics is None or topic in topics):
            receive(run, step, data)
