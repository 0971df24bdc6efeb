"""Record what tukio 1.1.2 does: `python record.py DIRECTORY`, on a Python where it is installed.

Each scenario gets an event loop of its own: asyncio's, whose clock jumps over the time in which
nothing happens. So a record does not depend on how fast the machine is, and recording again gives
the same files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import selectors
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from recorded.scenarios import SCENARIOS
from recorded.stage import Stage

RECORDED = "1.1.2"
"""The version whose behaviour is kept."""

WIDTH, DEPTH = 100, 5
"""Of the files: a line holds what fits on it, and always one event or one task of a report."""


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: says how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: float = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready now; None, to wait for ever, means that a scenario is stuck."""
        if timeout is None:
            msg = "the scenario waits for something that never happens"
            raise RuntimeError(msg)
        self.waited += timeout
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time."""
        return self._jumping.waited


async def play(scenario: Any) -> Any:
    """Play one scenario, and return its record."""
    stage = Stage()
    try:
        await scenario(stage)
        return await stage.record()
    finally:
        stage.close()


def text(value: Any, depth: int = 0) -> str:
    """Return JSON with one line for each thing that people look at."""
    line, margin = json.dumps(value), "  " * depth
    if len(margin + line) < WIDTH or depth >= DEPTH or not isinstance(value, (dict, list)):
        return line
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {text(inner, depth + 1)}" for key, inner in value.items()]
    else:
        rows = [text(inner, depth + 1) for inner in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    lines = ",\n".join(f"{margin}  {row}" for row in rows)
    return f"{opening}\n{lines}\n{margin}{closing}"


def main(directory: str) -> None:
    """Write one file per scenario into a directory.

    Raises:
        SystemExit: This is another tukio. Nothing is written.
    """
    if version("tukio") != RECORDED:
        sys.exit(f"this is tukio {version('tukio')}, not {RECORDED} - pip install it on Python 3.9")
    logging.disable(logging.CRITICAL)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    for name, scenario in SCENARIOS.items():
        loop = JumpingLoop()
        asyncio.set_event_loop(loop)
        try:
            record = loop.run_until_complete(play(scenario))
        finally:
            loop.close()
        (folder / f"{name}.json").write_text(text(record) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
