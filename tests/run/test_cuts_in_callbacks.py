"""Runs and tasks are cut in each call of users' code that a few programs make.

A handler, a callback, a predicate or the text of an error may cancel, suspend or time out whatever
there is, at the very moment at which some of that begins, ends, or is about to. Each that has begun
has one end all the same, and nothing is left in the middle.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from support import profiles
from support.called import RESCUING, WAYS, Called
from support.calling import CALLING
from support.programs import HERE, played
from tukio.testing.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import tukio
    from support.programs import Story

EACH = {name: 3 if name == "trio" else 12 for name in HERE}
"""Of how many calls one is tried, unless in a hurry."""


def steps_of(engine: tukio.Engine) -> Iterator[Any]:
    """Yield all steps of all runs, items included."""
    for run in engine.instances:
        for step in list(run.tasks):
            yield step
            items = None if step._extras is None else step._extras.items
            yield from () if items is None else list(items.open)


def cancel_tasks(engine: tukio.Engine) -> None:
    """Cancel all steps there are."""
    for step in steps_of(engine):
        step.cancel()


def time_tasks_out(engine: tukio.Engine) -> None:
    """Cut all steps there are as if they had reached their limits."""
    for step in steps_of(engine):
        step.timeout()


def roots_of(engine: tukio.Engine) -> list[Any]:
    """Return all runs but children: what is done to a run is done to its children."""
    return [run for run in engine.instances if run._run.environment.child_of is None]


def suspend_and_resume(engine: tukio.Engine) -> None:
    """Interrupt all runs, and have them go on."""
    for run in roots_of(engine):
        run.suspend()
        run.resume()


def suspend_and_cancel(engine: tukio.Engine) -> None:
    """Interrupt all runs, and cancel them."""
    for run in roots_of(engine):
        run.suspend()
        run.cancel()


ACTS: dict[str, Callable[[tukio.Engine], None]] = {
    act.__name__: act
    for act in (cancel_tasks, time_tasks_out, suspend_and_resume, suspend_and_cancel)
}


class Cutting:
    """One program that is cut in one call.

    Attributes:
        called: The calls.
        watch: What looks at each event; None before the program begins.
    """

    def __init__(self, nth: int, act: Callable[[tukio.Engine], None]) -> None:
        self._engine: Any = None
        self.called = Called(nth, lambda: act(self._engine))
        self.watch: Any = None

    def prepare(self, way: str) -> Callable[[Story, tukio.Engine], None]:
        """Return what prepares an engine for that."""

        def prepare(story: Story, engine: tukio.Engine) -> None:
            self._engine = engine
            self.watch = Watch.of(engine)
            WAYS[way](self.called, story, engine)

        return prepare


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("program", CALLING)
@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("way", WAYS)
def test_g2_whatever_there_is_is_cut_in_any_callback(
    host: str, program: str, way: str, act: str
) -> None:
    """Nothing hangs, and each step and run that has begun has one end."""
    dry = Cutting(0, ACTS[act])
    played(host, CALLING[program], contextlib.nullcontext(), dry.prepare(way))
    each = EACH[host] * (profiles.LESS if profiles.PROFILE == "less" else 1)
    for nth in range(1 + HERE.index(host) % each, dry.called.called + 1, each):
        cutting = Cutting(nth, ACTS[act])
        within = contextlib.nullcontext()
        story, problem = played(host, CALLING[program], within, cutting.prepare(way))
        try:
            assert problem is None
            assert [run for run in filter(None, story.runs) if not run.done()] == []
            if program not in RESCUING:
                cutting.called.check(may_suspend=True)
                # In handlers, it hears of what they do when all of that is done. And tasks that are
                # timed out have reached no limit of theirs.
                if way != "handlers" and act != "time_tasks_out":
                    cutting.watch.check()
        except BaseException as error:
            error.add_note(f"on {host}, it was cut at {nth}: {cutting.called.at}")
            raise
