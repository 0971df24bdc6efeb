"""Run a workflow as a task of another one, and see what cancelling the outer one does.

$ python examples/children.py
r1 waiting, r1/bill/1 running
{'order': 4711, 'paid': True}
cancelled cancelled
"""

from __future__ import annotations

import anyio

import tukio


@tukio.register
async def fetch(event: tukio.Event) -> dict[str, object]:
    """Look an order up."""
    return {"order": event.data["order"]}


@tukio.register
async def pay(event: tukio.Event) -> dict[str, object]:
    """Ask a bank, which takes its time."""
    await anyio.sleep(0.2)
    return {**event.data, "paid": True}


@tukio.register
async def show(event: tukio.Event) -> None:
    """Show what came of it."""
    print(event.data)


INVOICE = {"id": "invoice", "tasks": [{"id": "pay", "name": "pay", "timeout": 5}]}

ORDER = {
    "id": "order",
    "policy": "start-new",
    "tasks": [
        {"id": "fetch", "name": "fetch"},
        {"id": "bill", "workflow": "invoice", "timeout": 60},
        {"id": "show", "name": "show"},
    ],
    "graph": {"fetch": ["bill"], "bill": ["show"]},
}


async def main() -> None:
    """Let one order come to its end, and cancel another one."""
    async with tukio.Engine() as engine:
        await engine.load(INVOICE)
        run = await engine.start(ORDER, {"order": 4711}, id="r1")
        await anyio.sleep(0.1)
        print(", ".join(f"{one.uid} {one.status}" for one in engine.instances))
        await run.wait(check=True)

        run = await engine.start(ORDER, {"order": 4712})
        await anyio.sleep(0.1)
        _, child = engine.instances
        run.cancel()
        await run.wait()
        print(run.status, child.status)


if __name__ == "__main__":
    anyio.run(main)
