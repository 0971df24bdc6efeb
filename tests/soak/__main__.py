"""Load each backend for a while: `PYTHONPATH=tests python -m soak [SECONDS] [BACKEND ...]`.

The seconds, 60 unless given, are those of one processor, shared among the backends, all that are
installed unless given. Each has a process of its own, so that its memory is its own; they run side
by side where there are processors. It fails if a guarantee is broken, something is left behind, or
memory grows.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import secrets
import subprocess
import sys
from random import Random

import anyio

from support.leaks import no_asyncio_errors
from tukio.testing.clock import BACKENDS, is_available

from .load import Load, quiet, soak

GRACE = 60
"""Seconds after its time at which a process that goes on shows where it is, and ends."""


def main() -> int:
    """Load the backends, each in a process; return what the process ends with."""
    parser = argparse.ArgumentParser("soak", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60)
    parser.add_argument("backends", nargs="*", default=[*filter(is_available, BACKENDS)])
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--here", action="store_true", help="in this process, for one backend")
    chosen = parser.parse_args()
    if chosen.here:
        [backend] = chosen.backends
        return here(backend, chosen.seconds, chosen.seed)
    # Those that run at once share the processors.
    at_once = min(len(chosen.backends), os.cpu_count() or 1)
    share = chosen.seconds / at_once
    command, options = (
        [sys.executable, "-m", "soak", str(share)],
        [f"--seed={chosen.seed}", "--here"],
    )
    processes = [subprocess.Popen([*command, one, *options]) for one in chosen.backends]
    ends = [process.wait() for process in processes]
    return 1 if any(ends) else 0


def here(backend: str, seconds: float, seed: int) -> int:
    """Load one backend in this process."""
    print(f"{backend}: {seconds:g} s, --seed={seed}", flush=True)
    faulthandler.dump_traceback_later(seconds + GRACE, exit=True)
    dice = Random(seed)
    load = Load(dice)

    def say(line: str) -> None:
        print(f"{backend:8}{line}", flush=True)

    name, options = ("trio", {}) if backend == "trio" else ("asyncio", {})
    if backend == "uvloop":
        options = {"use_uvloop": True}
    with quiet(), no_asyncio_errors():
        wrong = anyio.run(soak, load, dice, seconds, say, backend=name, backend_options=options)
    for what, count in sorted(load.counts.items()):
        print(f"{'':8}{count:8} {what}")
    for problem in wrong:
        print(f"{backend:8}WRONG: {problem}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
