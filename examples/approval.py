"""Let a task wait for an event that is addressed to its run.

$ python examples/approval.py
car {'ask': {'item': 'car', 'approved': False}}
pen {'ask': {'item': 'pen', 'approved': True}}
"""

from __future__ import annotations

from contextlib import aclosing

import anyio

import tukio
from tukio.broker import TopicManager


@tukio.register
async def ask(event: tukio.Event) -> dict[str, object]:
    """Wait for an answer; the topic has the id of the run in it."""
    run, task = tukio.current_workflow(), tukio.current_task()
    with TopicManager(f"answers/{run.uid}"):
        # From here on answers land in the queue; what was sent before is not for this task.
        task.dispatch_progress("who may order this?")
        answer = await task.queue.get()
    return {**event.data, **answer.data}


TEMPLATE = {
    "id": "purchase",
    "policy": "start-new",
    "tasks": [{"id": "ask", "name": "ask", "timeout": 7 * 24 * 3600}],
}


async def main() -> None:
    """Ask twice at once, and answer the second question first."""
    async with tukio.Engine() as engine:
        runs = [await engine.start(TEMPLATE, {"item": item}, id=item) for item in ("pen", "car")]
        for run in reversed(runs):
            async with aclosing(run.events()) as events:
                async for event in events:
                    if event.data["type"] == "task-progress":
                        break
            await engine.data_received({"approved": run.uid == "pen"}, f"answers/{run.uid}")
            await run.wait(check=True)
            print(run.uid, run.output)


if __name__ == "__main__":
    anyio.run(main)
