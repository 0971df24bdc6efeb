"""dbos: durable workflows; each step is written to a database, here SQLite, before the next.

The branches run with `asyncio.gather`, as its guide on parallel steps does, and so do the steps of
items. To limit how many are at work at once takes a queue, whose items are workflows of their own.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"

from __future__ import annotations

import asyncio
import functools
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbos import DBOS

from benchmarks.contenders.peer_policies import ATTEMPTS, DELAY, Failing, maps, of, waiting, within
from benchmarks.contenders.steps import Data, count, noop, pause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.contenders.peer_policies import Wait
    from benchmarks.meter import Work

DISTRIBUTIONS = ("dbos",)
QUEUE = "items"
POLLING_SECONDS = 0.01
"""How often the queue looks for items; a hundred times as often as it does unless it is told."""

failing = Failing()


async def work(data: Data, *, pauses: bool = False) -> Data:
    """Be the work of any step."""
    await (pause() if pauses else noop())
    return count(data)


async def fail(data: Data) -> Data:
    """Be a step that fails."""
    failing.fail()
    return data


step = DBOS.step(name="step")(work)
retried = DBOS.step(name="retried", retries_allowed=True, max_attempts=ATTEMPTS)(work)
failed = DBOS.step(
    name="failed", retries_allowed=True, max_attempts=2, interval_seconds=DELAY, backoff_rate=1.0
)(fail)


@DBOS.workflow()
async def readme(data: Data, *, pauses: bool, retries: bool = False) -> list[Data]:
    """Run the DAG of the README."""
    do = retried if retries else step

    async def branch(found: Data) -> Data:
        found = await do(found, pauses=pauses)
        found = await do(found, pauses=pauses)
        return found  # noqa: RET504 - its type is not known where dbos is not installed

    data = await do(data, pauses=pauses)
    data = await do(data, pauses=pauses)
    return list(await asyncio.gather(branch(data), branch(data)))


@DBOS.workflow()
async def mapped(items: list[Data], *, pauses: bool) -> list[Data]:
    """Run a step for each item, all at once."""
    return list(await asyncio.gather(*[step(item, pauses=pauses) for item in items]))


@DBOS.workflow()
async def one_item(item: Data, *, pauses: bool) -> Any:
    """Run the step of an item that was in the queue."""
    return await step(item, pauses=pauses)


@DBOS.workflow()
async def queued(items: list[Data], *, pauses: bool) -> list[Data]:
    """Put the items into a queue, and wait for all."""
    handles = [await DBOS.enqueue_workflow_async(QUEUE, one_item, i, pauses=pauses) for i in items]
    return [await handle.get_result() for handle in handles]


@DBOS.workflow()
async def child(data: Data) -> Any:
    """Be a workflow of one step."""
    return await step(data)


@DBOS.workflow()
async def parent(data: Data, *, has_child: bool) -> Any:
    """Run a chain of three steps; the one in the middle may be a workflow."""
    data = await step(data)
    data = await (child(data) if has_child else step(data))
    return await step(data)


@DBOS.workflow()
async def fails(data: Data) -> Any:
    """Run a step that fails."""
    return await failed(data)


@contextmanager
def database() -> Iterator[None]:
    """Run dbos on a database of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        config: Any = {
            "name": "benchmark",
            "system_database_url": f"sqlite:///{folder}/benchmark.sqlite",
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()
        try:
            yield
        finally:
            DBOS.destroy()


def make_map(wait: Wait, at_once: int | None) -> Any:
    """Return what maps a step over items."""
    pauses = wait is pause
    if at_once is None:
        return functools.partial(mapped, pauses=pauses)
    ready: list[Any] = []

    async def run_items(items: list[Data]) -> Any:
        if not ready:
            words: Any = {"worker_concurrency": at_once, "polling_interval_sec": POLLING_SECONDS}
            ready.append(await DBOS.register_queue_async(QUEUE, **words))
        return await queued(items, pauses=pauses)

    return run_items


def make_failing(counted: Failing) -> Any:
    """Return what starts a workflow of one step that fails."""
    global failing  # noqa: PLW0603 - a step is a function of the module, and takes only data
    failing = counted
    return lambda: asyncio.create_task(fails({"value": 0}))


README_RUN = [{"value": 4}, {"value": 4}]
CHAIN_RUN = {"value": 3}

WORKS: dict[str, Work] = within(
    database,
    {
        "noop": of(readme, README_RUN, pauses=False),
        "pause": of(readme, README_RUN, pauses=True),
        "retry noop": of(readme, README_RUN, pauses=False, retries=True),
        **maps(make_map),
        "child": of(parent, CHAIN_RUN, has_child=True),
        "no child": of(parent, CHAIN_RUN, has_child=False),
        "back-off": waiting(make_failing),
    },
)
