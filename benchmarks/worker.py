"""One measure, in a process of its own: `python -m benchmarks.worker MODULE BACKEND WORK SIZE`.

The last line it prints is a JSON object: what was measured, or why it was not. It runs on every
Python that a contender needs, so it uses nothing newer than 3.9.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import platform
import sys
import traceback
from typing import TYPE_CHECKING, Any

from benchmarks.meter import Meter, NotAvailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.meter import Work


def measure(
    module: str, backend: str, work: str, size: int, enough: float | None = None
) -> dict[str, Any]:
    """Do one work of a contender, and return what was measured or the problem.

    Args:
        module: Module of the contender, below `benchmarks.contenders`.
        backend: `asyncio`, `uvloop` or `trio`.
        work: A key of the `WORKS` of that module.
        size: How many at once.
        enough: Seconds to measure for; None is the usual.
    """
    meter = Meter() if enough is None else Meter(enough)
    try:
        contender = importlib.import_module(f"benchmarks.contenders.{module}")
        distributions = contender.DISTRIBUTIONS
        run_on(backend, contender.WORKS[work], meter, size)
    except NotAvailable as exc:
        return {"problem": f"not available: {exc}"}
    except ModuleNotFoundError as exc:
        return {"problem": f"not installed: {exc}"}
    except Exception as exc:  # noqa: BLE001 - whatever a contender raises is its result
        traceback.print_exc()
        return {"problem": f"failed: {type(exc).__name__}: {first_line(exc)}"}
    each = 1e6 / meter.units if meter.units else None
    return {
        "cpu_us": each and meter.cpu * each,
        "wall_us": each and meter.wall * each,
        "figures": meter.figures,
        "versions": versions_of(distributions),
    }


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of what is installed of some distributions, and of Python."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def run_on(backend: str, work: Work, meter: Meter, size: int) -> None:
    """Run a work on a backend, to its end."""
    if backend == "trio":
        import trio

        trio.run(work, meter, size)
    elif backend == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(meter, size))
    else:
        asyncio.run(work(meter, size))


def first_line(exc: BaseException) -> str:
    """Return the first line of what an exception says, shortened."""
    text = str(exc).strip().partition("\n")[0]
    return text if len(text) <= 200 else f"{text[:197]}..."


if __name__ == "__main__":
    outcome = measure(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
    print("\n" + json.dumps(outcome))
