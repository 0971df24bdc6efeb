"""Errors, and places in the source, as the messages of tests tell them: bounded, and never failing.

Knows:  which code is a library's, and not the user's own.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._loop.frames import frames_of, package_of
from .._model.account import RecordedError, described
from .._model.display import bounded, escaped, text_of
from .._model.guard import attempt

if TYPE_CHECKING:
    from types import FrameType

LONGEST: Final = 4_000
"""The largest number of characters that are told of an error."""

LONGEST_PATH: Final = 200
"""The largest number of characters of the path of a file."""

LIBRARIES: Final = frozenset({"tukio", "anyio", "trio", "uvloop", *sys.stdlib_module_names})
"""The packages in which nobody looks for what his own code waits for."""


def told(error: BaseException) -> str:
    """Return the kind and the text of an error, and of all errors in a group.

    Of an error without a text, as of an `assert` that pytest has not rewritten, the line is told
    that has raised it.
    """
    text = str(RecordedError.of(described(error)))
    if not isinstance(error, BaseExceptionGroup) and not text_of(error):
        raised_at = place_of_raise(error)
        text = text.removesuffix(": ") + (f" at {raised_at}" if raised_at else "")
    return bounded(text, LONGEST)


def place_of_raise(error: BaseException) -> str:
    """Return the place that an error was raised at; "" if it has not been raised."""
    passed = list(traceback.walk_tb(error.__traceback__))
    return place(*passed[-1]) if passed else ""


def place_of_wait(coroutine: object) -> str:
    """Return the place at which a coroutine waits, as its author sees it; "" if it does not wait.

    That is the innermost line that is not of a library; for a coroutine of a library its own.
    """
    frames = list(frames_of(coroutine))
    own = [frame for frame in frames if package_of(frame) not in LIBRARIES]
    frame = own[-1] if own else next(iter(frames), None)
    return "" if frame is None else place(frame, frame.f_lineno)


def place(frame: FrameType, line: int) -> str:
    """Return a place in the source: the file, the line and what is there.

    Args:
        frame: A frame of the code.
        line: The number of the line.
    """
    name = frame.f_code.co_filename
    path, problem = attempt(Path(name).relative_to, Path.cwd())
    where = escaped(str(name if problem is not None else path), LONGEST_PATH)
    source, _ = attempt(linecache.getline, name, line, frame.f_globals)
    source = escaped(source.strip()) if source else ""
    return f"{where}:{line}" + (f", `{source}`" if source else "")
