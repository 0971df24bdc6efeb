"""The engine: receives data, and starts, keeps and stops runs.

Owns:   what each trigger leads to.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from .._loop.turns import Turns
from .._model.errors import RescueError
from .._model.guard import attempt
from .._model.logs import Log
from .._model.not_started import IdConflict, Reason, id_from
from .._model.policy import OverrunPolicy
from .._model.record import read
from .._run import restoring
from .._run.environment import CLEANUP_TIMEOUT
from .hops import MOST_HOPS, received
from .refusal import Refusal
from .silence import Silence, templates_of
from .started import Started
from .templates import Templates
from .wish import Wish, is_start_of, policy_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._loop.services import AsyncioLoop
    from .._model.documents import TemplateLike
    from .._model.event import Event
    from .._model.registry import Registry
    from .._model.template import WorkflowTemplate
    from .._run.workflow import Workflow

log: Log = Log("tukio.engine")


class Engine(Templates):
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
        TypeError: `registry` is no registry.
    """

    def __init__(
        self,
        *,
        selector: Any = None,
        loop: AsyncioLoop | None = None,
        registry: Registry | None = None,
        cleanup_timeout: float = CLEANUP_TIMEOUT,
    ) -> None:
        super().__init__(selector, loop, registry, cleanup_timeout)
        self._silence: Silence = Silence()
        # For the methods that start runs by data. Nothing else makes the sender of a burst wait:
        # without a turn in between, the loop would be blocked until all is sent, and has begun.
        self._starts: Turns = Turns(anyio.lowlevel)

    # Runs ----------------------------------------------------------------------------------------

    async def data_received(
        self, data: dict[str, Any] | Event, topic: str | None = None
    ) -> Started[Workflow]:
        """Dispatch data to the handlers of a topic, and start the workflows that the data triggers.

        The log tells of data that starts nothing, and why: at the first time, and then at powers of
        ten.

        Args:
            data: A dict or an event. Each run gets a copy of its own (one level deep).
            topic: The topic of the data; None triggers only templates that listen to everything.

        Returns:
            The runs that were started; none while the engine is stopping. The list has an attribute
            `refused`: a `Refusal` for each template that would have started a run.

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
        event = received(data, topic)
        backend = self._binding.bound()
        if self._starts.is_due():
            # Before the event is dispatched: a cancelled call has done nothing.
            await backend.checkpoint()
        self._received += 1
        # Always, even while the engine is stopping, because a task at work may wait for this event.
        self._binding.broker.send(event, () if topic is None else (topic,))
        if self._stopping:
            none: Started[Workflow] = Started()
            none.refused = [
                self._refuse(Reason.STOPPING, template.uid)
                for template in templates_of(self._selector, topic)
            ]
            return none
        templates = self._selector.select(topic)
        if type(templates) is not list and inspect.isawaitable(templates):
            templates = await templates
        # From here on without an await, so a cancellation cannot come between two runs.
        started: Started[Workflow] = Started()
        started.refused = []
        for template in templates:
            workflow = self._try_safely(template, event)
            if isinstance(workflow, Refusal):
                started.refused.append(workflow)
            else:
                started.append(workflow)
        if not templates and not {None, topic} & self._binding.broker._topics.keys():
            self._silence.nobody_listens(topic, self._selector)
        return started

    async def start(
        self,
        what: TemplateLike | str,
        data: dict[str, Any] | Event,
        *,
        id: str | None = None,  # noqa: A002 - the word that users have for it
        policy: OverrunPolicy | str | None = None,
    ) -> Workflow:
        """Start a run, and return it; the run begins in the next turn of the event loop.

        A start with the id, the template and the data of a run that is not over returns that run:
        so a message that comes twice starts one run. The engine forgets the id of a run that is
        over. The data is compared with what it was at the first start, whatever tasks have done to
        it; values that are not equal to themselves, such as NaN, are other data. A dict form
        without ids is another template each time, for it gets new ones.

        Args:
            what: A template, its dict form, or the id of a loaded template.
            data: A dict or an event; the run gets a copy of its own (one level deep).
            id: The id of the run, its `uid`: up to 200 characters. None makes a new one.
            policy: The overrun policy, in place of that of the template.

        Raises:
            NotStarted: No run was started: no such template is loaded, the overrun policy says so,
                or the engine is stopping.
            IdConflict: A run with this id has another template or other data. Nothing was started.
            TemplateError: The template has faults. Nothing was started.
            ValueError: `data` is neither a dict nor an Event, `policy` is none of the policies, or
                `id` is empty or too long. Nothing was started.
            TypeError: `id` is no string. Nothing was started.
            EngineError: The engine runs in another event loop or thread, or no loop is running.
                Nothing was started.
            Exception: The exception of a custom selector. No workflow was started.

        Cancellation: nothing was started. The call waits only for an async selector, and in one of
        `BURST` calls before it does anything.
        """
        event = received(data)
        chosen = None if policy is None else OverrunPolicy.get(policy)
        uid = None if id is None else id_from(id)
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        template = await self._loaded(what) if isinstance(what, str) else self._as_template(what)
        if template is None:
            raise self._refuse(Reason.UNKNOWN_TEMPLATE, what).as_error()
        known = None if uid is None else self._known(uid, template, event)
        workflow = known or self._try_run(template, event, Wish(uid, chosen))
        if isinstance(workflow, Refusal):
            raise workflow.as_error()
        return workflow

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
        event = received(data)
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        template = await self._loaded(template_id)
        if template is None:
            return self._refuse(Reason.UNKNOWN_TEMPLATE, template_id)
        return self._try_run(template, event)

    async def run_once(
        self, template: TemplateLike, data: dict[str, Any] | Event
    ) -> Workflow | Refusal:
        """Start a run of a template, loaded or not, whatever the overrun policy of the template.

        Args:
            template: The template, or its dict form.
            data: A dict or an event; the run gets a copy of its own (one level deep).

        Returns:
            The run, or a falsy `Refusal` if the engine is stopping.

        Raises:
            TemplateError: The template has faults. Nothing was started.
            ValueError: `data` is neither a dict nor an Event.

        Cancellation: nothing was started. The call waits only in one of `BURST` calls, before it
        does anything.
        """
        event = received(data)
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        template = self._as_template(template)
        if self._stopping:
            return self._refuse(Reason.STOPPING, template.uid)
        if event.hops > MOST_HOPS:
            self._silence.too_many_hops(template)
            return self._refuse(Reason.TOO_MANY_HOPS, template.uid)
        workflow = self._binding.new_workflow(template)
        run = workflow._run
        self._instances.launch(run, partial(run.start, event))
        return workflow

    async def rescue(self, template: TemplateLike, report: Mapping[str, Any]) -> Workflow | Refusal:
        """Continue a run from its report, whatever the overrun policy of its template.

        The run keeps its execution id. Tasks that were over are not run again; tasks that were at
        work are run from scratch. The time limit of the workflow is the part that was left of it.

        Args:
            template: The template of the run, or its dict form. It need not be loaded, and may have
                gained tasks.
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
        template = self._as_template(template)
        if self._stopping:
            return self._refuse(Reason.STOPPING, template.uid)
        record = read(report, template)
        workflow = self._binding.new_workflow(template)
        run = workflow._run
        if self.get(record.uid) is None:
            restoring.restore(run, record, run.plan.shape)
            # Before anything starts: what cannot be continued is refused.
            await self._children.restore(run)
        if self.get(record.uid) is not None:
            raise RescueError(record.uid, "it is still in progress in this engine")
        if self._stopping:
            # Meanwhile: a selector of the user's own may be async.
            return self._refuse(Reason.STOPPING, template.uid)
        self._instances.launch(run, partial(restoring.go_on, run))
        return workflow

    # Inside --------------------------------------------------------------------------------------

    def _try_safely(self, template: WorkflowTemplate, event: Event) -> Workflow | Refusal:
        """Try to run a template that a selector chose.

        An exception is logged, because a template that cannot run must not stop the others.
        """
        try:
            # All runs share the event. It is never changed: each root task gets a copy of its own.
            return self._try_run(template, event)
        except Exception:
            # A selector of the user's own may have chosen anything.
            kind, (uid, _) = type(template).__name__, attempt(getattr, template, "uid", None)
            extra = {"tukio_template": uid}
            log.exception("cannot start a run of <%s uid=%s>", kind, uid, extra=extra)
            return self._refuse(Reason.FAULTY, uid)

    def _try_run(
        self, template: WorkflowTemplate, event: Event, wish: Wish | None = None
    ) -> Workflow | Refusal:
        """Start a run as the overrun policy says, without an await between decision and act."""
        if self._stopping:
            return self._refuse(Reason.STOPPING, template.uid)
        if event.hops > MOST_HOPS:
            self._silence.too_many_hops(template)
            return self._refuse(Reason.TOO_MANY_HOPS, template.uid)
        workflow = self._instances.start(template, event, self._binding.new_workflow, wish)
        if workflow is None:
            self._silence.skipped(template, policy_for(template, wish))
            return self._refuse(Reason.SKIPPED, template.uid)
        return workflow

    def _known(self, uid: str, template: WorkflowTemplate, event: Event) -> Workflow | None:
        """Return the run with an id that a caller gives another run; None if there is none.

        Raises:
            IdConflict: That run has another template or other data.
        """
        run = self._instances.get(uid)
        if run is None:
            return None
        if not is_start_of(run, template, event):
            raise IdConflict(uid, run.template.uid)
        return self.get(uid)
