"""The engine: holds templates, receives data, and starts, keeps and stops runs.

Owns:   the loaded templates, what each trigger leads to, and the order of a shutdown.
"""

from __future__ import annotations

import inspect
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from .errors import RescueError
from .event import Event
from .home import Home
from .instances import Instances
from .refusal import Reason, Refusal
from .report import read
from .run import CLEANUP_TIMEOUT
from .selector import Selector
from .state import FutureState
from .stream import BUFFER, EventStream

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
    from types import TracebackType

    from .broker import Broker
    from .template import WorkflowTemplate
    from .workflow import Workflow

Result = TypeVar("Result")

log: logging.Logger = logging.getLogger(__name__)

BURST = 32
"""How many calls in a row may start runs before one of them lets others have a turn."""


class Engine:
    """Runs workflows upon receiving data.

    Structured, on every backend: `async with Engine() as engine:`. Leaving the block waits for
    the runs in progress; leaving it by an exception or a cancellation cancels them first. In both
    cases none of their tasks is alive afterwards.

    Loose, on asyncio and as in 1.x: `Engine(loop=loop)`, or `Engine()` used in a running loop.
    Every run is a root of its own then; `stop()` ends them.

    `load`, `reload`, `unload` and `rescue` never wait: they are done before they can be cancelled.

    Args:
        selector: Holds the templates in place of the engine's own `Selector`; its `select` and
            `get` may be async.
        loop: An asyncio event loop, for the loose mode; None is the running one.
        cleanup_timeout: Seconds that a task's `teardown()` may take.

    Raises:
        ValueError: `cleanup_timeout` is not a positive number.
    """

    def __init__(
        self,
        *,
        selector: Any = None,
        loop: asyncio.AbstractEventLoop | None = None,
        cleanup_timeout: float = CLEANUP_TIMEOUT,
    ) -> None:
        if not cleanup_timeout > 0:
            msg = f"cleanup_timeout must be positive seconds, not {cleanup_timeout!r}"
            raise ValueError(msg)
        self._selector: Any = Selector() if selector is None else selector
        self._cleanup_timeout: float = cleanup_timeout
        self._home: Home = Home(loop)
        self._instances: Instances = Instances()
        self._stopping: bool = False
        self._calls: int = 0
        self._streams: WeakSet[EventStream] = WeakSet()

    async def __aenter__(self) -> Self:
        await self._home.open(partial(self.stop, force=True), self._instances.drained)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del exc_type, traceback
        try:
            self.stop(force=exc is not None)
            if exc is None:
                await self._instances.drained()  # noqa: ASYNC102 - may be cancelled, as the body
        finally:
            self.stop(force=True)
            # Shielded there; the runs, which have been cancelled, set how long it takes.
            await self._home.close(exc, self._instances.drained, self._cleanup_timeout)  # noqa: ASYNC102

    # Templates -----------------------------------------------------------------------------------

    @property
    def selector(self) -> Any:
        """What holds the loaded templates."""
        return self._selector

    async def load(self, template: WorkflowTemplate) -> None:
        """Load a template: from now on data can trigger it. One with the same id is replaced.

        Raises:
            TemplateError: It has faults, all of which are in the error. Nothing changes.
        """
        template.validate()
        self._selector.load(template)

    async def reload(self, templates: Iterable[WorkflowTemplate]) -> None:
        """Replace all loaded templates by others; runs in progress go on.

        Raises:
            TemplateError: One of them has faults. Nothing changes.
        """
        templates = list(templates)
        for template in templates:
            template.validate()
        self._selector.clear()
        for template in templates:
            self._selector.load(template)

    async def unload(self, template_id: str) -> WorkflowTemplate:
        """Unload a template and return it; its runs in progress go on.

        Raises:
            KeyError: It is not loaded.
        """
        template: WorkflowTemplate = self._selector.unload(template_id)
        return template

    # Runs ----------------------------------------------------------------------------------------

    @property
    def instances(self) -> list[Workflow]:
        """The runs that are not over, in the order they were started."""
        return [run.workflow for run in self._instances.all() if run.workflow is not None]

    @property
    def broker(self) -> Broker:
        """The broker that dispatches the data this engine receives, and execution events."""
        return self._home.broker

    def subscribe(self, *topics: str, buffer: int = BUFFER) -> EventStream:
        """Return the events of some topics as an async context manager and iterator.

        Args:
            topics: Which; none is every topic, except the execution events (`EXEC_TOPIC`).
            buffer: How many events wait for the reader. When it is full, the oldest is dropped
                and counted in `dropped`; nobody waits for a slow reader.

        Raises:
            ValueError: `buffer` is not positive.
            TypeError: A topic is no string.
        """
        stream = EventStream(lambda: self._home.broker, topics, buffer)
        self._streams.add(stream)
        return stream

    def get(self, run_id: str) -> Workflow | None:
        """Return the run with an execution id; None if it is over or unknown."""
        found = (workflow for workflow in self.instances if workflow.uid == run_id)
        return next(found, None)

    async def data_received(
        self, data: dict[str, Any] | Event, topic: str | None = None
    ) -> list[Workflow]:
        """Dispatch data to whoever listens, and start the workflows that it triggers.

        Args:
            data: A dict or an event. Each run gets a copy of its own (one level deep).
            topic: What it is about; None triggers only templates that listen to everything.

        Returns:
            The runs started; none while the engine is stopping.

        Raises:
            ValueError: `data` is neither a dict nor an Event.
            TypeError: `topic` is neither a string nor None.
            Exception: What a custom selector raised. No workflow was started.

        Cancellation: it waits only for an async selector, and (see `BURST`) now and then before it
        does anything; cancelled there, nothing was started.
        """
        if topic is not None and not isinstance(topic, str):
            msg = f"topic must be a string or None, not {type(topic).__name__}"
            raise TypeError(msg)
        event = Event(data, topic)
        port = self._home.here()
        if self._turn_is_due():
            await port.checkpoint()
        self._home.broker.dispatch(event, topic)
        if self._stopping:
            return []
        templates = self._selector.select(topic)
        if type(templates) is not list and inspect.isawaitable(templates):
            templates = await templates
        runs: list[Workflow] = []
        for template in templates:
            run = self._try_safely(template, event)
            if run is not None:
                runs.append(run)
        return runs

    async def trigger(self, template_id: str, data: dict[str, Any] | Event) -> Workflow | Refusal:
        """Start a run of one loaded template, whatever its topics.

        Args:
            template_id: Which.
            data: A dict or an event; the run gets a copy of its own (one level deep).

        Returns:
            The run, or a falsy `Refusal` that says why there is none.

        Raises:
            ValueError: `data` is neither a dict nor an Event.
            Exception: What a custom selector raised. No workflow was started.

        Cancellation: it waits only for an async selector, and (see `BURST`) now and then before it
        does anything; cancelled there, nothing was started.
        """
        event = Event(data)
        port = self._home.here()
        if self._turn_is_due():
            await port.checkpoint()
        template = self._selector.get(template_id)
        if inspect.isawaitable(template):
            template = await template
        if not template:
            return Refusal(Reason.UNKNOWN_TEMPLATE, template_id)
        return self._try_run(template, event)

    async def run_once(
        self, template: WorkflowTemplate, data: dict[str, Any] | Event
    ) -> Workflow | Refusal:
        """Start a run of a template that need not be loaded, whatever its overrun policy.

        Returns:
            The run, or a falsy `Refusal` if the engine is stopping.

        Raises:
            TemplateError: The template has faults. Nothing was started.
            ValueError: `data` is neither a dict nor an Event.

        Cancellation: it waits only (see `BURST`) now and then, before it does anything; cancelled
        there, nothing was started.
        """
        event = Event(data)
        port = self._home.here()
        if self._turn_is_due():
            await port.checkpoint()
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        template.validate()
        run = self._new_run(template)
        self._instances.launch(run._run, partial(run._run.start, event))
        return run

    async def rescue(
        self, template: WorkflowTemplate, report: Mapping[str, Any]
    ) -> Workflow | Refusal:
        """Go on with a run from its report, whatever its overrun policy.

        It keeps its execution id. Tasks that were over are not run again, those that were at work
        are, from scratch. The time limit of the workflow is what was left of it.

        Args:
            template: What was run; it need not be loaded, and may have gained tasks since.
            report: What `Workflow.report()` returned at any moment, also after it went through
                JSON.

        Returns:
            The run, or a falsy `Refusal` if the engine is stopping.

        Raises:
            TemplateError: The template has faults. Nothing was started.
            RescueError: The report cannot be continued, or the run is still in progress in this
                engine. Nothing was started.
        """
        self._home.here()
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        template.validate()
        record = read(report, template)
        if self.get(record.uid) is not None:
            raise RescueError(record.uid, "it is still in progress in this engine")
        run = self._new_run(template)
        run._run.restore(record)
        self._instances.launch(run._run, run._run.go_on)
        return run

    # From other threads --------------------------------------------------------------------------

    def from_thread(self, function: Callable[..., Awaitable[Result]], *args: Any) -> Result:
        """Run an async function where the engine runs, and wait for what it returns.

            runs = engine.from_thread(engine.data_received, {"n": 1}, "topic")

        For many events, give it a function of your own: each call is a round trip. The methods of
        a run are for the engine's own thread, too.

        Raises:
            EngineError: Called in an event loop, which would stand still; or the event loop of
                the engine does not run, or there is none yet. Nothing was called.
            Exception: What the function raised.
        """
        result: Result = self._home.port.call_from_thread(partial(function, *args))
        return result

    # The end -------------------------------------------------------------------------------------

    def stop(self, grace: float | None = None, *, force: bool = False) -> Self:
        """Start no new runs, and end the engine when those in progress are over.

        It takes effect at once; `await` what it returns to wait for the end. It may be called
        again, to say it with more force.

        Args:
            grace: Seconds after which the runs in progress are cancelled, 0 for now; None lets them
                finish. A bool is `force`, which stood here in 1.x.
            force: Cancel them now.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self._home.check()
        if isinstance(grace, bool):
            grace, force = None, grace or force
        self._stopping = True
        if force or (grace is not None and grace <= 0):
            for run in self._instances.all():
                run.stop(FutureState.cancelled)
        elif grace is not None:
            self._instances.stop_after(grace)
        self._instances.tell_change()
        return self

    def done(self) -> bool:
        """Return whether it was stopped and all runs are over."""
        return self._stopping and not self._instances

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until it was stopped and all runs are over.

        Cancellation: only the waiting ends.
        """
        return self._stopped().__await__()

    async def _stopped(self) -> None:
        while not self.done():
            await self._instances.changed()
        # The broker may be that of other engines as well, and go on.
        for stream in self._streams:
            stream.end()

    # Inside --------------------------------------------------------------------------------------

    def _turn_is_due(self) -> bool:
        """Say whether others are to have a turn now.

        Nothing else makes one who sends a burst of data wait: the loop would stand still until all
        of it is sent, and then for as long as all those runs take to begin.
        """
        self._calls = (self._calls + 1) % BURST
        return not self._calls

    def _try_safely(self, template: WorkflowTemplate, event: Event) -> Workflow | None:
        """Try to run a template that a selector chose: a bad one must not keep others from it."""
        try:
            # They share the event: nobody changes it, and each root task gets a copy of its own.
            start = self._instances.start
            return None if self._stopping else start(template, event, self._new_run)
        except Exception:
            log.exception("cannot start a run of %s", template)
            return None

    def _try_run(self, template: WorkflowTemplate, event: Event) -> Workflow | Refusal:
        """Decide and act, without awaiting in between."""
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        run = self._instances.start(template, event, self._new_run)
        return Refusal(Reason.SKIPPED, template.uid) if run is None else run

    def _new_run(self, template: WorkflowTemplate) -> Workflow:
        return self._home.port.workflow(
            template, broker=self._home.broker, cleanup_timeout=self._cleanup_timeout
        )
