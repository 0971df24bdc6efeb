"""A cancel scope that is changed while its event loop is not running.

As in `loop.run_until_complete(engine.stop(force=True))`: `stop` is called before the loop runs, but
anyio's scopes can only be changed while the loop runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._loop.contract import Scope


class DeferredScope:
    """Defers changes of a scope until its event loop runs.

    Reading always shows the scope as it is now, without the changes that are deferred.

    Args:
        scope: The scope itself.
        call_soon: The method of the scope's loop.
    """

    __slots__ = ("_call_soon", "_scope")

    def __init__(self, scope: Scope, call_soon: Callable[..., object]) -> None:
        self._scope: Scope = scope
        self._call_soon: Callable[..., object] = call_soon

    @property
    def cancel_called(self) -> bool:
        """Whether the scope was cancelled, or its deadline has passed."""
        return self._scope.cancel_called

    @property
    def cancelled_caught(self) -> bool:
        """Whether the block was left by this scope's cancellation."""
        return self._scope.cancelled_caught

    @property
    def deadline(self) -> float:
        """The instant at which the scope is cancelled, on the clock of the loop; inf is never."""
        return self._scope.deadline

    @deadline.setter
    def deadline(self, deadline: float) -> None:
        self._call_soon(setattr, self._scope, "deadline", deadline)

    def cancel(self) -> None:
        """Cancel the code within the scope."""
        self._call_soon(self._scope.cancel)
