"""What all these tests play on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.silence import silence
from tukio.testing import actors

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module")
def stage() -> Iterator[None]:
    """Register the actor, and let its failures out of the log."""
    with silence(), actors():
        yield
