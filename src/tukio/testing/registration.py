"""Tasks that are registered for a while, so that a test leaves no names behind.

Knows:  the registry of tasks.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .._model.registry import TaskRegistry, register

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def registered(name: Any, task: Any, method: str | None = None) -> Generator[None, None, None]:
    """Register a task for the length of a `with` block.

    Args:
        name: The name that templates use.
        task: A coroutine function or a holder class.
        method: The coroutine method of a holder class.

    Raises:
        ValueError, TypeError, AttributeError: As `TaskRegistry.register`; nothing was registered.
    """
    register(name, method)(task)
    try:
        yield
    finally:
        TaskRegistry.remove(name)
