"""An engine with a registry of its own: it looks up names there, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio._model.documents import as_template
from tukio.task import Registry, TaskRegistry

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture
def registry() -> Registry:
    """Return a registry with a task that the process does not have, and one that it has."""
    own = Registry()

    @own.task("double")
    async def double(event: tukio.Event) -> dict[str, Any]:
        return {"n": event.data["n"] * 2}

    @own.task("holder", "execute")
    class Holder(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            await anyio.sleep(self.config.get("seconds", 1))
            return {"n": event.data["n"] + 1}

    return own


async def test_names_are_looked_up_in_the_registry_of_the_engine(registry: Registry) -> None:
    """Functions and holders, begun at once or waited for."""
    template = flow({"a": ["b"]}, names={"a": "double", "b": "holder"})
    async with tukio.Engine(registry=registry) as engine:
        await engine.load(template)
        run: Any = await engine.trigger(template.uid, {"n": 3})
        assert await run.wait() is tukio.FutureState.finished
        assert run.outputs == {"a": {"n": 6}, "b": {"n": 7}}


async def test_it_has_no_fall_back(registry: Registry, task: Tasks) -> None:
    """A name of the process means nothing there: a template from outside gets at nothing else."""

    @task
    async def everywhere(event: tukio.Event) -> None:
        raise AssertionError

    template = flow("everywhere")
    async with tukio.Engine(registry=registry) as engine:
        for use in (
            engine.load(template),
            engine.run_once(template, {}),
            engine.reload([template]),
        ):
            with pytest.raises(tukio.UnknownTaskName) as refusal:
                await use
            error: Any = refusal.value
            assert [fault.path for fault in error.faults] == ["tasks[0].name"]
            assert set(error.known) == {"double", "holder", "join", "trigger"}
    template.validate()
    with pytest.raises(tukio.UnknownTaskName):
        template.validate(registry)


async def test_two_engines_may_mean_different_tasks_by_one_name(task: Tasks) -> None:
    """Also side by side, and by the same template."""

    @task
    async def who(event: tukio.Event) -> dict[str, Any]:
        return {"who": "process"}

    own = Registry()

    @own.task("who")
    async def other(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(1)
        return {"who": "own"}

    template = flow("who")
    async with tukio.Engine() as one, tukio.Engine(registry=own) as two:
        runs: list[Any] = [await engine.run_once(template, {}) for engine in (one, two)]
        for run in runs:
            await run.wait()
    assert [run.outputs["who"]["who"] for run in runs] == ["process", "own"]


async def test_joins_are_in_every_registry(registry: Registry) -> None:
    """They come with tukio; nobody has to register them."""
    template = flow(
        {"a": ["b", "c"], "b": ["j"], "c": ["j"]},
        tasks=[
            {"id": "a", "name": "double"},
            {"id": "b", "name": "double"},
            {"id": "c", "name": "holder"},
            {"id": "j", "name": "join", "config": {"wait_for": 2, "collect": "all"}},
        ],
    )
    async with tukio.Engine(registry=registry) as engine:
        run: Any = await engine.run_once(template, {"n": 1})
        await run.wait()
    assert run.outputs["j"] == {"b": {"n": 4}, "c": {"n": 3}}


async def test_a_run_is_rescued_with_the_registry_of_the_engine(registry: Registry) -> None:
    """What the process has under the same names does not matter."""
    template = flow({"a": ["b"]}, names={"a": "double", "b": "holder"})
    async with tukio.Engine(registry=registry) as engine:
        run: Any = await engine.run_once(template, {"n": 3})
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
        await run.wait()
        rescued: Any = await engine.rescue(template, report)
        await rescued.wait()
    assert rescued.outputs == {"a": {"n": 6}, "b": {"n": 7}}


@pytest.mark.parametrize("odd", [TaskRegistry, Registry, {}, "own"])
def test_what_is_no_registry_is_refused_at_once(odd: Any) -> None:
    """Before an engine is entered; the class of 1.x stands for that of the process."""
    words = "expected a tukio.task.Registry, not "
    for use in (
        lambda: tukio.Engine(registry=odd),
        lambda: flow("join").validate(odd),
        lambda: as_template(flow("join").as_dict(), odd),
    ):
        with pytest.raises(TypeError) as refusal:
            use()
        assert str(refusal.value).startswith(words)


def test_a_registry_takes_and_forgets_tasks_without_touching_that_of_the_process() -> None:
    """Nor does one of one's own have what was registered with that."""
    own = Registry()

    @own.task("test own registry")
    async def execute(event: tukio.Event) -> None:
        """Do nothing."""

    assert own.get("test own registry") == (None, execute)
    assert "test own registry" not in tukio.TaskRegistry.all()
    own.remove("test own registry")
    with pytest.raises(tukio.UnknownTaskName):
        own.get("test own registry")
    assert set(own.tasks) == {"join", "trigger"}
