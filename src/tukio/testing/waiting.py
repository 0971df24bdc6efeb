"""What the runs wait for when nothing can happen any more, as the message of a deadlock tells it.

Knows:  the engines that there are, and their runs and steps, which are only read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from .._engine.lifecycle import ENGINES
from .._loop.running import running_backend
from .._loop.services import asyncio_loop, roots_of
from .._model.display import escaped, listed, shown
from .._model.guard import attempt
from .telling import place_of_wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._loop.contract import Backend, Driver
    from .._run.run import Run
    from .._step.mailbox import Mailbox

MOST_LINES: Final = 20
"""The largest number of lines that a message has about runs."""


def who_waits(test: object = None) -> str:
    """Return what waits on the running event loop, to stand behind a message: "" or some lines.

    The lines are about the test, each step at work, with their places in the source, and each run
    that is suspended or waits for its turn to start.

    Args:
        test: The coroutine of the test; None if it is unknown.
    """
    # Whatever fails in here, the deadlock itself must be told.
    text, problem = attempt(_told, test)
    return "" if problem is not None else str(text)


def _told(test: object) -> str:
    where = place_of_wait(test)
    lines = [f"the test at {where}"] if where else []
    lines += [line for run in _runs_here() for line in _lines_of(run)]
    more = [f"and {len(lines) - MOST_LINES:,} more"] if len(lines) > MOST_LINES else []
    return "".join(f"\n  {line}" for line in [*lines[:MOST_LINES], *more])


def _runs_here() -> list[Run]:
    """Return the runs on the running event loop that are not over, those that began first first."""
    loop = asyncio_loop() if running_backend() == "asyncio" else None
    # Without an engine, there are loose runs only.
    found: dict[Run, None] = {} if loop is None else dict.fromkeys(roots_of(loop))
    for engine in list(ENGINES.values()):
        if _is_on(loop, engine._binding._backend):
            found.update(dict.fromkeys(engine._instances.all()))
    return sorted(found, key=_start_of)


def _is_on(loop: object, backend: Backend | None) -> bool:
    """Return whether a backend is that of an asyncio loop, or of the trio that runs here."""
    # Where nothing of asyncio runs, an engine on a loop that stands still could be asked anything.
    if backend is None or getattr(backend, "loop", None) is not loop:
        return False
    _, elsewhere = attempt(backend.check_here)
    return elsewhere is None


def _start_of(run: Run) -> float:
    return math.inf if run.started_at is None else run.started_at


def _lines_of(run: Run) -> Iterator[str]:
    """Yield what a run waits for: a line for each step at work, and one for what needs no step."""
    head = f"run {escaped(run.uid)} of {shown(run.template.uid)}"
    steps = [_line_of(driver) for driver in run.drivers if driver.step is not None]
    yield from (f"{head}, {line}" for line in steps)
    if run.waiting:
        reasons = " and ".join(reason.value for reason in run.waiting.reasons)
        again = [step.template.uid for step in run.waiting.interrupted]
        steps_again = f"; to be run again: {listed(again)}" if again else ""
        yield f"{head} is {run.phase.value}, and waits {reasons}{steps_again}"
    elif not steps:
        yield f"{head} is {run.phase.value}"


def _line_of(driver: Driver) -> str:
    """Return what the step of a driver waits for, and where."""
    step = driver.step
    # While it is cleaned up after, it is in the hands of its driver, and not the other way round.
    doing = "" if step.driver is not None else ", in its clean-up"
    where = place_of_wait(driver.coroutine)
    at = f" at {where}" if where else ""
    mailbox = None if step._extras is None else step._extras.mailbox
    return f"task {shown(step.template.uid)}{doing}{at}{_expected_by(mailbox)}"


def _expected_by(mailbox: Mailbox | None) -> str:
    """Return what may still come to a step: the topics that it listens to, and its parents."""
    if mailbox is None:
        return ""
    topics: list[Any] = ["every topic" if one is None else shown(one) for one in mailbox.topics]
    told = f"; it listens to {listed(topics)}" if topics else ""
    parents = [] if mailbox._parents is None else mailbox._parents.expected
    return told + (f"; parents that may still come: {listed(parents)}" if parents else "")
