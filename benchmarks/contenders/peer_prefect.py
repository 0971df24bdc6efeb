"""prefect: flows of tasks, whose states are kept by a server, here one of its own on SQLite.

The server is a process of its own on the loopback, started before the first pass and not counted
with it. Mapped tasks run in threads, as it runs all that is mapped or submitted.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.peer_policies import ATTEMPTS, maps, of, within
from benchmarks.contenders.steps import Data, count, noop, pause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.contenders.peer_policies import Wait
    from benchmarks.meter import Work

# It reads them when it is imported: nothing is sent anywhere, and nothing is left behind.
os.environ.update(
    PREFECT_HOME=tempfile.mkdtemp(prefix="tukio-benchmarks-"),
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    DO_NOT_TRACK="1",
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_LOGGING_TO_API_ENABLED="false",
)

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.testing.utilities import prefect_test_harness

DISTRIBUTIONS = ("prefect",)

atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)


async def work(data: Data, *, pauses: bool = False) -> Data:
    """Be the work of any task."""
    await (pause() if pauses else noop())
    return count(data)


step = task(work, name="step")
retried = task(work, name="retried", retries=ATTEMPTS - 1)


@flow
async def readme(data: Data, *, pauses: bool, retries: bool = False) -> list[Data]:
    """Run the DAG of the README."""
    do = retried if retries else step

    async def branch(found: Data) -> Data:
        found = await do(found, pauses=pauses)
        found = await do(found, pauses=pauses)
        return found  # noqa: RET504 - its type is not known where prefect is not installed

    data = await do(data, pauses=pauses)
    data = await do(data, pauses=pauses)
    return list(await asyncio.gather(branch(data), branch(data)))


@flow
async def child(data: Data) -> Any:
    """Be a flow of one task."""
    return await step(data)


@flow
async def parent(data: Data, *, has_child: bool) -> Any:
    """Run a chain of three tasks; the one in the middle may be a flow."""
    data = await step(data)
    data = await (child(data) if has_child else step(data))
    return await step(data)


def make_map(wait: Wait, at_once: int | None) -> Any:
    """Return what maps a task over items."""
    pauses = wait is pause

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=at_once))
    def mapped(items: list[Data]) -> list[Data]:
        return list(step.map(items, pauses=pauses).result())

    return lambda items: asyncio.to_thread(mapped, items)


@contextmanager
def server() -> Iterator[None]:
    """Run a server for as long as it is needed."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


README_RUN = [{"value": 4}, {"value": 4}]
CHAIN_RUN = {"value": 3}

WORKS: dict[str, Work] = within(
    server,
    {
        "noop": of(readme, README_RUN, pauses=False),
        "pause": of(readme, README_RUN, pauses=True),
        "retry noop": of(readme, README_RUN, pauses=False, retries=True),
        **maps(make_map),
        "child": of(parent, CHAIN_RUN, has_child=True),
        "no child": of(parent, CHAIN_RUN, has_child=False),
    },
)
