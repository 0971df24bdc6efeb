"""What is alive when nothing should be, and whether it grows.

Owns:   the looks at the process between two engines, and the verdict on them.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MIB = 2**20

RUN_OBJECTS = frozenset(
    {"Run", "TaskRun", "AsyncioWorkflow", "TrioWorkflow", "TukioTask", "TrioDriver", "Waiting"}
)
"""The types that a run consists of."""

MOST_GROWTH = 0.10
"""By what part of itself the memory may grow, after the warm-up."""

MOST_MIB = 8.0
"""What it may grow by in any case: the allocator keeps some."""

MOST_OBJECTS = 2000
"""How many more objects there may be at the end; a leak of one a run makes tens of thousands."""


@dataclass(frozen=True, slots=True)
class Look:
    """The process at a moment at which no engine is alive.

    Attributes:
        mib: Its resident memory; None where the system does not tell.
        objects: How many objects the garbage collector knows.
        left: How many objects of runs there are, by type; none, if nothing is wrong.
    """

    mib: float | None
    objects: int
    left: Counter[str]


def look() -> Look:
    """Look at the process now."""
    gc.collect()
    objects = gc.get_objects()
    names = (type(thing).__name__ for thing in objects)
    left = Counter(name for name in names if name in RUN_OBJECTS)
    return Look(resident(), len(objects), left)


def resident() -> float | None:
    """Return the resident memory of this process in MiB; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def problems(looks: list[Look]) -> list[str]:
    """Return what is wrong with the looks after the warm-up, in order; nothing if all is flat.

    The medians of the first and of the last third are compared: single looks are noisy.
    """
    found = [f"still alive: {dict(left.left)}" for left in looks if left.left][:1]
    third = max(len(looks) // 3, 1)
    first, last = looks[:third], looks[-third:]
    grown = median(one.objects for one in last) - median(one.objects for one in first)
    if grown > MOST_OBJECTS:
        found.append(f"{grown:.0f} objects more at the end than after the warm-up")
    before = [one.mib for one in first if one.mib is not None]
    after = [one.mib for one in last if one.mib is not None]
    if before and after:
        more, allowed = median(after) - median(before), median(before) * MOST_GROWTH
        if more > max(allowed, MOST_MIB):
            found.append(f"{more:.1f} MiB more at the end than after the warm-up")
    return found
