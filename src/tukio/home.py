"""Where an engine runs: its backend and its broker, opened and closed in order.

Owns:   the port and the broker of one engine, and whether it is structured or loose.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from .broker import Broker, engine_broker
from .errors import EngineError
from .ports import loop_broker, port_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Token

    from .ports import Port


class Home:
    """The place of an engine; nowhere, until the engine is entered or used.

    Args:
        loop: An asyncio event loop, for the loose mode at once; None waits for the first use.
    """

    def __init__(self, loop: Any = None) -> None:
        self._port: Port | None = None
        self._broker: Broker | None = None
        self._outer: Token[Broker] | None = None
        if loop is not None:
            self._settle_loosely(loop)

    @property
    def broker(self) -> Broker:
        """The engine's broker."""
        if self._broker is None:
            self._broker = Broker(serve=self._serve)
        return self._broker

    @property
    def port(self) -> Port:
        """The port.

        Raises:
            EngineError: The engine has not been used anywhere yet.
        """
        if self._port is None:
            msg = "the engine runs nowhere yet - enter it, or give it loop=..., first"
            raise EngineError(msg)
        return self._port

    def here(self) -> Port:
        """Return the port, if it is that of the code that runs here.

        An engine that was not entered settles on the running asyncio loop, loosely.

        Raises:
            EngineError: The engine runs elsewhere, or nothing runs here.
        """
        port = self._port
        if port is None:
            port = self._settle_loosely(None)
        port.check_here()
        return port

    def check(self) -> None:
        """Make sure that the engine does not run elsewhere.

        Raises:
            EngineError: It does.
        """
        if self._port is not None:
            self._port.check_here()

    async def open(self, stop_all: Callable[[], object], drained: Callable[[], Any]) -> None:
        """Open the tree that runs live in; see `Port.open`.

        Raises:
            EngineError: The engine is in use already.
        """
        if self._port is not None:
            msg = "the engine is in use already - make a new one for each 'async with'"
            raise EngineError(msg)
        self._port = port_for(structured=True)
        self._outer = engine_broker.set(self.broker)
        await self._port.open(stop_all, drained)

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
        await self.port.close(exc)

    def _settle_loosely(self, loop: Any) -> Port:
        self._port = port = port_for(loop=loop, structured=False)
        # As in 1.x, all engines on a loop share a broker.
        shared = loop_broker(loop)
        if self._broker is not None:
            # Looked at before it was known that the engine is loose.
            shared.take_over(self._broker)
        self._broker = shared
        return port

    def _serve(self, service: Callable[[], Awaitable[None]], name: str) -> None:
        self.here().serve(service, name)
