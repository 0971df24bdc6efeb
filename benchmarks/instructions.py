"""Processor instructions per unit of a work: `python -m benchmarks.instructions asyncio noop`.

Needs valgrind. Steadier than time: two runs differ by a few in a thousand, whatever else the
machine does. It says nothing of caches: a change that keeps fewer objects gains more in time.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from .environments import ROOT
from .meter import Meter
from .worker import run_on

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSES = 3


class Passes(Meter):
    """Has a work done so many times, and takes no time.

    Args:
        count: How often, after the warm-up.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def passes(self, size: int, units: int | None = None) -> Iterator[int]:
        """Yield how many units to do: a few first, then all of them for each pass."""
        del units
        yield min(size, 20)
        for _ in range(self._count):
            yield size


def instructions(what: list[str], passes: int) -> int:
    """Return how many instructions a process takes that does a work so many times."""
    valgrind = [
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
    ]
    command = [*valgrind, sys.executable, "-m", "benchmarks.instructions", *what]
    done = subprocess.run(  # noqa: S603 - this module
        [*command, "--passes", str(passes)],
        cwd=ROOT,
        # Whatever the first of two processes compiles, the second one does, too.
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    counted = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    assert counted is not None, done.stderr
    return int(counted[1].replace(",", ""))


def leave_out_lookout() -> None:
    """Have nobody look at times who holds the loop.

    That is done by the clock. Here all takes fifty times as long as usual, and longer while the
    machine does something else, so it would be counted far more often than it is due.
    """
    with suppress(ImportError):
        lookout = importlib.import_module("tukio._loop.lookout")
        lookout.PERIOD = 3600.0  # type: ignore[attr-defined]


def main(arguments: list[str]) -> None:
    """Print the figure; with `--passes`, do the work that is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("backend")
    parser.add_argument("work")
    parser.add_argument("--module", default="tukio2", help="of a contender")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--passes", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.passes is not None:
        leave_out_lookout()
        works = importlib.import_module(f"benchmarks.contenders.{options.module}").WORKS
        run_on(options.backend, works[options.work], Passes(options.passes), options.size)
        return
    more, fewer = instructions(arguments, 1 + PASSES), instructions(arguments, 1)
    each = (more - fewer) / PASSES / options.size
    print(
        f"{options.module} on {options.backend}, {options.work}: {each / 1000:.1f} k instructions"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
