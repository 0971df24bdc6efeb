"""The workflow of the README, in an engine that lives in a `with` block, on any backend.

python examples/structured.py --backend asyncio|uvloop|trio
"""

from __future__ import annotations

import argparse

import anyio

import tukio

BACKENDS = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}

TEMPLATE = tukio.WorkflowTemplate.from_dict(
    {
        "title": "workflow #1",
        "tasks": [
            {"id": "f1", "name": "my-task2"},
            {"id": "f2", "name": "my-task2"},
            {"id": "f3", "name": "my-task1"},
            {"id": "f4", "name": "my-task1"},
            {"id": "f5", "name": "my-task2"},
            {"id": "f6", "name": "my-task1"},
        ],
        "graph": {"f1": ["f2"], "f2": ["f3", "f4"], "f3": ["f5"], "f4": ["f6"]},
    }
)


@tukio.register("my-task1")
async def task1(event: tukio.Event) -> dict[str, str]:
    """Send a whole new event on."""
    tid = tukio.current_task().template.uid
    print(f"In task1 ({tid}): {event.data}")
    return {tid: "data from task1"}


@tukio.register("my-task2")
async def task2(event: tukio.Event) -> tukio.Event:
    """Add to the data."""
    tid = tukio.current_task().template.uid
    print(f"In task2 ({tid}): {event.data}")
    event.data[tid] = "data from task2"
    return event


async def main() -> None:
    """Run the workflow once."""
    async with tukio.Engine() as engine:
        await engine.load(TEMPLATE)
        await engine.data_received({"initial": "data"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, default="asyncio")
    backend, options = BACKENDS[parser.parse_args().backend]
    anyio.run(main, backend=backend, backend_options=options)
