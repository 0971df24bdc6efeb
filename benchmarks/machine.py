"""Where, when and how something was measured."""

from __future__ import annotations

import os
import platform
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Machine:
    """The facts that a figure is worth little without.

    Attributes:
        system: Operating system and kind of processor.
        processor: Its name, or an empty string.
        cores: How many; None if unknown.
        load: Processes at work before the run began, on average of a minute; None if unknown.
        python: Version of the Python that runs this.
        date: Day of the run, UTC.
        command: What was typed.
    """

    system: str
    processor: str
    cores: int | None
    load: float | None
    python: str
    date: str
    command: str

    @classmethod
    def now(cls, arguments: list[str]) -> Self:
        """Return the facts of here and now."""
        return cls(
            system=f"{platform.system()} {platform.machine()}",
            processor=_processor(),
            cores=os.cpu_count(),
            load=round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            # Only the names of files: where they are says nothing to others.
            command=shlex.join(["python", "-m", "benchmarks", *(Path(a).name for a in arguments)]),
        )

    def text(self) -> str:
        """Return the machine in a line."""
        load = "" if self.load is None else f", load {self.load:g} before the run"
        name = f" ({self.processor})" if self.processor else ""
        return f"{self.python}, {self.system}, {self.cores} cores{name}{load}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""
