"""The execution events of one run as an async iterator, from its begin to its end.

Owns:   the events that wait for the reader.
Knows:  the state of the run, of which the events so far are made up; the broker, for the others.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import anyio

from .._events.exec_topics import workflow_exec_topics
from .._events.queue import Inbox
from .._events.stream import check_buffer
from .._model.account import RecordedError
from .._model.event import EventSource, own_data, sent_by
from .._model.state import EVENT_OF, OVER, RETRIED, TERMINAL, TaskExecState, WorkflowExecState
from .._step.items import work_of
from .closing import closing_in
from .outcome import content_of_end

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from .._model.attempts import Attempt
    from .._model.closing import Closing
    from .._model.event import Event, Sender
    from .._step.step import LiveStep
    from .run_state import RunState

    Past = tuple[float, int, int, str, Any, Sender]


class RunEvents:
    """The execution events of one run; `Workflow.events` returns one.

    Listening begins with the first event that is read. It ends with the run, or by `aclose()`,
    which a reader that does not read to the end should call:

        async with contextlib.aclosing(run.events()) as events:
            async for event in events:
                ...

    Args:
        run: The run.
        steps: The step of each task, by number; None where none was reached.
        buffer: The number of events that may wait for the reader.

    Raises:
        ValueError: `buffer` is not positive.
    """

    def __init__(self, run: RunState, steps: Sequence[LiveStep | None], buffer: int) -> None:
        check_buffer(buffer)
        self._run: RunState = run
        self._steps: Sequence[LiveStep | None] = steps
        # What has happened before the first event was read; None until then.
        self._past: deque[Event] | None = None
        # Whether the begin of the run is among that.
        self._tells_begin: bool = False
        # Set by `aclose`, and never set back.
        self._is_closed: bool = False
        self._inbox: Inbox = Inbox(buffer, check=run.backend.check_here)

    @property
    def dropped(self) -> int:
        """The number of events that were dropped because the reader was too slow."""
        return self._inbox.dropped

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; wait until there is one.

        Raises:
            EngineError: Called from another event loop or thread.

        Cancellation: no event is lost.
        """
        run = self._run
        run.backend.check_here()
        if self._is_closed:
            await run.environment.turns.give_way()
            raise StopAsyncIteration
        if self._past is None:
            self._past = deque(_past_of(run, self._steps))
            self._tells_begin = bool(self._past)
            self._listen(len(self._past))
        if self._past:
            await run.environment.turns.give_way()
            return self._past.popleft()
        try:
            return await self._inbox.get()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Listen no more; the iteration is over.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.

        Cancellation: nothing is listened to any more.
        """
        self._run.backend.check_here()
        self._past = deque()
        self._is_closed = True
        self._leave()
        self._inbox.close()
        await self._run.backend.checkpoint()

    def _listen(self, past: int) -> None:
        """Listen to what comes from now on, with numbers after those of what has happened."""
        run = self._run
        if run.phase is OVER:
            self._inbox.close()
            return
        run.told = max(run.told, past)
        _, topic = workflow_exec_topics(run.uid)
        run.broker.attach(self, topic)

    def _leave(self) -> None:
        _, topic = workflow_exec_topics(self._run.uid)
        self._run.broker.detach(self, topic)

    # For the broker ------------------------------------------------------------------------------

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Called by the broker with each event; keep it for the reader."""
        del topics
        if event.seq is None:
            # No event of the run: others may dispatch anything in its topic.
            return
        # Tasks have words of their own, which may be any; those that begin and end it are its own.
        kind = event.data["type"] if event._sender is self._run else None
        if kind == WorkflowExecState.BEGIN.value and self._tells_begin:
            # A run that was rescued tells it once more, after its tasks have begun.
            return
        self._inbox.add(event)
        if kind in TERMINAL:
            self._leave()

    def end(self) -> None:
        """Called when no further event comes; the iteration ends after those in the buffer."""
        self._inbox.close()


def _past_of(run: RunState, steps: Sequence[LiveStep | None]) -> Iterator[Event]:
    """Yield the events of a run so far, made up from its state, in order.

    Those of one instant are in the order of the graph.
    """
    whole = _begun_of(run, steps)
    # Also of a run that has never begun.
    if run.ended_at is not None and run.ending is not None:
        kind, content = run.terminal(run.ending)
        whole.append((run.ended_at, 0, 0, kind.value, content, run))
    topics = workflow_exec_topics(run.uid)
    for number, (at, _, _, word, content, sender) in enumerate(whole, 1):
        event = sent_by(sender, {"type": word, "content": own_data(content)}, topics)
        event._moment = (number, at, run.backend.wall_time)
        yield event


def _begun_of(run: RunState, steps: Sequence[LiveStep | None]) -> list[Past]:
    """Return the begin of a run, and what has happened to its steps; nothing before the begin."""
    root = steps[run.plan.shape.root]
    if root is None or run.started_at is None or not run.has_begun_itself:
        return []
    places = {number: place for place, number in enumerate(run.plan.shape.order)}
    told: list[Past] = []
    reached = [step for step in steps if step is not None]
    closing, items = closing_in(steps), {step: _items_of(step) for step in reached}
    others = [item for some in items.values() for item in some]
    others += [] if closing is None else closing.steps
    known = _instants_of([*reached, *others])
    for step in reached:
        told += _of_step(step, places[step.number], known)
        told += _of_items(items[step], places[step.number], known)
    told += _of_closing(run, closing, len(places), known)
    told.sort(key=lambda one: one[:3])
    begin = (run.started_at, 0, 0, WorkflowExecState.BEGIN.value, root.input_data, run)
    return [begin, *told]


def _items_of(step: LiveStep) -> list[LiveStep]:
    """Return the items of a mapped task that are not over; of the others no step is kept."""
    work = work_of(step)
    return [] if work is None else work.steps()


def _of_items(
    items: Sequence[LiveStep], place: int, known: Mapping[datetime, float]
) -> Iterator[Past]:
    """Yield what has happened to those items of a mapped task that are not over."""
    told = [one for number, item in enumerate(items) for one in _of_step(item, number, known)]
    told.sort(key=lambda one: one[:3])
    for at, _, _, word, content, sender in told:
        # After the begin of the task, and before its end.
        yield at, place, 1, word, content, sender


def _of_closing(
    run: RunState, closing: Closing | None, place: int, known: Mapping[datetime, float]
) -> Iterator[Past]:
    """Yield that a run closes, and what has happened to the steps of that."""
    if closing is None or closing.began_at is None or run.ending is None:
        return
    word, content = WorkflowExecState.CLOSING.value, {"state": run.ending.value}
    yield closing.began_at, place, 0, word, content, run
    for number, step in enumerate(closing.steps, place + 1):
        yield from _of_step(step, number, known)


def _of_step(step: LiveStep, place: int, known: Mapping[datetime, float]) -> Iterator[Past]:
    """Yield what has happened to a task: its attempts, its begin, its newest progress, its end."""
    extras, number = step._extras, 0
    if extras is not None and extras.attempts:
        yield from _of_attempts(step, extras.attempts, place, known)
        number = 2 * len(extras.attempts)
    if step.started_at is not None:
        yield step.started_at, place, number, TaskExecState.BEGIN.value, step.input_data, step
    if extras is not None and extras.progress is not None:
        at, content = extras.progress
        yield at, place, number + 1, TaskExecState.PROGRESS.value, content, step
    if step.ended_at is not None:
        content = content_of_end(step.output_data, step.error, is_handled=step._is_handled())
        yield step.ended_at, place, number + 2, EVENT_OF[step.state], content, step


def _of_attempts(
    step: LiveStep, attempts: Sequence[Attempt], place: int, known: Mapping[datetime, float]
) -> Iterator[Past]:
    """Yield the begin and the end of each execution that has failed, and that another followed."""
    last = math.inf if step.started_at is None else step.started_at
    instant = step.run.backend.instant
    for number in reversed(range(len(attempts))):
        made, place_of_end = attempts[number], 2 * number + 1
        # Never later than what came next: the times of attempts are those of the calendar, which
        # are rounded.
        ended = last = min(known.get(made.end, instant(made.end)), last)
        begun = last = min(known.get(made.start, instant(made.start)), last)
        sender = _Earlier(made, step)
        content = {
            "exception": RecordedError.of(made.error),
            "attempt": number + 1,
            "delay": made.delay,
        }
        yield ended, place, place_of_end, EVENT_OF[RETRIED], content, sender
        yield begun, place, place_of_end - 1, TaskExecState.BEGIN.value, step.input_data, sender


def _instants_of(steps: Sequence[LiveStep]) -> dict[datetime, float]:
    """Return the instants of some steps by the times that attempts have, if there are any."""
    if not any(step._extras is not None and step._extras.attempts for step in steps):
        return {}
    instants = {at for step in steps for at in (step.started_at, step.ended_at) if at is not None}
    return {steps[0].run.backend.wall_time(at): at for at in sorted(instants)}


class _Earlier:
    """The sender of the events of an execution that another one has followed."""

    __slots__ = ("source",)

    def __init__(self, made: Attempt, step: LiveStep) -> None:
        run = step.run
        self.source: EventSource = EventSource(
            run.template.uid, run.uid, step.template.uid, made.uid or step.uid
        )
