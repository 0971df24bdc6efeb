"""The execution of a task, as its own code and others see it: its time, its id, its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution, flow, states
from tukio._model.registry import Registry

if TYPE_CHECKING:
    from support.flow import Tasks


async def test_a_task_can_tell_the_time_that_its_report_will_show(task: Tasks) -> None:
    """By the same clock: what it notes itself fits in between its start and its end."""
    noted: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        step = tukio.current_task()
        noted.append(step.now())
        await anyio.sleep(5)
        noted.append(step.now())

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})

    known = execution(run, "a")
    assert noted == [known["start"], known["end"]]
    assert (noted[1] - noted[0]).total_seconds() == 5


async def test_the_source_of_what_a_task_sends_has_the_name_of_1_x_too(task: Tasks) -> None:
    """All four ids of it."""
    sources: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        step = tukio.current_task()
        sources.append((step.event_source, step.source, step.uid))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})

    [(old, new, uid)] = sources
    assert old == new
    assert list(new.as_dict().values()) == ["flow", run.uid, "a", uid]


async def test_g7_a_task_that_was_forgotten_meanwhile_fails_alone() -> None:
    """Its name was known when the run began."""
    registry = Registry()

    async def forgets(event: tukio.Event) -> None:
        registry.remove("b")

    async def passes(event: tukio.Event) -> None:
        pass

    registry.register(forgets, "a")
    registry.register(passes, "b")
    registry.register(passes, "c")
    async with tukio.Engine(registry=registry) as engine:
        run: Any = await engine.run_once(flow({"a": ["b", "c"]}), {})

    assert states(run) == {"a": "finished", "b": "exception", "c": "finished"}
    assert isinstance(run.errors["b"], tukio.UnknownTaskName)


class Chosen:
    """A holder of no kind of tukio's, which chooses its own id, or has none."""

    def __init__(self, config: dict[str, Any]) -> None:
        if config:
            self.uid = config["uid"]

    async def execute(self, event: tukio.Event) -> None:
        """Do nothing."""


@pytest.mark.parametrize("config", [{"uid": "chosen"}, {}])
async def test_an_id_that_was_shown_before_the_task_began_gives_way_to_its_own(
    task: Tasks, config: dict[str, Any]
) -> None:
    """Whoever looks early sees an id; what the holder says counts, in the report and elsewhere."""
    task(Chosen)
    shown: list[str] = []

    def look(event: tukio.Event) -> None:
        shown.extend(step.uid for step in engine.instances[0].tasks)

    template = flow("Chosen")
    template.tasks[0].config = config
    async with tukio.Engine() as engine:
        engine.broker.register(look, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(template, {})

    early, *later = shown
    known = execution(run, "Chosen")["id"]
    assert {*later} == {known}
    assert early != known
    assert known == config.get("uid", known)
