"""Tell how far a task is, and follow a run by its events.

$ python examples/progress.py
1 workflow-begin - {'rows': 6}
2 task-begin rows {'rows': 6}
3 task-progress rows {'done': 2, 'of': 6}
4 task-progress rows {'done': 4, 'of': 6}
5 task-progress rows {'done': 6, 'of': 6}
6 task-end rows {'imported': 6}
7 workflow-end - None
"""

from __future__ import annotations

import anyio

import tukio


@tukio.register("import")
async def import_rows(event: tukio.Event) -> dict[str, int]:
    """Tell after every second row how many are done."""
    rows = event.data["rows"]
    for done in range(2, rows + 1, 2):
        await anyio.sleep(0.05)
        tukio.current_task().dispatch_progress({"done": done, "of": rows})
    return {"imported": rows}


TEMPLATE = {"id": "import", "tasks": [{"id": "rows", "name": "import"}]}


async def main() -> None:
    """Print what a progress bar needs: the events of the run, which end with it."""
    async with tukio.Engine() as engine:
        run = await engine.start(TEMPLATE, {"rows": 6})
        async for event in run.events():
            task = event.source.task_template_id if event.source else None
            print(event.seq, event.data["type"], task or "-", event.data["content"])


if __name__ == "__main__":
    anyio.run(main)
