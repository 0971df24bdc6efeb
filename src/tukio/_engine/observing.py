"""An engine to look at: its events, and how it is doing.

Owns:   what is counted of the engine as it goes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .._events.stream import BUFFER, EventStream
from .._model.changes import exact
from .lifecycle import Lifecycle
from .refusal import Refusal
from .statistics import Statistics, dropped, oldest_wait, open_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._events.taps import Tap
    from .._model.not_started import Reason
    from .._model.registry import Registry
    from .._run.task_run import TaskRun
    from .._run.workflow import Workflow


class Observable(Lifecycle):
    """The base class of `Engine` that tells of what happens.

    Args:
        loop: As for `Lifecycle`.
        registry: Likewise.
        cleanup_timeout: Likewise.

    Raises:
        ValueError: `cleanup_timeout` is not a positive number.
    """

    def __init__(self, loop: Any, registry: Registry | None, cleanup_timeout: float) -> None:
        super().__init__(loop, registry, cleanup_timeout)
        # The number of calls of `data_received`, and of refusals by their reasons, so far.
        self._received: int = 0
        self._refused: Counter[Reason] = Counter()

    @property
    def instances(self) -> list[Workflow]:
        """The runs that are not over, in the order in which they were started."""
        faces: list[Any] = [run.face for run in self._instances.all()]
        return [face for face in faces if face is not None]

    def get(self, run_id: str) -> Workflow | None:
        """Return the run with an execution id; None if the run is over or unknown."""
        run = self._instances.get(exact(run_id))
        face: Any = None if run is None else run.face
        workflow: Workflow | None = face
        return workflow

    def subscribe(self, *topics: str, buffer: int = BUFFER) -> EventStream:
        """Return the events of some topics as an async context manager and iterator.

        Args:
            topics: The topics; none is every topic, except the execution events (`EXEC_TOPIC`).
            buffer: The number of events that wait for the reader. When the buffer is full, the
                oldest event is dropped and counted in `dropped`; senders never wait for a reader.

        Raises:
            ValueError: `buffer` is not positive.
            TypeError: A topic is not a string.
            EngineError: The engine runs in another event loop or thread.
        """
        self._binding.check()
        stream = EventStream(lambda: self._binding.broker, self._binding.check, topics, buffer)
        self._streams.add(stream)
        if self.done():
            stream.finish()
        return stream

    def tap(self, function: Callable[[str, Workflow, TaskRun | None, Any], object]) -> Tap:
        """Call a function in place with each execution event, from now on.

            with engine.tap(lambda kind, run, task, content: print(kind, run.uid)):
                ...

        No `Event` is made, so this costs less than a handler. The function must not wait: the run
        does nothing else meanwhile. What it raises is logged, and harms nobody. In the loose mode,
        the events are those of all engines on the loop.

        Args:
            function: Called with the type of the event, the run, the task (None if the event is
                one of the run itself), and the content: as `type` and `content` in the data of an
                event.

        Returns:
            The tap, a context manager; it ends with its block, or by `close()`, or with the engine.

        Raises:
            TypeError: The function is not callable, or is async.
            EngineError: The engine runs in another event loop or thread.
        """
        self._binding.check()
        tap = self._binding.broker.tap(function)
        self._taps.add(tap)
        if self.done():
            tap.close()
        return tap

    def statistics(self) -> Statistics:
        """Return how the engine is doing, in numbers; they are counted when this is called.

        Raises:
            EngineError: The engine runs in another event loop or thread.
        """
        self._binding.check()
        runs = self._instances.all()
        return Statistics(
            runs=open_runs(runs),
            started=self._instances.added,
            events=self._received,
            refused=dict(self._refused),
            dropped=dropped(self._binding.broker),
            oldest_wait=oldest_wait(runs),
        )

    def _refuse(self, reason: Reason, template_id: Any) -> Refusal:
        """Return a refusal, and count it."""
        self._refused[reason] += 1
        return Refusal(reason, exact(template_id))
