"""Stop in the middle, keep the report in a file, and go on from it with another engine.

$ python examples/rescue.py
fetch
store {'pages': 3}
store {'pages': 3}
finished {'store': {'stored': 3}}
"""

from __future__ import annotations

import tempfile
from contextlib import aclosing

import anyio

import tukio


@tukio.register
async def fetch(event: tukio.Event) -> dict[str, int]:
    """Is over when the run is stopped: it never runs again."""
    print("fetch")
    return {"pages": 3}


@tukio.register
async def store(event: tukio.Event) -> dict[str, int]:
    """Is at work when the run is stopped: it runs again, from its begin, with the same data."""
    print("store", event.data)
    await anyio.sleep(0.1)
    return {"stored": event.data["pages"]}


TEMPLATE = {
    "id": "backup",
    "tasks": [{"id": "fetch", "name": "fetch"}, {"id": "store", "name": "store"}],
    "graph": {"fetch": ["store"]},
}


async def main() -> None:
    """Let a run be begun by one engine and ended by another, as after a restart."""
    with tempfile.TemporaryDirectory() as folder:
        file = anyio.Path(folder, "backup.json")
        async with tukio.Engine() as engine:
            run = await engine.start(TEMPLATE, {})
            async with aclosing(run.events()) as events:
                async for event in events:
                    if event.data["type"] == "task-end":
                        break
            run.suspend()
            await file.write_text(tukio.report_to_json(run.report()))
            run.cancel("it goes on elsewhere")
        async with tukio.Engine() as engine:
            report = tukio.report_from_json(await file.read_text())
            rescued = await engine.rescue(TEMPLATE, report)
            await rescued.wait(check=True)
    print(rescued.status, rescued.output)


if __name__ == "__main__":
    anyio.run(main)
