"""The signs of life of a step whose task has an `idle_timeout`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Signs:
    """When a step has shown a sign of life, and who looks for the next one.

    Attributes:
        last: When the step has shown its last sign of life, on the clock of the run. Its begin is
            one. Any thread may set it.
        call_off: Calls off the alarm that looks for the next one; None if there is no alarm.
        has_cut: Whether the step was cut because there was none for too long.
    """

    __slots__ = ("call_off", "has_cut", "last")

    def __init__(self, begin: float) -> None:
        self.last: float = begin
        self.call_off: Callable[[], None] | None = None
        self.has_cut: bool = False
