"""Choose a branch while the workflow runs; both branches come together again.

$ python examples/route.py
{'amount': 5, 'approved': 'at once'}
{'amount': 5000, 'approved': 'by hand'}
"""

from __future__ import annotations

import anyio

import tukio


@tukio.register
async def judge(event: tukio.Event) -> None:
    """Lead to one of the two successors."""
    branch = "by hand" if event.data["amount"] > 1000 else "at once"
    tukio.current_workflow().set_next_tasks([branch])


@tukio.register
async def approve(event: tukio.Event) -> dict[str, object]:
    """Say on which way the order was approved."""
    return {**event.data, "approved": tukio.current_task().template.uid}


@tukio.register
async def file(event: tukio.Event) -> None:
    """Print what has come, on either way."""
    print(event.data)


TEMPLATE = {
    "id": "order",
    "tasks": [
        {"id": "judge", "name": "judge"},
        {"id": "by hand", "name": "approve"},
        {"id": "at once", "name": "approve"},
        # It waits for the parents that were chosen; the other one is not missed.
        {"id": "file", "name": "file", "join": "all"},
    ],
    "graph": {"judge": ["by hand", "at once"], "by hand": ["file"], "at once": ["file"]},
}


async def main() -> None:
    """Run the workflow twice."""
    async with tukio.Engine() as engine:
        for amount in (5, 5000):
            run = await engine.start(TEMPLATE, {"amount": amount})
            await run.wait(check=True)


if __name__ == "__main__":
    anyio.run(main)
