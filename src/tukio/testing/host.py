"""An asyncio loop in virtual time that goes on only for a call.

Owns:   how Ctrl-C comes to the call.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._model.guard import ENDS
from .clock import known

if TYPE_CHECKING:
    from collections.abc import Generator

    from .calls import Call, Calls
    from .loop import VirtualTime


class LoopHost:
    """An asyncio loop in virtual time as a host.

    Args:
        calls: What its task does.
        loop: The loop; closed with the host.
    """

    def __init__(self, calls: Calls, loop: VirtualTime) -> None:
        self._calls: Calls = calls
        self._loop: VirtualTime = loop
        # Cancels what is left, and closes the loop.
        self._runner: asyncio.Runner = asyncio.Runner(loop_factory=lambda: loop)
        self._runner.get_loop()
        self._task: asyncio.Task[None] = loop.create_task(known(calls.serve), name="tukio test")

    def carry_out(self, call: Call) -> None:
        """Let the loop go on until a call is over.

        Raises:
            Deadlock: The loop has broken off, and the call is not over; or threads did not end.
            KeyboardInterrupt, SystemExit: Raised meanwhile. The call was cancelled, and is over.
            BaseException: What has ended the task instead. The call is not over.
        """
        over = self._loop.create_future()

        def set_over(*_: object) -> None:
            if not over.done():
                over.set_result(None)

        call.when_over = set_over
        self._task.add_done_callback(set_over)
        self._loop.call_soon(self._calls.put, call)
        try:
            with self._cancelled_by_ctrl_c():
                self._loop.run_until_complete(over)
        except ENDS:
            if not over.done():
                # It came out of another task. The call must not be left in the middle.
                self._task.cancel()
                self._loop.run_until_complete(over)
                # A clean-up is not cancelled by that.
                self._task.uncancel()
            raise
        finally:
            self._task.remove_done_callback(set_over)
        if not call.is_over:
            self._task.result()

    @contextmanager
    def _cancelled_by_ctrl_c(self) -> Generator[None, None, None]:
        """Cancel the call at the first Ctrl-C in a `with` block, as `asyncio.run` does.

        Raises:
            KeyboardInterrupt: That came. At the end of the block; a second one where it comes.
        """
        pressed = False

        def press(*_: object) -> None:
            nonlocal pressed
            if pressed:
                raise KeyboardInterrupt
            pressed = True
            self._task.cancel()
            self._loop.call_soon_threadsafe(bool)  # wakes the loop up

        handler = signal.getsignal(signal.SIGINT)
        is_default = handler is signal.default_int_handler
        if is_default and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, press)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) is press:
                signal.signal(signal.SIGINT, handler)
        if pressed:
            self._task.uncancel()
            raise KeyboardInterrupt

    def close(self) -> None:
        """End the task, and close the loop."""
        try:
            if not self._task.done():
                self._loop.call_soon(self._calls.close)
                self._loop.run_until_complete(self._task)
        finally:
            self._runner.close()
