"""The timeline of an engine: its execution events in order, with their instants.

Owns:   the list of execution events as they came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from .._events.exec_topics import EXEC_TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._engine.engine import Engine
    from .._model.event import Event

CONTENT_WIDTH = 60
"""The largest number of characters of an event's content that a timeline shows."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One execution event.

    Attributes:
        time: Seconds since the timeline began.
        kind: The type of the event: "task-begin", or any word of the user's.
        run: The id of the run.
        task: The id of the task in its template; None for an event of the run itself.
        execution: The id of the execution of the task; None for an event of the run itself.
        content: The content of the event.
    """

    time: float
    kind: str
    run: str | None
    task: str | None
    execution: str | None
    content: Any

    def __str__(self) -> str:
        content = "" if self.content is None else f"{self.content!r}"
        if len(content) > CONTENT_WIDTH:
            content = f"{content[:CONTENT_WIDTH]}..."
        return f"{self.time:10.3f}  {self.kind:16}  {self.task or '':12}  {content}".rstrip()


@dataclass(slots=True)
class Timeline:
    """The execution events of an engine.

    `Timeline.of(engine)` begins to listen; `print(timeline)` shows a line per event.

    Attributes:
        moments: The events so far.
    """

    moments: list[Moment] = field(default_factory=list[Moment])
    _start: float = 0.0

    @classmethod
    def of(cls, engine: Engine) -> Timeline:
        """Return a timeline of all execution events of an engine from now on."""
        timeline = cls(_start=anyio.current_time())
        engine.broker.register(timeline._note, EXEC_TOPIC)
        return timeline

    def of_run(self, run_id: str) -> Timeline:
        """Return the part of the timeline that is about one run."""
        return Timeline([moment for moment in self.moments if moment.run == run_id], self._start)

    def kinds(self) -> list[str]:
        """Return the events in short: "task-begin a"."""
        return [f"{moment.kind} {moment.task or ''}".rstrip() for moment in self.moments]

    def __iter__(self) -> Iterator[Moment]:
        return iter(self.moments)

    def __len__(self) -> int:
        return len(self.moments)

    def __str__(self) -> str:
        return "\n".join(map(str, self.moments)) or "(nothing happened)"

    def _note(self, event: Event) -> None:
        source = event.source
        assert source is not None
        self.moments.append(
            Moment(
                time=anyio.current_time() - self._start,
                kind=event.data["type"],
                run=source.workflow_exec_id,
                task=source.task_template_id,
                execution=source.task_exec_id,
                content=event.data["content"],
            )
        )
