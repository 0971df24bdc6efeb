"""On trio: a nursery beside the engine, and trio's own calls within tasks.

$ python examples/nursery.py
{'measure': {'place': 'door', 'missed': False}}
{'measure': {'place': 'roof', 'missed': True}}
{'measure': {'place': 'yard', 'missed': False}}
"""

from __future__ import annotations

import trio

import tukio


@tukio.register
async def measure(event: tukio.Event) -> dict[str, object]:
    """Use trio's own calls: this runs in a task of trio."""
    with trio.move_on_after(0.1) as limit:
        if event.data["place"] == "roof":
            await trio.sleep_forever()
    return {**event.data, "missed": limit.cancelled_caught}


TEMPLATE = {"id": "measure", "tasks": [{"id": "measure", "name": "measure"}]}


async def patrol(places: trio.MemorySendChannel[str]) -> None:
    """Name one place after the other."""
    async with places:
        for place in ("door", "roof", "yard"):
            await places.send(place)


async def main() -> None:
    """Run the workflow at each place; the engine ends before the nursery around it."""
    send, receive = trio.open_memory_channel[str](0)
    async with trio.open_nursery() as nursery, tukio.Engine() as engine:
        nursery.start_soon(patrol, send)
        async for place in receive:
            run = await engine.start(TEMPLATE, {"place": place})
            await run.wait(check=True)
            print(run.output)


if __name__ == "__main__":
    trio.run(main)
