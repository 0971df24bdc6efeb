"""The mark of tests that run in virtual time, and the parameters that follow from it.

Owns:   the names of the mark and of its parameters, and what the arguments of the mark mean.
Knows:  how pytest represents marks and parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .clock import BACKENDS, is_available
from .deadlock import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MARK = "virtual_time"
BACKEND = "tukio_backend"
SEED = "tukio_seed"


@dataclass(frozen=True, kw_only=True)
class VirtualTimeMark:
    """The arguments of a test's mark.

    Attributes:
        backends: The backends to run the test on, one or more; None is all that are installed. A
            backend that is not installed is skipped.
        seeds: The seeds to run the test with: their number, or the seeds themselves; None is the
            order of the backend.
        patience: Real seconds to wait for the threads of the test.
    """

    backends: str | Iterable[str] | None = None
    seeds: int | Iterable[int] | None = None
    patience: float = PATIENCE

    def backend_params(self) -> list[Any]:
        """Return the backends as parameters.

        Raises:
            UsageError: A backend is unknown.
        """
        names = self.backends
        if names is None:
            return [name for name in BACKENDS if is_available(name)]
        params: list[Any] = []
        for name in [names] if isinstance(names, str) else names:
            if name not in BACKENDS:
                msg = f"no backend is called {name!r} - the mark takes {', '.join(BACKENDS)}"
                raise pytest.UsageError(msg)
            skip = pytest.mark.skipif(not is_available(name), reason=f"{name} is not installed")
            params.append(pytest.param(name, marks=skip))
        return params

    def seed_params(self) -> list[Any]:
        """Return the seeds as parameters."""
        if self.seeds is None:
            return [None]
        seeds = range(self.seeds) if isinstance(self.seeds, int) else self.seeds
        return [pytest.param(seed, id=f"seed{seed}") for seed in seeds]

    def way(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of `run` for a test.

        Args:
            given: The arguments of the test, with the backend and the seed that are its parameters.
        """
        return {"backend": given[BACKEND], "seed": given.get(SEED), "patience": self.patience}


def mark_of(node: pytest.Collector | pytest.Item, test: object = None) -> VirtualTimeMark | None:
    """Return the mark of a test; None if the test has none.

    Of several in one place, it is the last one: that of a class, and not of its base class; that of
    a parameter, and not of the test; the uppermost one of a function.

    Args:
        node: The test, or the collector that has found the function.
        test: The function, if it was only found; or the `staticmethod`, or the like, of one.

    Raises:
        UsageError: The mark has wrong arguments.
    """
    inner = getattr(test, "__func__", None)
    found = [[*getattr(inner, "pytestmark", ()), *getattr(test, "pytestmark", ())]]
    # In this order: each node of pytest has the marks of its own in order, base classes first.
    found += [above.own_markers for above in reversed(node.listchain())]
    own = ([mark for mark in marks if mark.name == MARK] for marks in found)
    mark = next((marks[-1] for marks in own if marks), None)
    try:
        return None if mark is None else VirtualTimeMark(*mark.args, **mark.kwargs)
    except TypeError as error:
        msg = f"@pytest.mark.{MARK} takes backends=, seeds= and patience= ({error})"
        raise pytest.UsageError(msg) from None
