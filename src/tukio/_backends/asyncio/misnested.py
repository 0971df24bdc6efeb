"""An engine that is left in another task than it was entered in.

Knows:  asyncio's functions for those who run tasks of their own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def leave_for(host: asyncio.Task[Any], scope: AbstractContextManager[Any]) -> bool:
    """Leave a cancel scope for the task that has entered it, which is not the calling one.

    Else that task could leave no scope around it any more.

    Args:
        host: The task that has entered the scope.
        scope: The scope.

    Returns:
        Whether that was possible, or the task is over. If it is in a scope within this one, it must
        leave this scope by itself.
    """
    if host.done():
        return True
    loop, caller = host.get_loop(), asyncio.current_task()
    assert caller is not None
    asyncio._leave_task(loop, caller)
    asyncio._enter_task(loop, host)
    try:
        with suppress(RuntimeError):
            scope.__exit__(None, None, None)
            return True
    finally:
        asyncio._leave_task(loop, host)
        asyncio._enter_task(loop, caller)
    return False
