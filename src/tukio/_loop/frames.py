"""The frames of a coroutine: its own one, and those of the coroutines that it awaits."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

# For coroutines, generators and asynchronous generators: the attribute that holds the frame, and
# the one that holds the awaited object.
_KINDS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


OUTER: Final = 20
INNER: Final = 30
"""The number of outermost and of innermost frames that are shown if there are more."""


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


def stack_of(frames: Iterable[FrameType]) -> str:
    """Return where frames are, as a traceback shows it; the middle of very many is left out.

    Args:
        frames: The frames, outermost first.
    """
    # Read at once: whoever they belong to may go on meanwhile.
    places = [(frame, frame.f_lineno) for frame in frames]
    if len(places) <= OUTER + INNER:
        return _text_of(places)
    gap = f"  ... {len(places) - OUTER - INNER} frames ...\n"
    return _text_of(places[:OUTER]) + gap + _text_of(places[-INNER:])


def _text_of(places: list[tuple[FrameType, int]]) -> str:
    return "".join(traceback.StackSummary.extract(iter(places)).format())


def package_of(frame: FrameType) -> str:
    """Return the name of the package that the code of a frame is in; empty if nobody knows."""
    name = frame.f_globals.get("__name__")
    return name.partition(".")[0] if isinstance(name, str) else ""
