"""The event of a resume or a rescue: it comes after the beginnings that it causes, as in 1.x.

Owns:   which steps have yet to begin before the event is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._step.step import LiveStep


class Announcement:
    """An execution event of a run that waits for some of its steps to begin.

    Args:
        kind: The type of the event.
        steps: The steps; each leaves when it begins. Without any, the event is due at once.

    Attributes:
        kind: Likewise.
    """

    __slots__ = ("_steps", "kind")

    def __init__(self, kind: str, steps: Iterable[LiveStep]) -> None:
        self.kind: str = kind
        self._steps: dict[LiveStep, None] = dict.fromkeys(steps)

    def wait_also_for(self, kind: str, steps: Iterable[LiveStep]) -> None:
        """Become another event, which waits for more steps."""
        self.kind = kind
        self._steps |= dict.fromkeys(steps)

    def is_due(self) -> bool:
        """Return whether no step has yet to begin."""
        return not self._steps

    def has_begun(self, step: LiveStep) -> bool:
        """Take note that a step has begun, and return whether that was the last one."""
        return self._steps.pop(step, self) is not self and not self._steps

    def call_off(self) -> None:
        """Wait for no step any more: the event never comes, for none of them will begin."""
        self._steps.clear()
