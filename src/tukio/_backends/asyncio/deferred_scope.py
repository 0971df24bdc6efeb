"""A cancel scope whose event loop stands still.

As in `loop.run_until_complete(engine.stop(force=True))`: `stop` is called before the loop runs, and
anyio's scopes can only be changed while it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._loop.contract import Scope


class DeferredScope:
    """Defers changes of a scope until its event loop runs.

    Args:
        scope: The scope itself.
        call_soon: Queues a function on its loop.
    """

    __slots__ = ("_call_soon", "_scope")

    def __init__(self, scope: Scope, call_soon: Callable[..., object]) -> None:
        self._scope: Scope = scope
        self._call_soon: Callable[..., object] = call_soon

    @property
    def cancel_called(self) -> bool:
        """Whether it was cancelled, or its deadline has passed."""
        return self._scope.cancel_called

    @property
    def cancelled_caught(self) -> bool:
        """Whether the block was left by its cancellation."""
        return self._scope.cancelled_caught

    @property
    def deadline(self) -> float:
        """The instant at which it cancels itself, on the clock of the loop; inf for never."""
        return self._scope.deadline

    @deadline.setter
    def deadline(self, deadline: float) -> None:
        self._call_soon(setattr, self._scope, "deadline", deadline)

    def cancel(self) -> None:
        """Cancel what is in it."""
        self._call_soon(self._scope.cancel)
