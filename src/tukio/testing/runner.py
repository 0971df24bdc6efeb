"""A run that is called several times, as for the fixtures of a test: each call goes on with it.

Owns:   what comes of a call for whoever has made it. Between two calls time stands still.
Knows:  that there is a host for each kind of loop; see `host` and `guest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._model.guard import program_end
from .calls import Call, Calls
from .clock import check_can_run, guarded, new_loop, on_trio
from .deadlock import PATIENCE, Deadlock, Patience
from .host import LoopHost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

T = TypeVar("T")

BROKEN_OFF = "not called, because this run has broken off before"
LEFT_OPEN = "a scope or a task group was left open, by a fixture or by the test"


class Host(Protocol):
    """An event loop that goes on only for a call."""

    def carry_out(self, call: Call) -> None:
        """Let the loop go on until a call is over, or the run has ended."""
        ...

    def close(self) -> None:
        """End the run."""
        ...


class Runner:
    """Runs async functions one after the other, in one task and in virtual time.

    Args:
        backend: One of `BACKENDS`.
        seed: As for `tukio.testing.run`.
        patience: Real seconds to wait for threads before a call counts as a deadlock.

    Raises:
        ValueError, ImportError, RuntimeError, NotImplementedError: As `tukio.testing.run`.

    Attributes:
        was_cut: Whether a call was cancelled by what was open before.
        is_broken: Whether the run has broken off in the middle of a call: there can be no other.
    """

    def __init__(
        self, backend: str = "asyncio", *, seed: int | None = None, patience: float = PATIENCE
    ) -> None:
        check_can_run(backend)
        self.was_cut: bool = False
        self.is_broken: bool = False
        # Whether Ctrl-C has come: then pytest ends, and cleans up not all.
        self._is_interrupted: bool = False
        calls = Calls()
        self._host: Host
        if backend == "trio":
            self._host = on_trio("guest").GuestHost(calls, seed=seed, patience=Patience(patience))
        else:
            self._host = LoopHost(calls, new_loop(backend, seed=seed, patience=patience))

    def run(self, async_fn: Callable[[], Awaitable[T]]) -> T:
        """Call a function that leaves no scope open, and return its result.

        Raises:
            Deadlock: As `tukio.testing.run`. If the function waited for ever, there may be further
                calls.
            RuntimeError: Something cancelled that was open before. Or the run has broken off.
            Exception: The exception of the function.
        """
        __tracebackhide__ = True
        result: T = self.call(guarded(async_fn))
        return result

    def call(
        self, coroutine: Coroutine[Any, Any, T], about: object = None, *, always: bool = False
    ) -> T:
        """Await a coroutine, and return its result; what it enters, a later one may leave.

        Args:
            coroutine: The coroutine.
            about: What a deadlock tells the place of; None is the coroutine.
            always: Whether it is awaited although Ctrl-C came just before, as a clean-up is.

        Raises:
            Deadlock: As `tukio.testing.run`. All that later calls await is cancelled.
            RuntimeError: Something cancelled that was open before. Or the run has broken off.
            Exception: The exception of the coroutine.
        """
        __tracebackhide__ = True
        if self.is_broken:
            coroutine.close()
            raise RuntimeError(BROKEN_OFF)
        call = Call(coroutine, coroutine if about is None else about, always=always)
        # What a traceback of a run that has broken off leads to must not keep its tasks alive.
        del coroutine, about
        try:
            self._host.carry_out(call)
        except KeyboardInterrupt:
            self._is_interrupted = True
            raise
        finally:
            self.is_broken = not call.is_over
        self.was_cut |= call.was_cut
        error, call.error = call.error, None
        try:
            if error is not None:
                # What ends the program does so out of a group, too, as trio has it.
                end = program_end(error)
                self._is_interrupted |= isinstance(end, KeyboardInterrupt)
                raise end or error
            result: T = call.result
            return result
        finally:
            # An exception has the frames that it went through, this one, too: no circle.
            error = end = None

    def close(self) -> None:
        """End the run: cancel what is left of it, and close its loop.

        Raises:
            Deadlock: A task that was left does not end.
            RuntimeError: A call has left a scope or a task group open.
        """
        try:
            self._host.close()
        except RuntimeError as error:
            # What has broken off was told before; and whom Ctrl-C has cut may have left much open.
            if self.is_broken or self._is_interrupted:
                return
            if isinstance(error, Deadlock):
                raise
            raise RuntimeError(LEFT_OPEN) from error
