"""A crawler: a few requests at once for each host, retries, and what is there when time is up.

The pages of one run are fetched within one task. A limit for all of them is the limit of that task;
its `teardown()` hands on what has come by then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

import tukio
from tukio.task import Registry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

AT_ONCE = 2
"""The number of requests that a host gets at once."""

CRAWL = {
    "id": "crawl",
    "policy": "start-new",
    "tasks": [{"id": "pages", "name": "fetch", "timeout": 10.5}, {"id": "sum", "name": "sum_up"}],
    "graph": {"pages": ["sum"]},
}


async def persistently(
    function: Callable[[str], Awaitable[str]], url: str, *, attempts: int = 4
) -> str:
    """Call a function again when the connection fails, each time after twice the pause."""
    for attempt in range(attempts - 1):
        with suppress(ConnectionError):
            return await function(url)
        await anyio.sleep(2**attempt)
    return await function(url)


def crawler(get: Callable[[str], Awaitable[str]]) -> Registry:
    """Return the tasks of a crawler that asks for pages by a client."""
    registry = Registry()

    @registry.task("fetch")
    class Fetch(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            self.urls: list[str] = event.data["urls"]
            self.pages: dict[str, str] = {}
            hosts = defaultdict[str, Any](lambda: anyio.CapacityLimiter(AT_ONCE))
            async with anyio.create_task_group() as group:
                for url in self.urls:
                    host, _, _ = url.partition("/")
                    group.start_soon(self.fetch, url, hosts[host])
            return self.found()

        async def fetch(self, url: str, host: anyio.CapacityLimiter) -> None:
            with suppress(ConnectionError):
                async with host:
                    self.pages[url] = await persistently(get, url)
                progress = {"done": len(self.pages), "of": len(self.urls)}
                tukio.current_task().dispatch_progress(progress)

        def found(self) -> dict[str, Any]:
            missing = [url for url in self.urls if url not in self.pages]
            return {"pages": self.pages, "missing": missing}

        def teardown(self) -> dict[str, Any]:
            return self.found()

    @registry.task
    async def sum_up(event: tukio.Event) -> dict[str, int]:
        return {"pages": len(event.data["pages"]), "missing": len(event.data["missing"])}

    return registry


class Web:
    """Stands for the web: a request takes a second, and some hosts fail."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def get(self, url: str) -> str:
        """Return a page. `flaky` fails twice, `down` always."""
        host, _, page = url.partition("/")
        self.asked[url] += 1
        self.at_once[host] += 1
        self.most[host] = max(self.most[host], self.at_once[host])
        await anyio.sleep(1)
        self.at_once[host] -= 1
        if host == "down" or (host == "flaky" and self.asked[url] < 3):
            raise ConnectionError(host)
        return page.upper()


async def crawled(web: Web, urls: list[str]) -> tuple[Any, list[Any]]:
    """Return a run that is over, and the progress that it has told of."""
    async with tukio.Engine(registry=crawler(web.get)) as engine:
        run = await engine.start(CRAWL, {"urls": urls})
        told = [event.data async for event in run.events()]
    return run, [data["content"] for data in told if data["type"] == "task-progress"]


async def test_few_requests_at_once_for_each_host() -> None:
    """Hosts are asked side by side, and each page that has come is told of."""
    web, urls = Web(), [f"{host}/{n}" for n in range(6) for host in ("a", "b")]
    run, progress = await crawled(web, urls)
    assert run.ok
    assert run.output == {"sum": {"pages": 12, "missing": 0}}
    assert web.most == {"a": AT_ONCE, "b": AT_ONCE}
    assert anyio.current_time() == 3
    assert progress == [{"done": n, "of": 12} for n in range(1, 13)]


async def test_what_fails_is_asked_again() -> None:
    """After one second, then two; a host that is down is given up after four times."""
    web = Web()
    run, _ = await crawled(web, ["flaky/1", "a/1"])
    assert run.outputs["pages"]["pages"] == {"a/1": "1", "flaky/1": "1"}
    assert anyio.current_time() == 1 + 1 + 1 + 2 + 1
    run, _ = await crawled(web, ["down/1", "a/2"])
    assert run.output == {"sum": {"pages": 1, "missing": 1}}
    assert web.asked["down/1"] == 4


async def test_what_is_there_when_time_is_up_goes_on() -> None:
    """With the pages that are missing; and the run does not say that all went well."""
    urls = [f"a/{n}" for n in range(30)]
    run, _ = await crawled(Web(), urls)
    assert anyio.current_time() == 10.5
    assert run.output == {"sum": {"pages": 20, "missing": 10}}
    found = run.outputs["pages"]
    assert sorted([*found["pages"], *found["missing"]]) == sorted(urls)
    assert (run.ok, run.status, run.errors) == (False, "flawed", {})
    assert str(run.unhandled["pages"]) == "task 'pages' has reached its time limit of 10.5 s"
