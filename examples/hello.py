"""Start a workflow, wait for its end, and take what it returned.

$ python examples/hello.py
finished {'shout': {'greeting': 'HELLO WORLD'}}
"""

from __future__ import annotations

import anyio

import tukio


@tukio.register
async def greet(event: tukio.Event) -> dict[str, str]:
    """Return a greeting: the data of the next task."""
    return {"greeting": f"hello {event.data['name']}"}


@tukio.register
async def shout(event: tukio.Event) -> dict[str, str]:
    """Return it louder."""
    return {"greeting": event.data["greeting"].upper()}


TEMPLATE = {
    "id": "hello",
    "tasks": [{"id": "greet", "name": "greet"}, {"id": "shout", "name": "shout"}],
    "graph": {"greet": ["shout"]},
}


async def main() -> None:
    """Run the workflow once."""
    async with tukio.Engine() as engine:
        run = await engine.start(TEMPLATE, {"name": "world"})
        await run.wait(check=True)
    print(run.status, run.output)


if __name__ == "__main__":
    anyio.run(main)
