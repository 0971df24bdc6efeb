"""Calls of an engine from other threads, which end with the engine at the latest.

Owns:   the calls in progress.
Knows:  nothing of threads: the backend brings a call to the event loop, and its result back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from .._model.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Result = TypeVar("Result")

OVER = "the engine is over, and so is every call from another thread"


class ThreadCalls:
    """The calls of one engine that are in progress, each in a task of its own."""

    __slots__ = ("_closed", "_none_left", "_scopes")

    def __init__(self) -> None:
        # Set by `close`, and never set back. No call begins from then on.
        self._closed: bool = False
        # The scope of each call in progress.
        self._scopes: set[anyio.CancelScope] = set()
        # Set when no call is left; always None while `close` does not wait for that.
        self._none_left: anyio.Event | None = None

    async def make(self, function: Callable[[], Awaitable[Result]]) -> Result:
        """Await a function, as a call from another thread.

        Raises:
            EngineError: The engine is over, or came to its end meanwhile.
            Exception: The exception of the function.
        """
        if self._closed:
            raise EngineError(OVER)
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                return await function()
        finally:
            self._scopes.discard(scope)
            if self._none_left is not None and not self._scopes:
                self._none_left.set()
        raise EngineError(OVER)

    def cancel(self) -> None:
        """Cancel the calls in progress; whoever waits for their threads waits for them."""
        for scope in self._scopes:
            scope.cancel()

    async def close(self, limit: float) -> None:
        """Cancel the calls in progress, and wait for their ends.

        Args:
            limit: Seconds after which a call that goes on all the same is left alone.
        """
        self._closed = True
        if not self._scopes:
            # Without calls no timer is set: the loop would keep it, and what its context leads to.
            return
        self.cancel()
        with anyio.move_on_after(limit):
            while self._scopes:
                self._none_left = anyio.Event()
                await self._none_left.wait()
