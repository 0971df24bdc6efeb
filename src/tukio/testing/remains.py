"""What is left of runs of trio that have broken off: it is destroyed in silence, all at once.

Owns:   the tasks of such a run for as long as somebody else has any of them, as a thread at work
        has the task that waits for it.

Destroyed wherever a collection happens to come, each task and each nursery would complain, and run
its own code there.
"""

from __future__ import annotations

import atexit
import gc
import sys
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

_kept: list[Any] = []
"""The tasks that somebody else had when they were to be destroyed."""


def discard(tasks: list[Any]) -> None:
    """Destroy tasks in silence; keep those that somebody else has, until the next `discard_kept`.

    Args:
        tasks: The tasks; taken out of this list, for it must not keep them either.
    """
    _kept.extend(tasks)
    tasks.clear()
    discard_kept()


def discard_kept() -> None:
    """Destroy what was kept, as far as nobody else has it any more."""
    if not _kept:
        return
    known = [weakref.ref(task) for task in _kept]
    with in_silence():
        _kept.clear()
        gc.collect()
        _kept.extend(_alive(known))


# A thread may have its task to the end: then nothing destroys that.
atexit.register(discard_kept)


@contextmanager
def in_silence() -> Generator[None, None, None]:
    """Tell nobody in a `with` block of what cannot be raised."""
    hook, sys.unraisablehook = sys.unraisablehook, _nothing
    try:
        yield
    finally:
        sys.unraisablehook = hook


def _alive(known: Iterable[weakref.ref[Any]]) -> list[Any]:
    return [task for ref in known if (task := ref()) is not None]


def _nothing(_: object) -> None:
    """Do nothing."""
