"""The calls of users' code that a few programs make, counted: something is done in one of them.

Handlers and callbacks are called at the begin and the end of whatever runs; predicates and errors
are asked in between.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import tukio

from .ending import RUN_ENDS, STEP_ENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .programs import Story

ENDS = STEP_ENDS | {"task-retry"}

SUSPENDING = {"suspends", "suspended_children"}
"""The programs that suspend runs: what is interrupted there may have no end."""

RESCUING = {"joins", "maps", "children", "maps_of_workflows"}
"""The programs that rescue runs: these have the same ids, and end twice."""


class Called:
    """Does something in one of the calls that are counted, and hears what is told.

    Args:
        nth: Which one, from 1 on; 0 for none.
        act: What it does; it may raise.
    """

    def __init__(self, nth: int, act: Callable[[], object]) -> None:
        self.called: int = 0
        self.at: Any = None
        self.told: list[tuple[str, str | None, str | None]] = []
        self._nth: int = nth
        self._act: Callable[[], object] = act

    def count(self, what: Any) -> None:
        """Count a call, which may be the one."""
        self.called += 1
        if self.called == self._nth:
            self.at = what
            self._act()

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


WAYS: dict[str, Callable[[Called, Story, tukio.Engine], None]] = {
    "handlers": Called.in_handlers,
    "callbacks": Called.in_callbacks,
    "asked": Called.in_what_is_asked,
}
