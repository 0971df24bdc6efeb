"""The engine: receives data, and starts, keeps and stops runs.

Owns:   what each trigger leads to.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from .._loop.turns import Turns
from .._model.appointments import appointment_from
from .._model.errors import RescueError
from .._model.not_started import Reason, id_from
from .._model.policy import OverrunPolicy
from .._model.record import read
from .._run import restoring
from .._run.appointment import appoint
from .._run.environment import CLEANUP_TIMEOUT
from .hops import MOST_HOPS, received
from .refusal import Refusal
from .silence import templates_of
from .started import Started
from .starting import Starting
from .wish import Wish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .._loop.services import AsyncioLoop
    from .._model.documents import TemplateLike
    from .._model.event import Event
    from .._model.registry import Registry
    from .._run.workflow import Workflow


class Engine(Starting):
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
        deadline: datetime | None = None,
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
            deadline: When the run ends at the latest, as if it had reached its time limit: an aware
                datetime. If it is past, nothing of the run begins. Of a run that is known, that of
                the first start counts.

        Raises:
            NotStarted: No run was started: no such template is loaded, the overrun policy says so,
                or the engine is stopping.
            IdConflict: A run with this id has another template or other data. Nothing was started.
            TemplateError: The template has faults. Nothing was started.
            ValueError: `data` is neither a dict nor an Event, `policy` is none of the policies,
                `id` is empty or too long, or `deadline` is without a time zone. Nothing was
                started.
            TypeError: `id` is no string, or `deadline` no datetime. Nothing was started.
            EngineError: The engine runs in another event loop or thread, or no loop is running.
                Nothing was started.
            Exception: The exception of a custom selector. No workflow was started.

        Cancellation: nothing was started. The call waits only for an async selector, and in one of
        `BURST` calls before it does anything.
        """
        event = received(data)
        chosen = None if policy is None else OverrunPolicy.get(policy)
        uid = None if id is None else id_from(id)
        until = None if deadline is None else appointment_from(deadline)
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        template = await self._loaded(what) if isinstance(what, str) else self._as_template(what)
        if template is None:
            raise self._refuse(Reason.UNKNOWN_TEMPLATE, what).as_error()
        known = None if uid is None else self._known(uid, template, event)
        workflow = known or self._try_run(template, event, Wish(uid, chosen, until))
        if isinstance(workflow, Refusal):
            raise workflow.as_error()
        return workflow

    async def trigger(
        self,
        template_id: str,
        data: dict[str, Any] | Event,
        *,
        deadline: datetime | None = None,
    ) -> Workflow | Refusal:
        """Start a run of one loaded template, whatever the topics of the template.

        Args:
            template_id: The id of the template.
            data: A dict or an event; the run gets a copy of its own (one level deep).
            deadline: When the run ends at the latest, as for `start`.

        Returns:
            The run, or a falsy `Refusal` with the reason why no run was started.

        Raises:
            ValueError: `data` is neither a dict nor an Event, or `deadline` is without a time zone.
                Nothing was started.
            TypeError: `deadline` is no datetime. Nothing was started.
            Exception: The exception of a custom selector. No workflow was started.

        Cancellation: nothing was started. The call waits only for an async selector, and in one of
        `BURST` calls before it does anything.
        """
        event = received(data)
        wish = None if deadline is None else Wish(deadline=appointment_from(deadline))
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        template = await self._loaded(template_id)
        if template is None:
            return self._refuse(Reason.UNKNOWN_TEMPLATE, template_id)
        return self._try_run(template, event, wish)

    async def run_once(
        self,
        template: TemplateLike,
        data: dict[str, Any] | Event,
        *,
        deadline: datetime | None = None,
    ) -> Workflow | Refusal:
        """Start a run of a template, loaded or not, whatever the overrun policy of the template.

        Args:
            template: The template, or its dict form.
            data: A dict or an event; the run gets a copy of its own (one level deep).
            deadline: When the run ends at the latest, as for `start`.

        Returns:
            The run, or a falsy `Refusal` if the engine is stopping.

        Raises:
            TemplateError: The template has faults. Nothing was started.
            ValueError: `data` is neither a dict nor an Event, or `deadline` is without a time zone.
                Nothing was started.
            TypeError: `deadline` is no datetime. Nothing was started.

        Cancellation: nothing was started. The call waits only in one of `BURST` calls, before it
        does anything.
        """
        event = received(data)
        until = None if deadline is None else appointment_from(deadline)
        backend = self._binding.bound()
        if self._starts.is_due():
            await backend.checkpoint()
        template = self._as_template(template)
        if self._stopping:
            return self._refuse(Reason.STOPPING, template.uid)
        if event.hops > MOST_HOPS:
            return self._refuse_hops(template)
        workflow = self._binding.new_workflow(template)
        run = workflow._run
        if until is not None:
            appoint(run, until)
        self._instances.launch(run, partial(run.start, event))
        return workflow

    async def rescue(self, template: TemplateLike, report: Mapping[str, Any]) -> Workflow | Refusal:
        """Continue a run from its report, whatever the overrun policy of its template.

        The run keeps its execution id. Tasks that were over are not run again; tasks that were at
        work are run from scratch. The time limit of the workflow is the part that was left of it; a
        deadline of the start stays the instant that it was.

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
