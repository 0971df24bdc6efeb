"""Ctrl-C at a call of a function of ours, as asyncio raises it there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def cut(owner: Any, name: str, nth: int, *, before: bool, called: list[int]) -> Iterator[None]:
    """Raise `KeyboardInterrupt` before or after the n-th call of a function."""
    original: Any = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        called.append(1)
        # Its own, for it may be called within itself: for the child of a run.
        number = len(called)
        if before and number == nth:
            raise KeyboardInterrupt
        result = original(*args, **kwargs)
        if not before and number == nth:
            raise KeyboardInterrupt
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, replaced)
        yield
