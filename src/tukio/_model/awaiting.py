"""Which coroutines await nothing: they never suspend, and leave nothing behind on their task."""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import CodeType

_SUSPENDING: Final = frozenset({"YIELD_VALUE", "YIELD_FROM", "SEND"})
"""The instructions by which a coroutine may suspend; versions of Python use different ones."""


def never_awaits(code: CodeType) -> bool:
    """Return whether the code of a coroutine has no instruction by which it could suspend."""
    return _SUSPENDING.isdisjoint(part.opname for part in dis.get_instructions(code))
