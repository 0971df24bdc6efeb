"""Waiting that nothing cuts short: what interrupts it is kept until it is over.

A shield holds off the cancellations of scopes. On asyncio it does not hold off `Task.cancel()`, and
on no backend Ctrl-C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from .._model.guard import program_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Interruptions:
    """What interrupted the calling task while it waited for what must be whole.

    A native cancellation is only put off: nothing takes it back, so `Task.cancelling()` counts it.

    Args:
        exc: The exception that is on its way already, or None. It is kept if it ends the program: a
            cancellation must not take its place.
    """

    __slots__ = ("_kept",)

    def __init__(self, exc: BaseException | None = None) -> None:
        # In the order in which they came.
        self._kept: list[BaseException] = []
        if exc is not None and program_end(exc) is not None:
            self._kept.append(exc)

    async def outlast(self, wait: Callable[[], Awaitable[object]]) -> None:
        """Await a function to its end, out of reach of cancellation; keep what interrupts it.

        Args:
            wait: Called anew after each interruption: it must go on where it was.

        Raises:
            Exception: The exception of the function.
            GeneratorExit: The event loop is gone, and nothing can be awaited any more.
        """
        with anyio.CancelScope(shield=True):
            while True:
                try:
                    await wait()
                except (Exception, GeneratorExit):
                    raise
                except BaseException as exc:  # noqa: ASYNC103, BLE001 - kept, for `deliver`
                    self._kept.append(exc)
                else:
                    return

    def deliver(self) -> None:
        """Raise what was kept: one exception stands for all cancellations.

        Raises:
            BaseException: What ends the program, if that was kept; else the first cancellation.
        """
        kept, self._kept = self._kept, []
        # The first of what ends the program, or else the very first.
        first = next((exc for exc in kept if program_end(exc) is not None), next(iter(kept), None))
        # An exception has the frames that it went through, this one, too: no circle.
        del kept
        try:
            if first is not None:
                raise first
        finally:
            if first is not None and type(first.__context__) is type(first):
                # It stands for both cancellations. Up to anyio 4.15, a scope takes an exception for
                # its own if that was raised while its own was handled, and ends both.
                first.__context__ = None
            del first
