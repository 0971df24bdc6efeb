"""The frames of a coroutine: its own one, and those of the coroutines that it awaits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# For coroutines, generators and asynchronous generators: the attribute that holds the frame, and
# the one that holds the awaited object.
_KINDS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


def frames_of(awaited: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of those that it awaits, outermost first.

    The chain ends at an awaitable that is written in C, and at a coroutine that is over.

    Args:
        awaited: A coroutine, or anything else that can be awaited.
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
