"""Failures that are meant to happen, kept out of the log."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def silence() -> Iterator[None]:
    """Let the log of tukio say nothing below `CRITICAL` for a while."""
    log = logging.getLogger("tukio")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
