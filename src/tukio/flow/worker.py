"""What runs in the process of a task: it reads calls, makes them, and answers each of them.

Owns:   the process: its standard streams, its main module, and its life.
Knows:  the standard library alone, so that a process is up soon. It is executed as a file.

Calls come by the pipe that is the standard input at first, and answers go by that of the standard
output. What a task reads, prints or starts has none of the two: its input is empty, and what it
prints goes to the standard error.
"""

from __future__ import annotations

import importlib
import os
import pickle
import runpy
import signal
import struct
import sys
import traceback
from contextlib import suppress
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Main = tuple[str | None, str | None]

NAME: Final = "tukio.flow.worker"
"""The name of this module, under which the process knows it, too."""

MAIN: Final = "__mp_main__"
"""The name of the main module of the program in the process, as with `multiprocessing`."""

HEAD: Final = struct.Struct("!QQ")
"""What each message begins with: the number of the call, and the length of the rest."""

RETURNED: Final = "returned"
RAISED: Final = "raised"

state: Final[dict[str, bool]] = {"ready": False, "loading": False}
"""Whether the main module was imported, and whether it is being imported."""


# Messages


def send(pipe: IO[bytes], number: int, message: bytes) -> None:
    """Write a message to a pipe."""
    pipe.write(HEAD.pack(number, len(message)))
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[int, bytes] | None:
    """Read a number and a message from a pipe; return None if the other end is gone."""
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    number, length = HEAD.unpack(head)
    message = pipe.read(length)
    return (number, message) if len(message) == length else None


# Calls


def function_at(module: str, name: str) -> Any:
    """Return the function that a task has, or a function, by the name it was defined by."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return getattr(found, "function", found)


def answer_to(call: bytes) -> bytes:
    """Make a call, and return what became of it."""
    try:
        path, main, module, name, value = pickle.loads(call)  # noqa: S301 - of our program
        if not state["ready"]:
            _make_ready(path, main)
        result = function_at(module, name)(pickle.loads(value))  # noqa: S301 - likewise
        return _pickled((RETURNED, _pickled(result)))
    except BaseException as error:  # noqa: ASYNC103, BLE001 - of the task, not of the process
        return _pickled(_raised(error))  # noqa: ASYNC104 - likewise


def _raised(error: BaseException) -> tuple[Any, ...]:
    """Return what is told of an exception: itself, if it survives that, its words and its place."""
    within = error.__traceback__ and error.__traceback__.tb_next
    trace = "".join(traceback.format_exception(type(error), error, within))
    text = "no text can be had of it"
    itself: bytes | None = None
    with suppress(Exception):
        text = str(error)
        pickled = _pickled(error)
        twin = pickle.loads(pickled)  # noqa: S301 - of this very process
        # What ends a program, or a generator, would do so in that of the engine.
        survives = isinstance(error, Exception) and type(twin) is type(error)
        itself = pickled if survives and str(twin) == text else None
    return RAISED, itself, type(error).__qualname__, text, trace


def _pickled(thing: Any) -> bytes:
    return pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)


# The process


def main() -> None:
    """Answer calls until the program is gone."""
    sys.modules[NAME] = sys.modules[__name__]
    # Ctrl-C goes to all processes of a terminal. What becomes of a call is decided by the engine.
    # Not by SIG_IGN, which what a task starts would inherit.
    signal.signal(signal.SIGINT, _nothing)
    with suppress(AttributeError):
        # Blocked until here, by whoever has started the process.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    calls, answers = _take_pipes()
    own = os.getpid()
    while (asked := receive(calls)) is not None:
        number, call = asked
        answer = answer_to(call)
        if os.getpid() != own:
            # A child that the function has forked, and which has returned from it as well.
            os._exit(0)
        try:
            send(answers, number, answer)
        except BrokenPipeError:
            # The program has died meanwhile.
            os._exit(1)


def _nothing(number: int, frame: object) -> None:
    """Do nothing about a signal."""


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take the standard input and output for calls and answers, and put others in their places."""
    # Neither of the two is inherited by a program that is started.
    calls, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        # The program has no standard error.
        os.dup2(nothing, 1)
    os.close(nothing)
    pipes = os.fdopen(calls, "rb"), os.fdopen(answers, "wb")
    with suppress(AttributeError):
        # A child that is forked would keep them open when this process is gone.
        os.register_at_fork(after_in_child=_closing(calls, answers))
    return pipes


def _closing(*descriptors: int) -> Callable[[], None]:
    def close() -> None:
        for descriptor in descriptors:
            with suppress(OSError):
                os.close(descriptor)

    return close


def _make_ready(path: list[str], main: Main | None) -> None:
    """Let the process find what the program finds, and import its main module."""
    sys.path[:] = path
    if main is not None:
        state["loading"] = True
        try:
            found = _main_module(*main)
        finally:
            state["loading"] = False
        module = ModuleType(MAIN)
        module.__dict__.update(found)
        sys.modules["__main__"] = sys.modules[MAIN] = module
    state["ready"] = True


def _main_module(name: str | None, file: str | None) -> dict[str, Any]:
    """Execute the main module of the program, by its name or its file; return what it defines."""
    if name is not None:
        return runpy.run_module(name, run_name=MAIN, alter_sys=True)
    assert file is not None
    return runpy.run_path(file, run_name=MAIN)


if __name__ == "__main__":
    main()
