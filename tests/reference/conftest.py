"""What all these tests play on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tukio.testing import actors

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module")
def stage() -> Iterator[None]:
    """Register the actor, and let its failures out of the log."""
    log = logging.getLogger("tukio")
    level = log.level
    log.setLevel(logging.CRITICAL)
    with actors():
        yield
    log.setLevel(level)
