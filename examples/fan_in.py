"""Run tasks side by side, and go on with what all of them returned.

$ python examples/fan_in.py
{'far': {'price': 30}, 'near': {'price': 40}}
{'best': {'shop': 'far'}}
"""

from __future__ import annotations

import anyio

import tukio


@tukio.register
async def ask(event: tukio.Event) -> None:
    """Return None: the successors get the inputs."""


@tukio.register
async def quote(event: tukio.Event) -> dict[str, object]:
    """Ask a shop for its price; the config of the task says which shop, and the price."""
    shop = tukio.current_task().template.config
    await anyio.sleep(shop["takes"])
    return {"price": shop["price"] * event.data["amount"]}


@tukio.register
async def compare(event: tukio.Event) -> dict[str, object]:
    """Choose among the parents: `collect: all` makes a dict of parent id to data."""
    print(event.data)
    return {"shop": min(event.data, key=lambda shop: event.data[shop]["price"])}


TEMPLATE = {
    "id": "quotes",
    "tasks": [
        {"id": "ask", "name": "ask"},
        {"id": "near", "name": "quote", "config": {"takes": 0.2, "price": 4}},
        {"id": "far", "name": "quote", "config": {"takes": 0.1, "price": 3}},
        {"id": "best", "name": "compare", "join": "all", "collect": "all"},
    ],
    "graph": {"ask": ["near", "far"], "near": ["best"], "far": ["best"]},
}


async def main() -> None:
    """Run the workflow once."""
    async with tukio.Engine() as engine:
        run = await engine.start(TEMPLATE, {"amount": 10})
        await run.wait(check=True)
    print(run.output)


if __name__ == "__main__":
    anyio.run(main)
