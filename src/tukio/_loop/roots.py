"""The loose runs of a loop, and the word about those that the end of the loop cuts short.

Nothing above a loose run keeps it alive, and nothing waits for it: when the program ends, it is cut
wherever it is.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakValueDictionary

from .._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._model.template import WorkflowTemplate

log: Log = Log("tukio.engine")

FEW: Final = 3
"""The number of runs that are named."""

known: Final[WeakValueDictionary[int, Roots]] = WeakValueDictionary()
"""All that there are, by their ids."""


class LooseRun(Protocol):
    """A run, as it is told of."""

    @property
    def uid(self) -> str:
        """Its id."""
        ...

    @property
    def template(self) -> WorkflowTemplate:
        """What is run."""
        ...


class Roots(set[Any]):
    """The loose runs of a loop that are not over.

    Args:
        call_soon: The method of the loop.
    """

    __slots__ = ("_call_soon", "_cut")

    def __init__(self, call_soon: Callable[[Callable[[], object]], object]) -> None:
        super().__init__()
        self._call_soon: Callable[[Callable[[], object]], object] = call_soon
        # The runs that were cut short, and that nothing was said about so far.
        self._cut: list[LooseRun] = []
        known[id(self)] = self

    def cut_short(self, run: LooseRun) -> None:
        """Called when a run is cancelled because its loop ends."""
        self._cut.append(run)
        if len(self._cut) == 1:
            # When all are known: those with a task of their own in the next turn of the loop, and
            # those that are only attended to in the one after.
            self._call_soon(self._wait_for_the_rest)

    def _wait_for_the_rest(self) -> None:
        self._call_soon(self._tell_of_the_cut)

    def _tell_of_the_cut(self) -> None:
        cut, self._cut = self._cut, []
        _tell(cut)

    def tell_of_all(self) -> None:
        """Called when there is no turn any more in which they could be cancelled."""
        left = list(self)
        self.clear()
        if left:
            _tell(left)

    def __del__(self) -> None:
        self.tell_of_all()


if hasattr(os, "register_at_fork"):
    # The loops of the parent go on there.
    os.register_at_fork(after_in_child=known.clear)


@atexit.register
def _tell_at_exit() -> None:
    """Tell of the runs of loops that were closed, and are still known: nothing collects these."""
    for roots in list(known.values()):
        roots.tell_of_all()


def _tell(runs: list[LooseRun]) -> None:
    log.warning(
        "the event loop ends, and runs are cut short that nobody has waited for, %d in all: %s -"
        " use the engine by 'async with tukio.Engine()', or await engine.stop() before the end",
        len(runs),
        "; ".join(f"{run.template.uid} {run.uid}" for run in runs[:FEW]),
    )
