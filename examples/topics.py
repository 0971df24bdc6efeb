"""Send data, and let the topics of the templates decide what it starts.

$ python examples/topics.py
orders: audit, billing, shipping
returns: audit, shipping
weather: audit
"""

from __future__ import annotations

import anyio

import tukio


@tukio.register
async def note(event: tukio.Event) -> dict[str, object]:
    """Return what has come, and in which topic."""
    return {"topic": event.topic, **event.data}


def template(uid: str, topics: list[str] | None) -> dict[str, object]:
    """Describe a workflow that each event of its topics starts; None is every topic."""
    tasks = [{"id": "note", "name": "note"}]
    # By the default policy, data that comes while a run is in progress starts no other one.
    return {"id": uid, "topics": topics, "policy": "start-new", "tasks": tasks}


async def main() -> None:
    """Load three workflows, and send three events."""
    async with tukio.Engine() as engine:
        await engine.load(template("billing", ["orders"]))
        await engine.load(template("shipping", ["orders", "returns"]))
        await engine.load(template("audit", None))
        for topic in ("orders", "returns", "weather"):
            runs = await engine.data_received({"n": 1}, topic)
            print(f"{topic}: {', '.join(sorted(run.template.uid for run in runs))}")


if __name__ == "__main__":
    anyio.run(main)
