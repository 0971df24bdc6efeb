"""Tasks for processes: a process finds them here, at the top of a module."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tukio import SkipTask
from tukio.flow import task
from tukio.task import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

OWN = Registry()


@dataclass
class Job:
    """What they take."""

    text: str = ""
    seconds: float = 0
    file: str = ""


@dataclass
class Done:
    """What they return."""

    text: str
    pid: int


@task(registry=OWN, process=True)
def upper(job: Job) -> Done:
    """Turn a text to capitals, after a while."""
    if job.file:
        with open(job.file, "w") as file:  # noqa: PTH123 - that is all it does
            file.write(str(os.getpid()))
    time.sleep(job.seconds)
    return Done(job.text.upper(), os.getpid())


@task(registry=OWN, process=True)
def fails(job: Job) -> Done:
    """Raise."""
    raise LookupError(job.text)


@task(registry=OWN, process=True)
def dies(job: Job) -> Done:
    """End the process."""
    os._exit(3)


@task(registry=OWN, process=True, limiter=1)
def one_by_one(job: Job) -> Done:
    """Take a while, alone."""
    time.sleep(job.seconds)
    return Done("", os.getpid())


moved = upper


def _kept_elsewhere(job: Job) -> Done:
    return Done(job.text, 0)


kept_elsewhere = task(registry=OWN, process=True)(_kept_elsewhere)


def _hidden(job: Job) -> Done:
    return Done(job.text, 0)


hidden = task(registry=OWN, process=True)(_hidden)
del _hidden


# Errors


class Picky(Exception):
    """Cannot be made of its `args`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class Forgetful(Exception):
    """Says something else when it was pickled."""

    def __reduce__(self) -> Any:
        return Forgetful, ("nothing",)


def _held() -> Exception:
    error = ValueError("the real reason")
    error.by = lambda: 0  # type: ignore[attr-defined]
    return error


RAISED: dict[str, Callable[[], BaseException]] = {
    "picky": lambda: Picky(7, "the real reason"),
    "forgetful": lambda: Forgetful("the real reason"),
    "held": _held,
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "closed": lambda: GeneratorExit("by whom"),
    "skip": lambda: SkipTask("nothing to do"),
    "lookup": lambda: LookupError("the real reason"),
}


@task(registry=OWN, process=True)
def raises(job: Job) -> Done:
    """Raise what the text stands for."""
    error = RAISED[job.text]()
    raise error


class Stuck:
    """Can be pickled, and not be unpickled in the program."""

    def __reduce__(self) -> Any:
        return _unstuck, (os.getpid(),)


def _unstuck(pid: int) -> Stuck:
    if pid != os.getpid():
        raise LookupError(pid)
    return Stuck()


@task(registry=OWN, process=True)
def returns(job: Job) -> Any:
    """Return what cannot be handed over."""
    return Stuck() if job.text == "stuck" else {"by": lambda: 0}


# The process itself


@task(registry=OWN, process=True)
def signalled(job: Job) -> Done:
    """Send a signal to the process itself."""
    os.kill(os.getpid(), signal.Signals[job.text])
    return Done(job.text, os.getpid())


@task(registry=OWN, process=True)
def interruptible(job: Job) -> Done:
    """Let SIGINT end the process from now on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return Done("", os.getpid())


@task(registry=OWN, process=True)
def prints(job: Job) -> Done:
    """Print, by itself and by a program, which reads, too."""
    print(job.text)  # noqa: T201 - that is what it is for
    subprocess.run(["/bin/echo", job.text], check=True)
    read = subprocess.run(["/bin/cat"], check=True, stdout=subprocess.PIPE).stdout
    return Done((read + sys.stdin.read().encode()).decode(), os.getpid())


@task(registry=OWN, process=True)
def forks(job: Job) -> Done:
    """Return twice: in the process, and in a child of it."""
    child = os.fork()
    if child == 0:
        return Done("child", os.getpid())
    os.waitpid(child, 0)
    return Done("parent", os.getpid())


@task(registry=OWN, process=True)
def leaves_a_child(job: Job) -> Done:
    """Die, or go on, while a child of the process lives."""
    child = os.fork()
    if child == 0:
        time.sleep(job.seconds)
        os._exit(0)
    Path(job.file).write_text(f"{os.getpid()} {child}")
    if job.text == "dies":
        os._exit(5)
    time.sleep(job.seconds)
    return Done("", child)


@task(registry=OWN, process=True)
def closes_all(job: Job) -> Done:
    """Close all that is open, as what becomes a daemon does."""
    os.closerange(3, 256)
    time.sleep(job.seconds)
    return Done("", os.getpid())
