"""Say one workflow twice, as data and in code, and see that both are the same.

$ python examples/both_forms.py
one document: True
as data {'show': {'left': {'words': 3}, 'right': {'words': 3}}}
in code {'show': {'left': {'words': 3}, 'right': {'words': 3}}}
"""

from __future__ import annotations

from typing import Any

import anyio

import tukio
from tukio.flow import flow, task


@task
async def fetch(event: tukio.Event) -> dict[str, Any]:
    """Return a page."""
    return {"page": f"page of {event.data['url']}"}


@task
async def count(event: tukio.Event) -> dict[str, Any]:
    """Count the words of a page."""
    return {"words": len(event.data["page"].split())}


@task
async def show(event: tukio.Event) -> dict[str, Any]:
    """Return what has come: `collect: all` makes a dict of parent id to data."""
    return dict(event.data)


AS_DATA = {
    "id": "crawl",
    "topics": ["urls"],
    "policy": "start-new",
    "tasks": [
        {"id": "fetch", "name": "fetch", "timeout": 10, "on_timeout": "fail"},
        {"id": "left", "name": "count"},
        {"id": "right", "name": "count"},
        {"id": "show", "name": "show", "join": "all", "collect": "all"},
    ],
    "graph": {"fetch": ["left", "right"], "left": ["show"], "right": ["show"]},
}

# Policy, `on_timeout` and `join` are what a flow says where you say nothing.
IN_CODE = flow(
    "crawl",
    fetch.of(timeout=10) >> (count.of(id="left"), count.of(id="right")) >> show.of(collect="all"),
    topics=["urls"],
)


async def main() -> None:
    """Compare both, and run both."""
    as_data = tukio.WorkflowTemplate.from_dict(AS_DATA)
    print("one document:", as_data.as_dict() == IN_CODE.as_dict())
    async with tukio.Engine() as engine:
        for name, template in (("as data", as_data), ("in code", IN_CODE)):
            run = await engine.start(template, {"url": "a.example"})
            await run.wait(check=True)
            print(name, run.output)


if __name__ == "__main__":
    anyio.run(main)
