"""Faults of the engine itself, which it can only report to its log.

Knows:  the logger that they go to.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .invariants import BrokenGuarantee
from .telling import told

if TYPE_CHECKING:
    from collections.abc import Generator

CANNOT_GO_ON: Final = "workflow %s cannot go on"
"""The message of the log if a driver fails, and not a step."""


class _Faults(logging.Handler):
    """Collects the faults of the engine, which are no task's and no handler's."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == CANNOT_GO_ON:
            error = record.exc_info[1] if record.exc_info else None
            self.errors.append("" if error is None else told(error))


@contextmanager
def no_faults() -> Generator[None, None, None]:
    """Make sure that the engine does not log meanwhile that a run cannot go on.

    Raises:
        BrokenGuarantee: It did. Not raised over an exception of the body.
    """
    log, faults = logging.getLogger("tukio.run"), _Faults()
    log.addHandler(faults)
    try:
        yield
    finally:
        log.removeHandler(faults)
    if faults.errors:
        guarantee, errors = "G7", "; ".join(faults.errors)
        raise BrokenGuarantee(guarantee, f"a run could not go on: {errors}")
