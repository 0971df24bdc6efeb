"""The engine: holds templates, receives data, and starts, keeps and stops runs.

Owns:   the loaded templates, and what each trigger leads to.
"""

from __future__ import annotations

import inspect
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from .._model.errors import RescueError
from .._model.event import Event
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

log: logging.Logger = logging.getLogger("tukio.engine")

BURST = 32
"""How many calls in a row may start runs before one of them lets others have a turn."""


class Engine(Lifecycle):
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
        registry: Where the names of tasks are looked up, and nowhere else; None is the registry of
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
        self._selector: Any = Selector() if selector is None else selector
        self._registry: Registry | None = registry
        self._calls: int = 0

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
        template.validate(self._registry)
        self._selector.load(template)

    async def reload(self, templates: Iterable[WorkflowTemplate]) -> None:
        """Replace all loaded templates by others; runs in progress go on.

        Raises:
            TemplateError: One of them has faults. Nothing changes.
        """
        templates = list(templates)
        for template in templates:
            template.validate(self._registry)
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
        faces: list[Any] = [run.face for run in self._instances.all()]
        return [face for face in faces if face is not None]

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
        backend = self._binding.bound()
        if self._turn_is_due():
            await backend.checkpoint()
        self._binding.broker.dispatch(event, topic)
        if self._stopping:
            return []
        templates = self._selector.select(topic)
        if type(templates) is not list and inspect.isawaitable(templates):
            templates = await templates
        workflows: list[Workflow] = []
        for template in templates:
            workflow = self._try_safely(template, event)
            if workflow is not None:
                workflows.append(workflow)
        return workflows

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
        backend = self._binding.bound()
        if self._turn_is_due():
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
        backend = self._binding.bound()
        if self._turn_is_due():
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
        self._binding.bound()
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        template.validate(self._registry)
        record = read(report, template)
        if self.get(record.uid) is not None:
            raise RescueError(record.uid, "it is still in progress in this engine")
        workflow = self._binding.new_workflow(template)
        run = workflow._run
        restoring.restore(run, record)
        self._instances.launch(run, partial(restoring.go_on, run))
        return workflow

    # Inside --------------------------------------------------------------------------------------

    def _turn_is_due(self) -> bool:
        """Return whether others are to have a turn now.

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
            return None if self._stopping else start(template, event, self._binding.new_workflow)
        except Exception:
            # A selector of the user's own may have chosen anything.
            extra = {"tukio_template": getattr(template, "uid", None)}
            log.exception("cannot start a run of %s", template, extra=extra)
            return None

    def _try_run(self, template: WorkflowTemplate, event: Event) -> Workflow | Refusal:
        """Decide and act, without awaiting in between."""
        if self._stopping:
            return Refusal(Reason.STOPPING, template.uid)
        workflow = self._instances.start(template, event, self._binding.new_workflow)
        return Refusal(Reason.SKIPPED, template.uid) if workflow is None else workflow
