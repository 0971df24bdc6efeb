"""What ends the program is raised in each call of users' code that a few programs make.

Handlers and callbacks are called at the begin and the end of whatever runs; predicates and errors
are asked in between. All that has begun there comes to its end all the same, on trio as well, where
nothing mends afterwards what is left in the middle.
"""

from __future__ import annotations

import contextlib
import functools
import gc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support import profiles
from support.calling import CALLING
from support.ending import RUN_ENDS, STEP_ENDS
from support.programs import HERE, Story, check, played

if TYPE_CHECKING:
    from collections.abc import Callable

ENDS = STEP_ENDS | {"task-retry"}

SUSPENDING = {"suspends", "suspended_children"}
"""The programs that suspend runs: what is interrupted there has no end."""

RESCUING = {"joins", "maps", "children", "maps_of_workflows"}
"""The programs that rescue runs: these have the same ids, and end twice."""

EACH = {name: 1 if name == "trio" else 4 for name in HERE}
"""Of how many calls one is tried; on trio all, unless in a hurry."""


class Ending:
    """Ends the program in one of the calls that are counted, and hears what is told.

    Args:
        nth: Which one, from 1 on; 0 for none.
    """

    def __init__(self, nth: int) -> None:
        self.called: int = 0
        self.at: Any = None
        self.told: list[tuple[str, str | None, str | None]] = []
        self._nth: int = nth

    def count(self, what: Any) -> None:
        """Count a call, which may be the one."""
        self.called += 1
        if self.called == self._nth:
            self.at = what
            raise KeyboardInterrupt

    def note(self, event: tukio.Event) -> None:
        """Note who has told of what."""
        source = event.source
        assert source is not None
        self.told.append((event.data["type"], source.workflow_exec_id, source.task_exec_id))

    def in_handlers(self, _: Story, engine: tukio.Engine) -> None:
        """Count the events."""

        def handler(event: tukio.Event) -> None:
            assert event.source is not None
            self.count((event.data["type"], event.source.task_template_id))

        engine.broker.register(handler, tukio.EXEC_TOPIC)
        engine.broker.register(self.note, tukio.EXEC_TOPIC)

    def in_callbacks(self, _: Story, engine: tukio.Engine) -> None:
        """Count the ends of steps, to whoever waits for these."""

        def over(step: Any) -> None:
            self.count(step.template.uid)

        def handler(event: tukio.Event) -> None:
            if event.data["type"] == "task-begin":
                step = tukio.current_task()
                if step.attempt == 1:
                    step.add_done_callback(over)

        engine.broker.register(handler, tukio.EXEC_TOPIC)
        engine.broker.register(self.note, tukio.EXEC_TOPIC)

    def in_what_is_asked(self, story: Story, engine: tukio.Engine) -> None:
        """Count what predicates are asked, and errors for their texts."""
        story.called = self.count
        engine.broker.register(self.note, tukio.EXEC_TOPIC)

    def check(self, *, may_suspend: bool) -> None:
        """Make sure that each end was told once, and last."""
        begun = Counter(step for kind, _, step in self.told if kind == "task-begin")
        ended = Counter(step for kind, _, step in self.told if kind in ENDS)
        assert set(ended) <= set(begun) if may_suspend else set(ended) == set(begun)
        assert set(ended.values()) <= {1}
        for run in {run for _, run, _ in self.told}:
            kinds = [kind for kind, one, _ in self.told if one == run]
            assert sum(kind in RUN_ENDS for kind in kinds) == 1
            assert kinds[-1] in RUN_ENDS


WAYS: dict[str, Callable[[Ending, Story, tukio.Engine], None]] = {
    "handlers": Ending.in_handlers,
    "callbacks": Ending.in_callbacks,
    "asked": Ending.in_what_is_asked,
}


def ended(host: str, program: str, way: str, nth: int) -> tuple[Ending, Story, Any]:
    """Run a program on a host, and end it in a call; return what was told, and how it ended."""
    ending = Ending(nth)
    prepare = functools.partial(WAYS[way], ending)
    story, ended_by = played(host, CALLING[program], contextlib.nullcontext(), prepare)
    return ending, story, ended_by


@pytest.mark.parametrize("program", CALLING)
@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("way", WAYS)
def test_g1_the_program_is_ended_in_any_callback(host: str, program: str, way: str) -> None:
    """Nothing hangs, no step is in the middle, and each clean-up that has begun is whole."""
    dry, _, ended_by = ended(host, program, way, 0)
    assert ended_by is None
    each = EACH[host] * (profiles.LESS if profiles.PROFILE == "less" else 1)
    calls = range(1 + HERE.index(host) % each, dry.called + 1, each)
    missed = 0
    for nth in calls:
        ending, story, ended_by = ended(host, program, way, nth)
        try:
            if ending.at is None:
                # trio does not do all in the same order each time.
                assert ended_by is None
                missed += 1
                continue
            check(story, ended_by)
            assert set(story.tearing) == set(story.torn)
            if program not in RESCUING:
                ending.check(may_suspend=program in SUSPENDING)
        except BaseException as error:
            error.add_note(f"on {host}, it was ended at {nth}: {ending.at}")
            raise
        del ending, story, ended_by
        gc.collect()
    assert missed <= 1 + len(calls) // 20
