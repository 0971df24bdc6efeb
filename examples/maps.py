"""Run a task once for each item of a list, a few at a time, and go on with all results.

$ python examples/maps.py
3 pages of 4, 1 failed: each[2]
"""

from __future__ import annotations

import logging

import anyio

import tukio


@tukio.register
async def find(event: tukio.Event) -> dict[str, object]:
    """Return the list that the next task is mapped over."""
    return {"pages": [{"url": f"/{number}"} for number in range(event.data["pages"])]}


@tukio.register
async def fetch(event: tukio.Event) -> dict[str, object]:
    """Fetch one page: an item that is a dict is what the task is given."""
    await anyio.sleep(0.05)
    if event.data["url"] == "/2":
        raise ConnectionError(event.data["url"])
    return {"text": f"page {event.data['url']}"}


@tukio.register
async def tell(event: tukio.Event) -> dict[str, object]:
    """Take the results, in the order of the items; None stands for one that failed."""
    fetched = [one for one in event.data["texts"] if one is not None]
    return {"told": f"{len(fetched)} pages of {len(event.data['pages'])}"}


TEMPLATE = {
    "id": "pages",
    "tasks": [
        {"id": "find", "name": "find"},
        {
            "id": "each",
            "name": "fetch",
            "map": {"over": "$.pages", "limit": 2, "tolerate": 1, "into": "texts"},
        },
        {"id": "tell", "name": "tell"},
    ],
    "graph": {"find": ["each"], "each": ["tell"]},
}


async def main() -> None:
    """Run the workflow once."""
    async with tukio.Engine() as engine:
        run = await engine.start(TEMPLATE, {"pages": 4})
        await run.wait(check=True)
    print(f"{run.output['tell']['told']}, {len(run.errors)} failed: {', '.join(run.errors)}")


if __name__ == "__main__":
    # What fails is logged; here it is printed instead.
    logging.getLogger("tukio").setLevel(logging.CRITICAL)
    anyio.run(main)
