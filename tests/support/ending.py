"""Programs that are ended by what is raised in them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from tukio.testing.clock import BACKENDS, is_available, run

from .silence import silence

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

HERE = [name for name in BACKENDS if is_available(name)]
"""The backends that are there."""

STEP_ENDS = {"task-end", "task-cancel", "task-error", "task-timeout", "task-skip"}
RUN_ENDS = {"workflow-end", "workflow-error"}


def ends_the_program(
    main: Callable[[], Coroutine[object, object, None]], backend: str, error: type[BaseException]
) -> None:
    """Run a program that ends by an error, perhaps in a group."""
    with silence(), pytest.raises(BaseException) as caught:
        run(main, backend=backend)
    found: BaseException | None = caught.value
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, error)
    # asyncio complains of the task whose exception has just ended the program: now, not later.
    del caught, found
    gc.collect()
