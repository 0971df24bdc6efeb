"""The binding of an engine to an event loop: its backend and broker, opened and closed in order.

Owns:   the backend, the broker and the environment of one engine, and whether the engine is
        structured or loose.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from .._events.broker import Broker
from .._events.loop_broker import loop_broker
from .._loop.running import running_backend
from .._loop.surroundings import serving, surroundings
from .._loop.thread_calls import ThreadCalls
from .._loop.unbroken import Interruptions
from .._model.errors import EngineError
from .._model.registry import registry_for
from .._run import holding
from .._run.assembly import assemble
from .._run.topics import engine_broker
from .._step.surroundings import running_step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import ContextVar, Token

    from .._loop.contract import Backend
    from .._model.registry import Registry
    from .._model.template import WorkflowTemplate
    from .._run.environment import ChildOf, Children, Environment
    from .._run.workflow import Workflow


class Binding:
    """The event loop and broker of an engine; unbound until it is entered or first used.

    Args:
        loop: An asyncio event loop, to bind the engine to at once, loosely; None waits for the
            first use.
        registry: The registry of task names; None is the one of the process.
        cleanup_timeout: Seconds that a `teardown()` may take.
        engine: A weak reference to the engine.
        children: Makes and starts the children of runs.

    Raises:
        TypeError: `registry` is no registry.
    """

    def __init__(
        self,
        loop: Any,
        registry: Registry | None,
        cleanup_timeout: float,
        engine: Callable[[], Any],
        children: Children,
    ) -> None:
        self._children: Children = children
        self.serves: Callable[[], Any] | None = engine
        self._registry: Registry = registry_for(registry)
        self._cleanup_timeout: float = cleanup_timeout
        # Made here, because other threads may call before the engine is entered: they are refused.
        self._calls: ThreadCalls = ThreadCalls()
        # None exactly while the engine is unbound; set once, by `_bind`, and never changed then.
        self._backend: Backend | None = None
        # Made on first use, possibly while the engine is unbound. Then a loose binding replaces it
        # once by the broker of the loop; it never changes after that.
        self._broker: Broker | None = None
        # Whether it is, or was, entered; set by `_bind`.
        self._is_structured: bool = False
        # Restore the context variables `engine_broker` and `serving`; none unless the engine was
        # entered.
        self._outer: list[tuple[ContextVar[Any], Token[Any]]] = []
        # What all runs of the engine share, and their class; None exactly while the engine is
        # unbound.
        self._environment: Environment | None = None
        self._workflow_class: Any = None
        if loop is not None:
            self._bind_loosely(loop)

    @property
    def broker(self) -> Broker:
        """The engine's broker, made on first use."""
        if self._broker is None:
            self._broker = Broker(owner=self)
        return self._broker

    @property
    def backend(self) -> Backend:
        """The engine's backend.

        Raises:
            EngineError: The engine is unbound.
        """
        if self._backend is None:
            msg = "the engine runs nowhere yet - enter it, or give it loop=..., first"
            raise EngineError(msg)
        return self._backend

    def bound(self) -> Backend:
        """Return the backend, and make sure that the caller runs there.

        An unbound engine is bound to the running asyncio loop first, loosely.

        Raises:
            EngineError: The engine is bound to another loop or thread, or no event loop runs the
                caller.
        """
        backend = self._backend
        if backend is None:
            backend = self._bind_loosely(None)
        backend.check_here()
        return backend

    def check(self) -> None:
        """Make sure that the engine is unbound, or that the caller runs where the engine does.

        Raises:
            EngineError: The engine is bound to another loop or thread.
        """
        if self._backend is not None:
            self._backend.check_here()

    def call_from_thread(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Run an async function where the engine runs, from another thread; return its result.

        Raises:
            EngineError: Called in an event loop, or the engine is unbound, or its loop does not
                run, or the engine is over before the function is.
            Exception: The exception of the function.
        """
        return self.backend.call_from_thread(partial(self._calls.make, function))

    def new_workflow(self, template: WorkflowTemplate) -> Workflow:
        """Return a new run, not started; the engine must be bound.

        Raises:
            WorkflowRootTaskError: The template does not have exactly one root task.
        """
        workflow: Workflow = self._workflow_class(template, self._environment)
        return workflow

    def new_child(self, template: WorkflowTemplate, child_of: ChildOf) -> Workflow:
        """Return a new run, not started, that is the child of a step.

        Raises:
            WorkflowRootTaskError: The template does not have exactly one root task.
        """
        assert self._environment is not None
        environment = self._environment.of_child(child_of)
        workflow: Workflow = self._workflow_class(template, environment)
        return workflow

    async def open(self, stop_all: Callable[[], object], drained: Callable[[], Any]) -> None:
        """Open the tree that runs live in; see `Tree.open`.

        Raises:
            EngineError: The engine is bound already.

        Cancellation: the tree is not open, and nothing is left of it.
        """
        if self._backend is not None:
            msg = f"the engine {self._how_used()} - make a new one for each 'async with'"
            raise EngineError(msg)
        backend = self._bind(None, structured=True)
        # Before the first await, so that this context, and no other, has the engine's broker.
        around = surroundings.get(None)
        self._outer = [
            (engine_broker, engine_broker.set((self.broker, running_step()))),
            (serving, serving.set((self.serves, around))),
        ]
        opened = False
        try:
            holding.watch(backend)
            await backend.open(stop_all, drained)
            opened = True
        finally:
            # Python does not leave a block that could not be entered.
            if not opened:
                holding.leave(backend)
                self._put_back_broker()

    def _how_used(self) -> str:
        """Return what has become of an engine that is bound."""
        if self._outer:
            return "is in use already"
        if self._is_structured:
            return "was entered before, and is over"
        return "was used without a block before, as in 1.x"

    async def close(
        self, exc: BaseException | None, drained: Callable[[], Awaitable[None]], limit: float
    ) -> None:
        """Close the broker and the tree, in this order, when all runs are over.

        Args:
            exc: The exception that the engine's block is left by, or None.
            drained: Returns when no run is left. All runs must be over, or have been cancelled.
            limit: Seconds that async handlers have for the events they still got.

        Raises:
            EngineError: The calling task is not the one that entered the block. All is over.

        Cancellation: raised when all is over, as is KeyboardInterrupt: the block must never be left
        while a run or a handler is at work.
        """
        interruptions = Interruptions(exc)
        # Before the runs, whose steps may wait for the threads of these calls.
        self._calls.cancel()
        try:
            await interruptions.outlast(drained)
            # After the runs, because handlers are still to get their last events.
            await interruptions.outlast(partial(self.broker.close, limit))
        finally:
            try:
                # Always, because a thread that waits for its call would do so for ever.
                await interruptions.outlast(partial(self._calls.close, limit))  # noqa: ASYNC102
                self._put_back_broker()
            finally:
                try:
                    # Last, because runs, handlers and alarms live in the tree.
                    await self.backend.close(exc)  # noqa: ASYNC102 - it shields itself
                finally:
                    try:
                        holding.leave(self.backend)
                    finally:
                        interruptions.deliver()

    def rest(self) -> None:
        """Called when the engine is done: a loose one has no block that would be left."""
        if self._backend is not None and not self._is_structured:
            holding.leave(self._backend)

    def _put_back_broker(self) -> None:
        """Restore the context variables that `open` has set; only the first call does something."""
        outer, self._outer = self._outer, []
        for variable, token in outer:
            # Fails if the block is left in another context than it was entered in.
            with suppress(ValueError):
                variable.reset(token)

    def _bind_loosely(self, loop: Any) -> Backend:
        """Bind the engine to an asyncio loop, as in 1.x: all engines on a loop share its broker.

        Args:
            loop: The loop; None is the running one.

        Raises:
            EngineError: No event loop is running, or it is that of trio.
        """
        backend = self._bind(loop, structured=False)
        holding.watch(backend)
        return backend

    def _bind(self, loop: Any, *, structured: bool) -> Backend:
        """Make the backend and the environment of the engine, and return the backend."""
        name = "asyncio" if loop is not None else _running_name()
        # Imported by name, because a backend that is not in use need not even be installed.
        package = f"tukio._backends.{name}"
        module = importlib.import_module(f"{package}.backend")
        self._workflow_class = importlib.import_module(f"{package}.workflow").WORKFLOW
        backend: Backend = module.new_backend(loop=loop, structured=structured)
        if not structured:
            self._share_broker(loop)
        self._environment = assemble(
            backend,
            self.broker,
            registry=self._registry,
            cleanup_timeout=self._cleanup_timeout,
            engine=self.serves,
            children=self._children,
        )
        self._is_structured = structured
        # Last, because the engine counts as bound from here on.
        self._backend = backend
        return backend

    def _share_broker(self, loop: Any) -> None:
        """Take the broker that all loose engines on a loop share, as in 1.x."""
        shared = loop_broker(loop)
        if self._broker is not None:
            # Used before the engine was bound: handlers registered there must not be lost.
            shared.take_over(self._broker)
        shared.is_in_use = True
        self._broker = shared

    def scope(self, deadline: float, *, shield: bool) -> Any:
        """Return a cancel scope to enter, for the broker."""
        return self.backend.scope(deadline, shield=shield)

    @property
    def left_open(self) -> Callable[[Any], object]:
        """A function that tells, truly or falsely, whether scopes are open within a scope."""
        return self.backend.left_open

    async def abandon(self, scope: Any) -> list[BaseException]:
        """End what the caller has left in task groups within a scope; return what that raised."""
        return await self.backend.abandon(scope)

    def start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        """Run an async function in the background, for the broker; binds the engine."""
        self.bound().start_service(service, name)


def _running_name() -> str:
    """Return the name of the backend that runs the caller.

    Raises:
        EngineError: No backend is running.
    """
    name = running_backend()
    if name is None:
        msg = "no event loop is running - use the engine from async code, or give it loop=..."
        raise EngineError(msg)
    return name
