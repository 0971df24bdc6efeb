"""The processes that tasks are called in: started when needed, kept for the next call, and ended.

Owns:   the processes of one event loop, which end with it.

Each call has a thread, which starts a process or takes an idle one, and waits for its answer. A
process that is killed, at any moment of its life, has no answer: then its thread is over, too.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, cast

import anyio.lowlevel

from . import worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

MOST_IDLE: Final = 300.0
"""Seconds after which an idle process is ended when the next call is over."""

LAST_WAIT: Final = 1.0
"""Seconds that a process has to end after it has let go of its pipes."""


class Astray(Exception):
    """A process has given an answer that is not that of its call."""


class Process:
    """One process, and the pipes to it and from it."""

    def __init__(self) -> None:
        command = [sys.executable, "-u", "-P", worker.__file__]
        with _sigint_blocked():
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - this very interpreter
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        self._calls: IO[bytes] = cast("IO[bytes]", self._process.stdin)
        self._answers: IO[bytes] = cast("IO[bytes]", self._process.stdout)
        # The number of the last call.
        self._number: int = 0
        self.idle_since: float = 0.0

    def is_alive(self) -> bool:
        """Return whether the process is there."""
        return self._process.poll() is None

    def ask(self, call: bytes) -> bytes | None:
        """Make a call, and wait for its answer; return None if the process dies.

        Raises:
            Astray: It has answered something else, and is killed: each later answer would be that
                of another call, too.
        """
        self._number += 1
        answered: tuple[int, bytes] | None = None
        with suppress(OSError):
            worker.send(self._calls, self._number, call)
            answered = worker.receive(self._answers)
        if answered is None:
            return None
        number, answer = answered
        if number != self._number:
            self.kill()
            msg = "the process has answered what it was not asked"
            raise Astray(msg)
        return answer

    def kill(self) -> None:
        """Let the process die, from any thread."""
        self._process.kill()

    def end(self) -> int:
        """Wait for the end of a process that is about to die, and return its exit code."""
        try:
            code = self._process.wait(LAST_WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for pipe in (self._calls, self._answers):
            with suppress(OSError):
                pipe.close()
        return code


class Pool:
    """The idle processes of an event loop."""

    def __init__(self) -> None:
        # Guards the two below.
        self._lock: threading.Lock = threading.Lock()
        # The one that was used last is the last one.
        self._idle: list[Process] = []
        # Set by `close`, and never set back.
        self._closed: bool = False
        # Closed by the event loop when that ends.
        self.keeper: AsyncGenerator[None, None] = _until_the_loop_ends(self)

    def take(self) -> Process:
        """Return an idle process, or a new one."""
        dead: list[Process] = []
        try:
            with self._lock:
                while self._idle:
                    process = self._idle.pop()
                    if process.is_alive():
                        return process
                    dead.append(process)
        finally:
            _end(dead)
        return Process()

    def give_back(self, process: Process) -> None:
        """Keep a process for the next call, and end those that were idle for long."""
        process.idle_since = now = time.monotonic()
        with self._lock:
            self._idle.append(process)
            old = [one for one in self._idle if self._closed or now - one.idle_since > MOST_IDLE]
            self._idle = [one for one in self._idle if one not in old]
        _end(old)

    def close(self) -> None:
        """End all processes that are idle, and each other one when its call is over."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        _end(idle)


class Exchange:
    """One call of a function in a process, and its answer.

    Args:
        pool: The processes.
        call: The call.

    Attributes:
        answer: The answer; None if there is none.
        exit_code: The exit code of a process that has died.
        problem: The exception because of which there is no answer; None if the process has died.
    """

    def __init__(self, pool: Pool, call: bytes) -> None:
        self._pool: Pool = pool
        self._call: bytes = call
        # Guards the two below.
        self._lock: threading.Lock = threading.Lock()
        self._process: Process | None = None
        self._cut: bool = False
        self.answer: bytes | None = None
        self.exit_code: int = 0
        self.problem: Exception | None = None

    def make(self) -> None:
        """Make the call, and wait for its answer; for a thread."""
        try:
            process = self._pool.take()
        except Exception as error:  # noqa: BLE001 - raised where the call is awaited
            self.problem = error
            return
        with self._lock:
            self._process = process
            if self._cut:
                process.kill()
        try:
            self.answer = process.ask(self._call)
        except Exception as error:  # noqa: BLE001 - likewise
            self.problem = error
        with self._lock:
            # From here on nobody kills it.
            self._process = None
        if self.answer is None:
            self.exit_code = process.end()
        else:
            self._pool.give_back(process)

    def cut(self) -> None:
        """Kill the process that is at work on the call, if there is one."""
        with self._lock:
            self._cut = True
            if self._process is not None:
                self._process.kill()


_pool: anyio.lowlevel.RunVar[Pool] = anyio.lowlevel.RunVar("tukio processes")


async def pool_here() -> Pool:
    """Return the processes of the running event loop."""
    try:
        return _pool.get()
    except LookupError:
        pool = Pool()
        await anext(pool.keeper)
        _pool.set(pool)
        return pool


async def _until_the_loop_ends(pool: Pool) -> AsyncGenerator[None, None]:  # noqa: ASYNC900
    """Close a pool when the event loop ends: each of them closes its generators then, as this."""
    try:
        yield
    finally:
        pool.close()


def _end(processes: list[Process]) -> None:
    with ExitStack() as ends:
        for process in processes:
            process.kill()
            ends.callback(process.end)


@contextmanager
def _sigint_blocked() -> Generator[None, None, None]:
    """Let a process begin with SIGINT blocked, so that Ctrl-C does not end it before it is up."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
