"""dbos: durable workflows; each step is written to a database, here SQLite, before the next.

The branches run with `asyncio.gather`, as its guide on parallel steps does.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"

from __future__ import annotations

import asyncio
import functools
import tempfile
from typing import TYPE_CHECKING, Any

from dbos import DBOS

from benchmarks.contenders.steps import Data, count, noop, pause, verify

if TYPE_CHECKING:
    from benchmarks.meter import Meter, Work

DISTRIBUTIONS = ("dbos",)


@DBOS.step()
async def step(data: Data, *, pauses: bool) -> Data:
    """Be any step of the DAG."""
    await (pause() if pauses else noop())
    return count(data)


@DBOS.workflow()
async def readme(data: Data, *, pauses: bool) -> list[Data]:
    """Run the DAG of the README."""

    async def branch(found: Data) -> Data:
        found = await step(found, pauses=pauses)
        found = await step(found, pauses=pauses)
        return found  # noqa: RET504 - its type is not known where dbos is not installed

    data = await step(data, pauses=pauses)
    data = await step(data, pauses=pauses)
    return list(await asyncio.gather(branch(data), branch(data)))


async def workflows(meter: Meter, size: int, *, pauses: bool) -> None:
    """Run the DAG `size` times at once, in a database of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        config: Any = {
            "name": "benchmark",
            "system_database_url": f"sqlite:///{folder}/benchmark.sqlite",
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()
        try:
            for number in meter.passes(size):
                runs = [readme({"value": 0}, pauses=pauses) for _ in range(number)]
                found = await asyncio.gather(*runs)
            verify(done=found == [[{"value": 4}, {"value": 4}]] * size, what=found[:1])
        finally:
            DBOS.destroy()


WORKS: dict[str, Work] = {
    "noop": functools.partial(workflows, pauses=False),
    "pause": functools.partial(workflows, pauses=True),
}
