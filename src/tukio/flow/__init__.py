"""Workflows in code: tasks are decorated functions, chains are values, and a flow is a template.

    from tukio.flow import flow, task

    @task
    async def fetch(job: Job) -> Page: ...

    @task(thread=True)
    def count(page: Page) -> Count: ...

    crawl = flow("crawl", fetch >> count.of(timeout=10), timeout=30)
    result = await crawl.run({"url": "https://example.org"})

- `task`: register a function; in a thread or in a process, if you say so.
- `named`: a task by the name it is registered under, for holder classes and the task `join`.
- `loaded`: a task that runs a loaded template; a `Flow` in a chain is one that runs the flow.
- `flow`: the template that chains make up; a `Flow`, which any engine loads and starts.
"""

from __future__ import annotations

from .chain import Chain
from .decorator import task
from .flows import Flow, flow
from .keys import Defaults, FlowKeys, MapKeys, TaskKeys
from .tasks import Task, loaded, named

__all__ = [
    "Chain",
    "Defaults",
    "Flow",
    "FlowKeys",
    "MapKeys",
    "Task",
    "TaskKeys",
    "flow",
    "loaded",
    "named",
    "task",
]
