"""What users see of ordinary mistakes in running workflows: each text as a whole."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.silence import silence
from tukio.errors import InvalidResult, NotAwaited
from tukio.testing import play, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished

FORGOTTEN = (
    "task 'a' returned a coroutine, and not the result of awaiting it - is an 'await' missing?"
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let the failures that are meant out of the log."""
    with silence():
        yield


# An `await` that was forgotten


async def page() -> dict[str, int]:
    """Be awaited by nobody."""
    return {"n": 1}


async def run_of(template: tukio.WorkflowTemplate) -> tukio.Workflow:
    """Return a run of a template that is over."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {})
        assert isinstance(run, tukio.Workflow)
        await run.wait()
    return run


@pytest.mark.parametrize("graph", ["a b", "a"], ids=["with successors", "a leaf"])
async def test_a_coroutine_that_is_returned_was_not_awaited(
    task: Tasks, ran: list[str], graph: str
) -> None:
    """Said by the error of the task; Python says nothing more, when it is thrown away."""

    @task
    async def a(event: tukio.Event) -> Any:
        return page()

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run = await run_of(flow(graph, names={"b": "quick"}))
        gc.collect()
    assert [str(one.message) for one in warned] == []
    assert str(run.errors["a"]) == FORGOTTEN
    assert isinstance(run.errors["a"], NotAwaited)
    assert isinstance(run.errors["a"], InvalidResult)
    assert ran == []
    report = run.report()
    assert report["tasks"][0]["exec"]["state"] == "exception"
    assert report["tasks"][0]["exec"]["outputs"] is None
    assert str(await replay(json.loads(tukio.report_to_json(report))))


class Later:
    """Can be awaited, and is no coroutine."""

    def __await__(self) -> Generator[None]:
        yield


@pytest.mark.parametrize("make", [Later, tukio.current_workflow], ids=["of a user's", "a run"])
async def test_whatever_is_to_be_awaited_was_not(
    task: Tasks, ran: list[str], make: Callable[[], Any]
) -> None:
    """Successors cannot receive it, and it is no text or number either."""

    @task
    async def a(event: tukio.Event) -> Any:
        return make()

    run = await run_of(flow("a b", names={"b": "quick"}))
    kind = type(run if make is tukio.current_workflow else make()).__name__
    assert str(run.errors["a"]) == FORGOTTEN.replace("coroutine", kind)
    assert run.tasks
    assert ran == []


async def test_a_leaf_may_return_what_others_can_await(task: Tasks) -> None:
    """As anything that it likes, but for a coroutine: that is of no use to anybody."""

    @task
    async def a(event: tukio.Event) -> Any:
        return Later()

    run = await run_of(flow("a"))
    assert run.errors == {}
    assert isinstance(run.outputs["a"], Later)


async def test_a_coroutine_that_has_begun_is_left_to_whoever_began_it(task: Tasks) -> None:
    """It may have a `finally`, which is not for us to run."""
    ended: list[str] = []

    async def working() -> None:
        try:
            await Later()
        finally:
            ended.append("by its own hand")

    coro = working()
    coro.send(None)

    @task
    async def a(event: tukio.Event) -> Any:
        return coro

    run = await run_of(flow("a"))
    assert str(run.errors["a"]) == FORGOTTEN
    assert ended == []
    coro.close()


async def test_a_teardown_that_forgets_its_await_is_told_so(task: Tasks) -> None:
    """Its own coroutine is awaited, and what that returns is not."""

    @task
    class a(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

        async def teardown(self) -> Any:
            return page()

    run = await run_of(flow("a", limits={"a": 1}))
    assert str(run.errors["a"]) == FORGOTTEN
    assert run.outputs == {"a": None}


# Results and reports


@pytest.mark.backends("asyncio", "uvloop")
@pytest.mark.parametrize("ask", ["result", "exception"])
async def test_a_run_that_is_not_over_has_no_result(ran: list[str], ask: str) -> None:
    """By the error of asyncio, which says no more than this by itself."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        with pytest.raises(asyncio.InvalidStateError) as refusal:
            getattr(run, ask)()
        await run.wait()
    assert str(refusal.value) == (
        f"workflow {run.uid} is not over yet - wait for it by 'await run.wait()'"
    )
    assert run.result() == set(run.tasks)
    assert run.exception() is None


async def test_the_text_of_a_run_has_its_state(ran: list[str]) -> None:
    """So a log line that has it tells how it stands."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a", names={"a": "slow"}), {})
        assert str(run).endswith(", end=None, state=pending>")
        run.suspend()
        assert str(run).endswith(", end=None, state=suspended>")
        run.cancel()
        await run.wait()
    assert str(run).endswith(", state=cancelled>")


async def test_a_report_that_was_read_already_is_not_read_again(ran: list[str]) -> None:
    """It can be rescued as it is, whoever has read it."""
    run = await run_of(flow("a b", names={"a": "quick", "b": "quick"}))
    text = tukio.report_to_json(run.report())
    decoded: Any
    for decoded in (json.loads(text), tukio.report_from_json(text), run.report()):
        with pytest.raises(tukio.RescueError) as refusal:
            tukio.report_from_json(decoded)
        assert str(refusal.value) == (
            "cannot rescue workflow None from its report:"
            " it is no text, but read already - hand it to rescue as it is"
        )
        async with tukio.Engine() as engine:
            assert await engine.rescue(run.template, decoded)


# A template or its dict form


async def test_a_play_takes_a_template_or_its_dict_form(ran: list[str]) -> None:
    """And leaves it as it was, whatever is done to the copies of it."""
    template = flow("a b", names={"a": "slow", "b": "quick"})
    before = template.as_dict()
    history = [(0.5, "edit", "limit"), (0.5, "trigger", None), (0.6, "edit", "name")]
    forms: list[Any] = [template, before]
    stories = [str(await play(form, history)) for form in forms]
    assert len(stories[0].splitlines()) > 5
    assert stories[0] == stories[1]
    assert template.as_dict() == before
    wrong: Any = "flow"
    with pytest.raises(tukio.TemplateError) as refusal:
        await play(wrong)
    assert isinstance(refusal.value, TypeError)


# A key that the config lacks


class Reads:
    """Reads its config when it is made, or when it is at work; or what it was given."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.page = config["page"] if config.get("early") else None

    async def execute(self, event: tukio.Event) -> None:
        """Read the config, or the data."""
        if "of the data" in self.config:
            event.data["url"]
        self.config["url"]


@pytest.mark.parametrize(
    ("config", "notes"),
    [
        ({"urls": []}, ["the config of task 'a' has no key 'url' - did you mean 'urls'?"]),
        ({"size": 1}, ["the config of task 'a' has no key 'url' - known: size"]),
        ({}, ["the config of task 'a' has no key 'url' - it is empty"]),
        ({"early": True}, ["the config of task 'a' has no key 'page' - known: early"]),
        ({"of the data": True}, None),
    ],
    ids=repr,
)
async def test_a_key_that_a_config_lacks_is_told_with_the_config(
    task: Tasks, config: dict[str, Any], notes: list[str] | None
) -> None:
    """In a note on the error, so that its kind and its text stay Python's own."""
    task(Reads)
    template = flow("a", names={"a": "Reads"})
    template.tasks[0].config = config
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {})
        await run.wait()
    error = run.errors["a"]
    assert type(error) is KeyError
    assert getattr(error, "__notes__", None) == notes


async def test_an_error_that_is_raised_twice_is_noted_once(task: Tasks) -> None:
    """An error may be kept, and raised by several tasks."""
    kept = KeyError("url")

    @task
    async def again(event: tukio.Event) -> None:
        raise kept  # as if of a config

    async with tukio.Engine() as engine:
        for _ in range(2):
            run = await engine.run_once(flow("again"), {})
            await run.wait()
    assert kept.__notes__ == ["the config of task 'again' has no key 'url' - it is empty"]
