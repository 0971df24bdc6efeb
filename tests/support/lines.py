"""Ctrl-C at any line of the package: a real signal, sent from a trace function.

Owns:   the trace function, the lines that were executed, and the one at which signals are sent.
Knows:  threads of the package are not traced, for signals come to the main thread alone.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tukio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PACKAGE = str(Path(tukio.__file__).parent)
AROUND = str(Path(PACKAGE, "testing"))
"""What is around the engine, and not traced."""


class Line(NamedTuple):
    """A line of the package.

    Attributes:
        module: The path of its file within the package.
        number: Its number in the file.
        function: The name of the function that it is in.
    """

    module: str
    number: int
    function: str


class Interruption:
    """Sends SIGINT when a line is executed for the first time; without one, notes all lines.

    Args:
        at: The line before whose execution signals are sent; None for none.
        signals: How many to send; `asyncio.run` takes the first for a cancellation.

    Attributes:
        lines: The lines that were executed, in the order of their first execution; empty if a line
            is given.
        sent: Whether signals were sent.
    """

    def __init__(self, at: Line | None = None, signals: int = 1) -> None:
        self._at = at
        self._signals = signals
        self.lines: dict[Line, None] = {}
        self.sent: bool = False

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Trace the lines that this thread executes, and take SIGINT as a foreground program."""
        tracer = sys.gettrace()
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(tracer)
            signal.signal(signal.SIGINT, handler)

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) or name.startswith(AROUND):
            return None
        if self._at is None:
            return self._note
        here = name.endswith(self._at.module) and frame.f_code.co_name == self._at.function
        return self._send if here else None

    def _note(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            module = frame.f_code.co_filename.removeprefix(PACKAGE).lstrip("/\\")
            self.lines[Line(module, frame.f_lineno, frame.f_code.co_name)] = None
        return self._note

    def _send(self, frame: FrameType, event: str, arg: Any) -> Any:
        assert self._at is not None
        if event == "line" and frame.f_lineno == self._at.number:
            self.sent = True
            sys.settrace(None)
            for _ in range(self._signals):
                # The handler runs before this returns: what it raises comes out of the line.
                signal.raise_signal(signal.SIGINT)
        return self._send
