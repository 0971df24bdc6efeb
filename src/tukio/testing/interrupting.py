"""Ctrl-C at every line of the package that a run executes: a real signal, sent by a trace function.

Owns:   the trace function, the lines that were executed, and the one at which signals are sent.
Knows:  threads of the package are not traced, for signals come to the main thread alone.
"""

from __future__ import annotations

import gc
import signal
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._engine.engine import Engine
from .clock import run as run_on
from .everywhere import BrokenThere, made_by
from .invariants import demand
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from .._run.workflow import Workflow
    from .everywhere import MakeRun

AROUND = str(Path(__file__).parent)
"""What is around the engine, and not traced."""
PACKAGE = str(Path(AROUND).parent)


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

    def __str__(self) -> str:
        return f"{self.module}:{self.number}, in {self.function}"


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
    def tracing(self) -> Generator[None, None, None]:
        """Trace the lines that this thread executes, and take SIGINT as a foreground program."""
        tracer = sys.gettrace()
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(tracer)
            signal.signal(signal.SIGINT, handler)

    def _call(self, frame: FrameType, *_: object) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) or name.startswith(AROUND):
            return None
        if self._at is None:
            return self._note
        here = name.endswith(self._at.module) and frame.f_code.co_name == self._at.function
        return self._send if here else None

    def _note(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            module = frame.f_code.co_filename.removeprefix(PACKAGE).lstrip("/\\")
            self.lines[Line(module, frame.f_lineno, frame.f_code.co_name)] = None
        return self._note

    def _send(self, frame: FrameType, event: str, _: object) -> Any:
        assert self._at is not None
        if event == "line" and frame.f_lineno == self._at.number:
            self.sent = True
            sys.settrace(None)
            for _ in range(self._signals):
                # The handler runs before this returns: what it raises comes out of the line.
                signal.raise_signal(signal.SIGINT)
        return self._send


def interrupt_everywhere(
    make_run: MakeRun,
    check: Callable[[Workflow], object] | None = None,
    *,
    backend: str = "asyncio",
    every: int = 1,
    signals: int = 1,
) -> int:
    """Run a workflow many times, and press Ctrl-C at its first line of tukio, at its second, ...

    Each pass is a program of its own, in virtual time, which must end by `KeyboardInterrupt`. Call
    this from the main thread, where no event loop runs.

        interrupt_everywhere(lambda engine: engine.run_once(template, {}), backend="trio")

    Args:
        make_run: Starts the workflow in the given engine, and returns the run.
        check: Called after each pass with the run, which is over; may raise.
        backend: One of `BACKENDS`.
        every: At 10, only every tenth line is tried: there are more than a thousand.
        signals: How often Ctrl-C is pressed at the line. On asyncio the first one cancels the task
            of the program, and the second one is raised where it comes.

    Returns:
        The number of lines that were tried.

    Raises:
        BrokenThere: The program did not end by `KeyboardInterrupt`, or left a run that is not over,
            or `check` has failed, after Ctrl-C at a line.
        Exception: The exception of a pass without Ctrl-C.
    """
    for noted in (Interruption(), Interruption()):
        # Twice: what is worked out only once in a process must not count.
        ended_by, _ = _passed(make_run, backend, noted)
        if ended_by is not None:
            raise ended_by
    lines = list(noted.lines)[::every]
    for number, line in enumerate(lines, 1):
        try:
            with _losing_coroutines():
                _pass(make_run, check, backend, Interruption(line, signals))
        except Exception as problem:
            deed, texts = "Ctrl-C", [str(one) for one in lines]
            raise BrokenThere(deed, number, texts, Timeline(), problem) from problem
    return len(lines)


def _pass(
    make_run: MakeRun,
    check: Callable[[Workflow], object] | None,
    backend: str,
    interruption: Interruption,
) -> None:
    """Run a program that is interrupted, and check how it has ended.

    Raises:
        BrokenGuarantee: It has not ended as it must.
    """
    ended_by, runs = _passed(make_run, backend, interruption)
    if not interruption.sent:
        # Not every backend does all in the same order each time.
        return
    ended = any(isinstance(error, KeyboardInterrupt) for error in causes(ended_by))
    demand("G7", ended, "Ctrl-C was pressed, and the program ended by {!r}", ended_by)
    for run in runs:
        over = run._run.ended_at is not None
        demand("G1", over, "the program ended before {!r} was over", run)
        if check is not None:
            check(run)


@contextmanager
def _losing_coroutines() -> Generator[None, None, None]:
    """Warn of no coroutine that nobody awaits.

    Ctrl-C between a coroutine and the task that asyncio was about to make of it loses both. What
    refers to it is let go of here, and not later, where somebody else would be warned.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* was never awaited", RuntimeWarning)
        try:
            yield
        finally:
            gc.collect()


def _passed(
    make_run: MakeRun, backend: str, interruption: Interruption
) -> tuple[BaseException | None, list[Workflow]]:
    """Run a program with one workflow; return what has ended it, and its run, if there was one."""
    runs: list[Workflow] = []

    async def program() -> None:
        async with Engine() as engine:
            runs.append(await made_by(make_run, engine))
            await runs[0].wait()

    try:
        with interruption.tracing():
            run_on(program, backend=backend)
    except BaseException as error:  # noqa: ASYNC103, BLE001 - looked at by the caller
        return error, runs  # noqa: ASYNC104 - likewise
    return None, runs


def causes(error: BaseException | None) -> list[BaseException]:
    """Return an exception, what it is a group of, and what it was raised in the handling of."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__context__, *getattr(one, "exceptions", ())]
    return found
