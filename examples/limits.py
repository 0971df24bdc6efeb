"""Cut a task at its time limit, and go on with what it has got by then.

$ python examples/limits.py
{'pages': ['a', 'b'], 'whole': False}
flawed {'count': {'pages': 2}} task 'crawl' has reached its time limit of 0.2 s
"""

from __future__ import annotations

from typing import Any

import anyio

import tukio


@tukio.register("crawl", "crawl")
class Crawl(tukio.TaskHolder):
    """Fetches pages; a holder is made anew for each run of the task."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.pages: list[str] = []

    async def crawl(self, event: tukio.Event) -> dict[str, object]:
        """Fetch one page after the other; one of them never answers."""
        for url in event.data["urls"]:
            if url == "stuck":
                await anyio.sleep_forever()
            self.pages.append(url)
        return {"pages": self.pages, "whole": True}

    async def teardown(self) -> dict[str, object]:
        """Return what goes on in place of the result; called once, shielded, after the cut."""
        return {"pages": self.pages, "whole": False}


@tukio.register
async def count(event: tukio.Event) -> dict[str, int]:
    """Count what has come."""
    print(event.data)
    return {"pages": len(event.data["pages"])}


TEMPLATE = {
    "id": "crawler",
    "timeout": 30,
    "tasks": [
        {"id": "crawl", "name": "crawl", "timeout": 0.2},
        {"id": "count", "name": "count"},
    ],
    "graph": {"crawl": ["count"]},
}


async def main() -> None:
    """Run the workflow once."""
    async with tukio.Engine() as engine:
        run = await engine.start(TEMPLATE, {"urls": ["a", "b", "stuck", "c"]})
        await run.wait()
    print(run.status, run.output, *run.unhandled.values())


if __name__ == "__main__":
    anyio.run(main)
