"""The events of one run, as its story: heard twice, and looked at with all that comes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

import tukio

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

    Told = tuple[str, str | None, Any]

QUICK = dict.fromkeys("abcjk", "quick")
IN = {"in": 0}


class Ears:
    """Hear the events of one run, twice: as one of all runs, and on the topic of its own.

    Args:
        engine: Whose broker to listen to.
        uid: Id of the run.
    """

    def __init__(self, engine: tukio.Engine, uid: str) -> None:
        self.uid = uid
        self._all: list[tukio.Event] = []
        self._own: list[tukio.Event] = []
        engine.broker.register(self._all.append, tukio.EXEC_TOPIC)
        engine.broker.register(self._own.append, f"__exec_topic__/{uid}")

    def story(self, run: Any) -> list[Told]:
        """Return what was told, after a look at all that comes with it."""
        all_of_it = [self._checked(event, run) for event in self._all]
        assert [self._checked(event, run) for event in self._own] == all_of_it
        return all_of_it

    def _checked(self, event: Any, run: Any) -> Told:
        assert list(event.data) == ["type", "content"]
        assert event.topic == ("__exec_topic__", f"__exec_topic__/{self.uid}")
        source = event.source.as_dict()
        task, execution = source["task_template_id"], source["task_exec_id"]
        assert source == {
            "workflow_template_id": run.template.uid,
            "workflow_exec_id": run.uid,
            "task_template_id": task,
            "task_exec_id": execution,
        }
        assert (task is None) is (execution is None) is event.data["type"].startswith("workflow-")
        return event.data["type"], task, plain(event.data["content"])


def plain(content: Any) -> Any:
    """Return some content in which errors are compared by what they are and say."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    return (type(content), content.args) if isinstance(content, Exception) else content


async def told(
    template: tukio.WorkflowTemplate,
    *orders: tuple[float, Callable[[Any], object]],
    data: dict[str, Any] = IN,
) -> list[Told]:
    """Run a template and return its story.

    Args:
        template: What to run.
        orders: What to do to the run: seconds to wait first, and what to call then.
        data: What to start it with.
    """
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        ears = Ears(engine, run.uid)
        for seconds, order in orders:
            await anyio.sleep(seconds)
            order(run)
        await run.wait()
    return ears.story(run)


def failing(task: Tasks, error: BaseException) -> None:
    """Register `fails`, which raises that."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise error
