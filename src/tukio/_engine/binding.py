"""Where an engine runs: its backend and its broker, opened and closed in order.

Owns:   the backend, the broker and the environment of one engine, and whether it is structured or
        loose.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from .._events.broker import Broker
from .._events.loop_broker import loop_broker
from .._loop.running import running_backend
from .._model.errors import EngineError
from .._run.assembly import assemble
from .._run.topics import engine_broker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Token

    from .._loop.contract import Backend
    from .._model.registry import Registry
    from .._model.template import WorkflowTemplate
    from .._run.environment import Environment
    from .._run.workflow import Workflow


class Binding:
    """The event loop and broker of an engine; unbound until it is entered or first used.

    Args:
        loop: An asyncio event loop, for the loose mode at once; None waits for the first use.
        registry: Where the names of tasks are looked up; None is the one of the process.
        cleanup_timeout: Seconds that a `teardown()` may take.
    """

    def __init__(self, loop: Any, registry: Registry | None, cleanup_timeout: float) -> None:
        self._registry: Registry | None = registry
        self._cleanup_timeout: float = cleanup_timeout
        self._backend: Backend | None = None
        self._broker: Broker | None = None
        self._outer: Token[Broker] | None = None
        # What runs share, and their class; None exactly while there is no backend.
        self._environment: Environment | None = None
        self._workflow_class: Any = None
        if loop is not None:
            self._bind_loosely(loop)

    @property
    def broker(self) -> Broker:
        """The engine's broker."""
        if self._broker is None:
            self._broker = Broker(start_service=self._start_service)
        return self._broker

    @property
    def backend(self) -> Backend:
        """The backend.

        Raises:
            EngineError: The engine has not been used anywhere yet.
        """
        if self._backend is None:
            msg = "the engine runs nowhere yet - enter it, or give it loop=..., first"
            raise EngineError(msg)
        return self._backend

    def bound(self) -> Backend:
        """Return the backend, if it is that of the code that runs here.

        An engine that was not entered is bound to the running asyncio loop, loosely.

        Raises:
            EngineError: The engine runs elsewhere, or nothing runs here.
        """
        backend = self._backend
        if backend is None:
            backend = self._bind_loosely(None)
        backend.check_here()
        return backend

    def check(self) -> None:
        """Make sure that the engine does not run elsewhere.

        Raises:
            EngineError: It does.
        """
        if self._backend is not None:
            self._backend.check_here()

    def new_workflow(self, template: WorkflowTemplate) -> Workflow:
        """Return a run, not started yet; its engine is bound.

        Raises:
            WorkflowRootTaskError: The template does not have exactly one root task.
        """
        workflow: Workflow = self._workflow_class(template, self._environment)
        return workflow

    async def open(self, stop_all: Callable[[], object], drained: Callable[[], Any]) -> None:
        """Open the tree that runs live in; see `Tree.open`.

        Raises:
            EngineError: The engine is in use already.
        """
        if self._backend is not None:
            msg = "the engine is in use already - make a new one for each 'async with'"
            raise EngineError(msg)
        self._bind(None, structured=True)
        self._outer = engine_broker.set(self.broker)
        await self.backend.open(stop_all, drained)

    async def close(
        self, exc: BaseException | None, drained: Callable[[], Awaitable[None]], limit: float
    ) -> None:
        """Close the tree, when all runs are over.

        Args:
            exc: Why, if it is an exception.
            drained: Returns when no run is left; they have been cancelled, or are over.
            limit: Seconds that async handlers of the broker have for what they still got.
        """
        with anyio.CancelScope(shield=True):
            await drained()
            # After the runs, whose last events its handlers are still to get.
            await self.broker.close(limit)
        if self._outer is not None:
            # It may be left in another context than it was entered in.
            with suppress(ValueError):
                engine_broker.reset(self._outer)
        await self.backend.close(exc)

    def _bind_loosely(self, loop: Any) -> Backend:
        return self._bind(loop, structured=False)

    def _bind(self, loop: Any, *, structured: bool) -> Backend:
        name = "asyncio" if loop is not None else _running_name()
        # By name: a backend that is not in use need not even be installed.
        package = f"tukio._backends.{name}"
        module = importlib.import_module(f"{package}.backend")
        self._workflow_class = importlib.import_module(f"{package}.workflow").WORKFLOW
        backend: Backend = module.new_backend(loop=loop, structured=structured)
        if not structured:
            self._share_broker(loop)
        self._environment = assemble(
            backend, self.broker, registry=self._registry, cleanup_timeout=self._cleanup_timeout
        )
        self._backend = backend
        return backend

    def _share_broker(self, loop: Any) -> None:
        """Take the broker that all loose engines on a loop share, as in 1.x."""
        shared = loop_broker(loop)
        if self._broker is not None:
            # Looked at before it was known that the engine is loose.
            shared.take_over(self._broker)
        self._broker = shared

    def _start_service(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        self.bound().start_service(service, name)


def _running_name() -> str:
    """Return the name of the backend in use.

    Raises:
        EngineError: None is running.
    """
    name = running_backend()
    if name is None:
        msg = "no event loop is running - use the engine from async code, or give it loop=..."
        raise EngineError(msg)
    return name
