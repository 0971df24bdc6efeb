"""The task factory: makes the coroutines of registered tasks `TukioTask`s, as in 1.x.

Owns:   the order of this factory and other factories of a loop.
Knows:  asyncio. The engine works without the factory, which is there only for user code like
        `loop.create_task(registered_coroutine())`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from ..._model.registry import REGISTRY
from .task import TukioTask

if TYPE_CHECKING:
    from collections.abc import Coroutine


def tukio_factory(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any
) -> asyncio.Future[Any]:
    """Return a `TukioTask` for the coroutine of a registered task, else an `asyncio.Task`."""
    return _Factory(None)(loop, coro, **kwargs)


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Make registered coroutines `TukioTask`s on a loop; this does not change other coroutines.

    A factory that is set already goes on making the tasks of other coroutines. Installing twice is
    only counted.
    """
    previous = loop.get_task_factory()
    ours = _ours(previous)
    if ours is None:
        ours = _Factory(previous)
        loop.set_task_factory(ours.for_loop())
    ours.engines += 1


def uninstall(loop: asyncio.AbstractEventLoop) -> None:
    """Undo one `install`.

    The last call restores the previous factory, unless user code has set another one since.
    """
    ours = _ours(loop.get_task_factory())
    if ours is not None:
        ours.engines -= 1
        if not ours.engines:
            loop.set_task_factory(ours.previous)


class _Factory:
    """A task factory of tukio.

    Args:
        previous: The factory that makes the tasks of other coroutines; None for asyncio's own way.

    Attributes:
        previous: The same factory, restored by the last `uninstall`; never changes.
        engines: The number of engines that need this factory: one more by each `install`, one less
            by each `uninstall`.
    """

    __slots__ = ("engines", "previous")

    def __init__(self, previous: Any) -> None:
        self.previous: Any = previous
        self.engines: int = 0

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any
    ) -> asyncio.Future[Any]:
        # Without the arguments that are None: some loops pass None for what was not given, which
        # older factories refuse.
        given = {name: value for name, value in kwargs.items() if value is not None}
        if _is_registered(coro):
            return TukioTask(coro, loop=loop, **given)
        if self.previous is None:
            return asyncio.Task(coro, loop=loop, **given)
        task: asyncio.Future[Any] = self.previous(loop, coro, **given)
        return task

    def make_eagerly(self, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> asyncio.Future[Any]:
        """Make a task; called in place of the constructor of tasks in an eager factory."""
        if _is_registered(coro):
            return TukioTask(coro, **kwargs)
        task: asyncio.Future[Any] = _constructor_in(self.previous)(coro, **kwargs)
        return task

    def for_loop(self) -> Any:
        """Return the factory to set on the loop: this one, or an eager one that uses this."""
        if sys.version_info >= (3, 12) and _is_eager(self.previous):
            # Made by asyncio, because anyio and others recognize an eager factory by its code.
            return asyncio.create_eager_task_factory(self.make_eagerly)
        return self


def _ours(factory: Any) -> _Factory | None:
    """Return the factory of tukio behind the one that is set on a loop, or None.

    Args:
        factory: The factory that is set on the loop.
    """
    if _is_eager(factory):
        factory = getattr(_constructor_in(factory), "__self__", None)
    return factory if isinstance(factory, _Factory) else None


def _is_registered(coro: Any) -> bool:
    """Return whether a coroutine is that of a registered task."""
    return getattr(coro, "cr_code", None) in REGISTRY.codes


def _is_eager(factory: Any) -> bool:
    """Return whether a factory makes eager tasks."""
    if sys.version_info < (3, 12):
        return False
    return getattr(factory, "__code__", None) is asyncio.eager_task_factory.__code__


def _constructor_in(eager_factory: Any) -> Any:
    """Return the constructor of tasks that an eager factory was made with."""
    return eager_factory.__closure__[0].cell_contents
