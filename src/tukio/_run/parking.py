"""Steps that wait without a driver: what they raise then, and how their run goes on from their end.

Such a step settles itself when what it waits for has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.state import RUNNING

if TYPE_CHECKING:
    from .run import Run


class Parked(Exception):
    """The step goes on without its driver, and settles itself when it has ended."""


def go_on(run: Run) -> None:
    """Have a run go on from the end of a step, if no driver has come to that."""
    if run.phase is RUNNING:
        run.call_for_driver()
    run.end_if_empty()
