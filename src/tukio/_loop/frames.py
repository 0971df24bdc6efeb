"""Where a coroutine stands: its frame, and those of what it awaits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# Coroutine, generator, asynchronous generator: the attributes of its frame and what it awaits.
_KINDS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


def frames_of(awaited: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of what it awaits, outermost first.

    Args:
        awaited: A coroutine, or anything else that can be awaited. What is written in C ends the
            chain, and so does a coroutine that is over.
    """
    while awaited is not None:
        frame, awaited = _step_into(awaited)
        if frame is None:
            return
        yield frame


def _step_into(awaited: Any) -> tuple[FrameType | None, Any]:
    for frame, inner in _KINDS:
        if hasattr(awaited, frame):
            return getattr(awaited, frame), getattr(awaited, inner)
    return None, None
