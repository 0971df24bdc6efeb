"""The engine: holds templates, receives data, and starts, keeps and stops runs.

Owns:   the loaded templates, and what each trigger leads to.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from .._loop.turns import Turns
from .._model.errors import RescueError
from .._model.event import Event
from .._model.guard import attempt
from .._model.logs import Log
from .._model.record import read
from .._model.refusal import Reason, Refusal
from .._model.selector import Selector
from .._run import restoring
from .._run.environment import CLEANUP_TIMEOUT
from .lifecycle import Lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._loop.services import AsyncioLoop
    from .._model.registry import Registry
    from .._model.template import WorkflowTemplate
    from .._run.workflow import Workflow

log: Log = Log("tukio.engine")


class Engine(Lifecycle):
    """Runs workflows upon receiving data.

    Structured mode, on every backend: `async with Engine() as engine:`. Leaving the block waits for
    the runs in progress. Leaving it by an exception or a cancellation cancels the runs first. In
    both cases no task of a run is alive afterwards.

    Loose mode, on asyncio and as in 1.x: `Engine(loop=loop)`, or `Engine()` used in a running loop.
    Each run is then a root of its own, and `stop()` ends the runs.

    `load`, `reload`, `unload` and `rescue` wait for nothing; they give other tasks a turn at times,
    before they do anything.

    Args:
        selector: An object that holds the templates instead of the engine's own `Selector`; its
            `select` and `get` may be async.
        loop: An asyncio event loop, for the loose mode; None is the running one.
        registry: The only registry that names of tasks are looked up in. None is the registry of
            the process, which `tukio.register` fills.
        cleanup_timeout: Seconds that a task's `teardown()` may take.

    Raises:
        ValueError: `cleanup_timeout` is not a positive number.
    """

    def __init__(
        self,
        *,
        selector: Any = None,
        loop: AsyncioLoop | None = None,
        registry: Registry | None = None,
        cleanup_timeout: float = CLEANUP_TIMEOUT,
    ) -> None:
        super().__init__(loop, registry, cleanup_timeout)
        # Holds the loaded templates. Always this object; changed only by `load`, `reload` and
        # `unload`, which validate templates first.
        self._selector: Any = Selector() if selector is None else selector
        self._registry: Registry | None = registry
        # For the methods that start runs by data. Nothing else makes the sender of a burst wait:
        # without a turn in between, the loop would be blocked until all is sent, and has begun.
        self._starts: Turns = Turns(anyio.lowlevel)

    # Templates -----------------------------------------------------------------------------------

    async def load(self, template: WorkflowTemplate) -> None:
        """Load a template, so that data can trigger it; one with the same id is replaced.

        Raises:
            TemplateError: The template has faults, all of which are in the error. Nothing changes.

        Cancellation: nothing changes.
        """
        await self._turns.give_way()
        template.validate(self._registry)
        self._selector.load(template)

    async def reload(self, templates: Iterable[WorkflowTemplate]) -> None:
        """Replace all loaded templates by others; runs in progress go on.

        Raises:
            TemplateError: One of the new templates has faults. Nothing changes.

        Cancellation: nothing changes.
        """
        await self._turns.give_way()
        templates = list(templates)
        # All of them are validated before anything changes.
        for template in templates:
            template.validate(self._registry)
        self._selector.clear()
        for template in templates:
            self._selector.load(template)

    async def unload(self, template_id: str) -> WorkflowTemplate:
        """Unload a template and return it; its runs in progress go on.

        Raises:
            KeyError: No template with this id is loaded.

        Cancellation: nothing changes.
        """
        await self._turns.give_way()
        template: WorkflowTemplate = self._selector.unload(template_id)
        return template

    # Runs ----------------------------------------------------------------------------------------

    @property
    def instances(self) -> list[Workflow]:
        """The runs that are not over, in the order in which they were started."""
        faces: list[Any] = [run.face for run in self._instances.all()]
        return [face for face in faces if face is not None]

    def get(self, run_id: str) -> Workflow | None:
        """Return the run with an execution id; None if the run is over or unknown."""
        run = self._instances.get(run_id)
        face: Any = None if run is None else run.face
        workflow: Workflow | None = face
        return workflow

    async def data_received(
        self, data: dict[str, Any] | Event, topic: str | None = None
    ) -> list[Workflow]:
        """Dispatch data to the handlers of a topic, and start the workflows that the data triggers.

        Args:
            data: A dict or an event. Each run gets a copy of its own (one level deep).
            topic: The topic of the data; None triggers only templates that listen to everything.

        Returns:
            The runs that were started; none while the engine is stopping.

        Raises:
            ValueError: `data` is neither a dict nor an Event.
            TypeError: `topic` is neither a string nor None.
            Exception: The exception of a custom selector. No workflow was started.

        Cancellation: nothing was started. The call waits only for an async selector, and in one of
        `BURST` calls before it does anything.
        """
        if topic is not None and not isinstance(topic, str):
            msg = f"topic must be a string or None, not {type(topic).__name__}"
            raise TypeError(msg)
        event = Event(data, topic)
        backend = self._binding.bound()
        if self._starts.is_due():
            # Before the event is dispatched: a cancelled call has done nothing.
            await backend.checkpoint()
        # Always, even while the engine is stopping, because a task at work may wait for this event.
        self._binding.broker.dispatch(event, topic)
        if self._stopping:
            return []
        templates = self._selector.select(topic)
        if type(templates) is not list and inspect.isawaitable(templates):
            templates = await templates
        # From here on without an await, so a cancellation cannot come between two runs.
        workflows: list[Workflow] = []
        for template in templates:
            workflow = self._try_safely(template, event)
            if workflow is not None:
                workflows.append(workflow)
        return workflows

    async def trigger(self, template_id: str, data: dict[str, Any] | Event) -> Workflow | Refusal:
        """Start a run of one loaded template, whatever the topics of the template.

        Args:
            template_id: The id of the template.
            data: A dict or an event; the run gets a copy of its own (one level deep).

        Returns:
            The run, or a falsy `Refusal` with the reason why no run was started.

        Raises:
            ValueError: `data` is neither a dict nor an Event.
            Exception: The exception of a custom selector. No workflow was started.

        Cancellation: nothing was started. The call waits only for an async selector, and in one of
        `BURST` calls before it does anything.
        """
        event = Event(data)
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        template = self._selector.get(template_id)
        if inspect.isawaitable(template):
            template = await template
        if not template:
            return Refusal(Reason.UNKNOWN_TEMPLATE, template_id)
        return self._try_run(template, event)

    async def run_once(
        self, template: WorkflowTemplate, data: dict[str, Any] | Event
    ) -> Workflow | Refusal:
        """Start a run of a template, loaded or not, whatever the overrun policy of the template.

        Args:
            template: The template.
            data: A dict or an event; the run gets a copy of its own (one level deep).

        Returns:
            The run, or a falsy `Refusal` if the engine is stopping.

        Raises:
            TemplateError: The template has faults. Nothing was started.
            ValueError: `data` is neither a dict nor an Event.

        Cancellation: nothing was started. The call waits only in one of `BURST` calls, before it
        does anything.
        """
        event = Event(data)
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        template.validate(self._registry)
        workflow = self._binding.new_workflow(template)
        run = workflow._run
        self._instances.launch(run, partial(run.start, event))
        return workflow

    async def rescue(
        self, template: WorkflowTemplate, report: Mapping[str, Any]
    ) -> Workflow | Refusal:
        """Continue a run from its report, whatever the overrun policy of its template.

        The run keeps its execution id. Tasks that were over are not run again; tasks that were at
        work are run from scratch. The time limit of the workflow is the part that was left of it.

        Args:
            template: The template of the run; it need not be loaded, and may have gained tasks.
            report: The result of `Workflow.report()`, taken at any moment; it may have gone through
                JSON.

        Returns:
            The run, or a falsy `Refusal` if the engine is stopping.

        Raises:
            TemplateError: The template has faults. Nothing was started.
            RescueError: The report cannot be continued, or the run is still in progress in this
                engine. Nothing was started.

        Cancellation: nothing was started.
        """
        self._binding.bound()
        await self._turns.give_way()
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        template.validate(self._registry)
        record = read(report, template)
        if self.get(record.uid) is not None:
            raise RescueError(record.uid, "it is still in progress in this engine")
        workflow = self._binding.new_workflow(template)
        run = workflow._run
        restoring.restore(run, record, run.plan.shape)
        self._instances.launch(run, partial(restoring.go_on, run))
        return workflow

    # Inside --------------------------------------------------------------------------------------

    def _try_safely(self, template: WorkflowTemplate, event: Event) -> Workflow | None:
        """Try to run a template that a selector chose; None if no run was started.

        An exception is logged, because a template that cannot run must not stop the others.
        """
        try:
            # All runs share the event. It is never changed: each root task gets a copy of its own.
            start = self._instances.start
            return None if self._stopping else start(template, event, self._binding.new_workflow)
        except Exception:
            # A selector of the user's own may have chosen anything.
            kind, (uid, _) = type(template).__name__, attempt(getattr, template, "uid", None)
            extra = {"tukio_template": uid}
            log.exception("cannot start a run of <%s uid=%s>", kind, uid, extra=extra)
            return None

    def _try_run(self, template: WorkflowTemplate, event: Event) -> Workflow | Refusal:
        """Start a run as the overrun policy says, without an await between decision and act."""
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        workflow = self._instances.start(template, event, self._binding.new_workflow)
        return Refusal(Reason.SKIPPED, template.uid) if workflow is None else workflow

    # As in 1.x -----------------------------------------------------------------------------------

    @property
    def selector(self) -> Any:
        """The object that holds the loaded templates."""
        return self._selector
