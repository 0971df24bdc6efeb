"""Where in the code of a user something stands: the file and the line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._loop.frames import package_of
from .._model.display import LONGEST_LOGGED, escaped

if TYPE_CHECKING:
    from types import FrameType

PACKAGE = __name__.partition(".")[0]


def caller() -> FrameType | None:
    """Return the innermost frame that is not of this package; None if all are of it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and package_of(frame) == PACKAGE:
        frame = frame.f_back
    return frame


def place_of_caller(what: str) -> str:
    """Return where the code stands that has called this package.

    Args:
        what: What is done there, in a word.
    """
    frame = caller()
    return "" if frame is None else _place(what, frame.f_code.co_filename, frame.f_lineno)


def place_of_function(function: Any) -> str:
    """Return where a function is defined; empty for what has no code."""
    code = getattr(function, "__code__", None)
    return "" if code is None else _place(code.co_name, code.co_filename, code.co_firstlineno)


def _place(what: str, file: str, line: int) -> str:
    return f"{what} at {escaped(file, LONGEST_LOGGED)}:{line}"
