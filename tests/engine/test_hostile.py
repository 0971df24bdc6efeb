"""Whatever is loaded or rescued, the engine starts it or is as it was; and what it starts ends."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import tukio
from support.flow import Tasks, flow
from support.gallery import WORKFLOWS, register_tasks
from support.hostile import NASTY, TEXTS, deeds, examples, nested, refusals, spoilt
from support.silence import silence
from tukio._model.report_json import report_from_json, report_to_json
from tukio.errors import IllegalMove, RescueError, TemplateError
from tukio.testing import ReplayDiffers, Timeline, check_guarantees, replay
from tukio.testing.clock import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.hostile import Deed

LONG_ENOUGH = 2000
"""Seconds after which a workflow of the gallery can only be stuck: the longest takes 600."""


@pytest.fixture(scope="module", autouse=True)
def gallery() -> Iterator[None]:
    """Register the tasks of the gallery, and let their failures out of the log."""
    task = Tasks()
    register_tasks(task)
    with silence():
        yield
    task.forget()


async def reports_of(name: str) -> list[str]:
    """Return the report of a workflow after each of its events, as JSON text."""
    texts: list[str] = []

    async with tukio.Engine() as engine:
        started: list[Any] = []

        def note(event: tukio.Event) -> None:
            texts.extend(report_to_json(workflow.report()) for workflow in started)

        engine.broker.register(note, tukio.EXEC_TOPIC)
        started.append(await engine.run_once(WORKFLOWS[name], {"in": 0}))
    return texts


@pytest.fixture(scope="module")
def reports(gallery: None) -> list[tuple[str, list[str]]]:
    """Return the reports of every workflow of the gallery."""
    return [(name, run(reports_of, name)) for name in WORKFLOWS]


some = settings(
    max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# Rescue


async def rescue(name: str, report: Any) -> None:
    """Rescue a run from a report that may be anything: it is refused, or comes to an end."""
    before = deepcopy(WORKFLOWS[name].as_dict())
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        with refusals(RescueError, 1000) as refused:
            workflow: Any = await engine.rescue(WORKFLOWS[name], report)
        if refused:
            assert engine.instances == []
        else:
            report_to_json(workflow.report())
            with anyio.fail_after(LONG_ENOUGH):
                await workflow.wait()
            check_guarantees(workflow, timeline)
    assert WORKFLOWS[name].as_dict() == before


@some
@given(st.data(), deeds(TEXTS))
async def test_g11_a_report_that_was_spoilt_is_refused_or_comes_to_an_end(
    reports: list[tuple[str, list[str]]], data: st.DataObject, done: list[Deed]
) -> None:
    """Of any workflow, from any moment, whatever was changed in its JSON form."""
    name, texts = data.draw(st.sampled_from(reports))
    document = spoilt(json.loads(data.draw(st.sampled_from(texts))), done)
    try:
        report = report_from_json(json.dumps(document))
    except RescueError:
        return
    await rescue(name, report)


@some
@given(st.data(), deeds(NASTY))
async def test_g11_so_is_one_that_never_was_a_text(
    reports: list[tuple[str, list[str]]], data: st.DataObject, done: list[Deed]
) -> None:
    """It may hold what JSON cannot carry."""
    name, texts = data.draw(st.sampled_from(reports))
    await rescue(name, spoilt(report_from_json(data.draw(st.sampled_from(texts))), done))


@some
@given(st.data(), deeds(TEXTS))
async def test_a_report_that_was_spoilt_is_refused_or_replayed(
    reports: list[tuple[str, list[str]]], data: st.DataObject, done: list[Deed]
) -> None:
    """Or the run takes another path than it says; nothing else comes of it."""
    _, texts = data.draw(st.sampled_from(reports))
    document = spoilt(json.loads(data.draw(st.sampled_from(texts))), done)
    with refusals(tukio.TukioError), suppress(ReplayDiffers), anyio.fail_after(LONG_ENOUGH):
        await replay(report_from_json(json.dumps(document)))


async def test_a_report_left_as_it_is_is_not_refused(
    reports: list[tuple[str, list[str]]],
) -> None:
    """Otherwise the properties above would hold for an engine that refuses everything."""
    for name, texts in reports:
        for text in texts:
            report = report_from_json(text)
            if report["exec"].get("elapsed", 0) >= (WORKFLOWS[name].timeout or math.inf):
                continue
            async with tukio.Engine() as engine:
                await engine.rescue(WORKFLOWS[name], report)


async def test_g11_a_refused_report_leaves_the_engine_as_it_was(
    reports: list[tuple[str, list[str]]],
) -> None:
    """What is loaded, what runs, and the run that the report is about."""
    text = dict(reports)["chain"][3]
    sound = WORKFLOWS["chain"]
    contradiction = json.loads(text)
    contradiction["tasks"][3]["exec"] = contradiction["tasks"][0]["exec"]
    async with tukio.Engine() as engine:
        await engine.load(sound)
        rescued: Any = await engine.rescue(sound, report_from_json(text))
        before = rescued.report()
        for report in (report_from_json(text), contradiction, {"exec": {"id": rescued.uid}}, 5):
            with pytest.raises(RescueError):
                await engine.rescue(sound, report)  # type: ignore[arg-type]
            assert engine.instances == [rescued]
            assert rescued.report() == before
            assert engine.selector.get("flow") is sound
        assert await rescued.wait() is tukio.FutureState.finished


@pytest.mark.backends("asyncio", "uvloop")
async def test_g11_a_run_that_refused_a_report_can_be_fast_forwarded_by_another(
    reports: list[tuple[str, list[str]]],
) -> None:
    """Half of the first one must not be left in it."""
    report = report_from_json(dict(reports)["chain"][3])
    contradiction = deepcopy(report)
    contradiction["tasks"][3]["exec"] = contradiction["tasks"][0]["exec"]
    workflow = tukio.Workflow(WORKFLOWS["chain"])
    before = workflow.report()
    with pytest.raises(RescueError):
        workflow.fast_forward(contradiction)
    assert workflow.report() == before
    workflow.fast_forward(report)
    assert workflow.uid == report["exec"]["id"]
    assert await workflow.wait() is tukio.FutureState.finished
    assert workflow.outputs["d"] == [1, 2]


@pytest.mark.backends("asyncio", "uvloop")
async def test_g11_a_run_in_progress_is_not_fast_forwarded(
    reports: list[tuple[str, list[str]]],
) -> None:
    """It goes on as if nobody had tried."""
    report = report_from_json(dict(reports)["chain"][3])
    workflow = tukio.Workflow(WORKFLOWS["chain"])
    workflow.run({"in": 1})
    await anyio.sleep(0.5)
    before = workflow.report()
    with pytest.raises(IllegalMove):
        workflow.fast_forward(report)
    assert workflow.report() == before
    assert await workflow.wait() is tukio.FutureState.finished
    assert workflow.outputs["a"] == {"in": 1, "a": 1}


@pytest.mark.backends("asyncio", "uvloop")
async def test_g12_a_template_with_faults_is_not_fast_forwarded(
    reports: list[tuple[str, list[str]]],
) -> None:
    """Nobody has validated it when there is no engine."""
    template = WORKFLOWS["chain"].copy()
    template.link(template.tasks[3], template.tasks[2])
    workflow = tukio.Workflow(template)
    with pytest.raises(TemplateError):
        workflow.fast_forward(report_from_json(dict(reports)["chain"][3]))
    assert workflow.cancel()


async def test_g11_a_used_up_time_below_zero_gives_no_more_than_the_limit(
    reports: list[tuple[str, list[str]]],
) -> None:
    """A clock that was set back is not a longer limit."""
    template = WORKFLOWS["workflow limit"]
    for elapsed in (-1e300, float("-inf"), 0.0):
        report = report_from_json(dict(reports)["workflow limit"][0])
        report["exec"]["elapsed"] = elapsed
        async with tukio.Engine() as engine:
            start = anyio.current_time()
            workflow: Any = await engine.rescue(template, report)
            assert await workflow.wait() is tukio.FutureState.timeout
            # The teardown of the step that was cut takes half a second.
            assert anyio.current_time() - start == 3.0


async def test_g11_data_that_is_too_deep_to_be_compared_is_refused() -> None:
    """Python gives up on it somewhere on the way; the engine has not begun anything by then."""
    deep = nested(20_000)
    async with tukio.Engine() as engine:
        workflow: Any = await engine.run_once(flow("slow"), {"in": 0})
        report = workflow.report()
        workflow.cancel()
        await workflow.wait()
        for path in ("inputs", "outputs", "reporting"):
            spoiled = deepcopy(report)
            spoiled["tasks"][0]["exec"][path] = deep
            with pytest.raises(RescueError):
                await engine.rescue(flow("slow"), spoiled)
            assert engine.instances == []


# Load

METHODS = ("load", "reload", "run_once")


async def load(engine: tukio.Engine, method: str, templates: list[Any]) -> None:
    """Load templates, the last of which may have faults."""
    if method == "reload":
        await engine.reload(templates)
    elif method == "load":
        await engine.load(templates[-1])
    else:
        await engine.run_once(templates[-1], {})


@some
@given(
    st.sampled_from(sorted(WORKFLOWS)),
    deeds(NASTY),
    st.sampled_from(["load", "reload", "run_once"]),
)
async def test_g12_a_spoilt_template_is_loaded_or_leaves_the_engine_as_it_was(
    name: str, done: list[Deed], method: str
) -> None:
    """Half of it never is; what was there before still is triggered, and what ran goes on."""
    old = flow("slow", id="old", topics=["t"])
    async with tukio.Engine() as engine:
        await engine.load(old)
        [first] = await engine.data_received({}, "t")
        document = WORKFLOWS[name].as_dict() | {"id": "new", "topics": ["t"]}
        with refusals(TemplateError) as refused:
            template = tukio.WorkflowTemplate.from_dict(spoilt(document, done))
            await load(engine, method, [flow("slow", id="beside"), template])
        if refused:
            assert engine.selector.select("t") == [old]
            assert engine.instances == [first]
            [second] = await engine.data_received({}, "t")
            assert second.template is old
        with anyio.fail_after(LONG_ENOUGH):
            while engine.instances:
                await engine.instances[0].wait()
        assert first.state is tukio.FutureState.finished
