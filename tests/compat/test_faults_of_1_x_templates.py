"""Faults of tukio 1.1.2, B40, B47, B48, B52 and B57: templates that ran though they were faulty.

And templates that were not what they had been made from, and refusals that said nothing.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from tukio._model.selector import Selector

if TYPE_CHECKING:
    from collections.abc import Iterator

FINISHED = tukio.FutureState.finished

BAD: dict[str, tuple[str, Any, str, type[Exception]]] = {
    "topics a text": ("topics", "news", "tasks[1].topics", TypeError),
    "topics a tuple": ("topics", ("news",), "tasks[1].topics", TypeError),
    "topics a number": ("topics", 5, "tasks[1].topics", TypeError),
    "topics of numbers": ("topics", ["news", 5], "tasks[1].topics[1]", TypeError),
    "timeout a text": ("timeout", "x", "tasks[1].timeout", TypeError),
    "timeout negative": ("timeout", -1, "tasks[1].timeout", ValueError),
    "timeout not a number": ("timeout", math.nan, "tasks[1].timeout", ValueError),
}


def two(**fields: Any) -> tukio.WorkflowTemplate:
    """Return a -> b, both `quick`."""
    return flow("a b", names={"a": "quick", "b": "quick"}, **fields)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_b40_a_task_that_could_not_start_is_refused_before_anything_runs(
    ran: list[str], bad: tuple[str, Any, str, type[Exception]]
) -> None:
    """In 1.1.2 the workflow failed in its midst, and the coroutine of the task ran as an orphan."""
    field, value, path, kind = bad
    template = two()
    setattr(template.tasks[1], field, value)
    async with tukio.Engine() as engine:
        story = listen(engine)
        for attempt in (
            engine.load(template),
            engine.run_once(template, {}),
            engine.reload([template]),
        ):
            with pytest.raises(tukio.TemplateError) as refused:
                await attempt
            assert [(fault.path, fault.kind) for fault in refused.value.faults] == [(path, kind)]
            assert isinstance(refused.value, kind)
        assert not await engine.trigger("flow", {})
        assert engine.instances == []

    assert story == []
    assert ran == []
    document = two().as_dict()
    document["tasks"][1][field] = value
    with pytest.raises(tukio.TemplateError) as refused:
        tukio.WorkflowTemplate.from_dict(document)
    assert [fault.path for fault in refused.value.faults] == [path]


@pytest.mark.parametrize("field", ["topics", "timeout"])
async def test_b40_a_task_that_cannot_start_is_a_failed_task_without_an_orphan(
    ran: list[str], caplog: pytest.LogCaptureFixture, field: str
) -> None:
    """As when its template was spoilt after `load`, or came from a selector of the user's own.

    A coroutine that is never awaited would fail this test by its warning.
    """
    # What pytest keeps of the log holds the traceback of the failed task.
    caplog.set_level(logging.CRITICAL, logger="tukio")
    template = flow({"a": ["b", "c"]}, names=dict.fromkeys("abc", "quick"))
    async with tukio.Engine() as engine:
        await engine.load(template)
        setattr(template.tasks[1], field, object())
        run: Any = await engine.trigger("flow", {})
        assert await run.wait() is FINISHED
        assert engine.instances == []

    assert list(run.errors) == ["b"]
    assert isinstance(run.errors["b"], TypeError)
    assert ran == ["a", "c"]


@pytest.mark.backends("asyncio", "uvloop")
async def test_b40_a_run_that_cannot_start_is_no_zombie(ran: list[str]) -> None:
    """Nor does it keep other workflows from starting, the next one of its policy, or `stop()`.

    Not in a `with` block, which could not be left if this failed.
    """
    template = two(policy="skip")
    engine = tukio.Engine()
    await engine.load(template)
    await engine.load(two(id="other"))
    template.timeout = object()  # type: ignore[assignment]
    await engine.data_received({})
    await anyio.sleep(1)
    assert engine.instances == []
    template.timeout = None
    assert await engine.trigger("flow", {})
    await engine.stop()

    assert ran == ["a", "b"] * 2


# What a template holds ----------------------------------------------------------------------------


def test_b47_tasks_do_not_share_their_default_topics() -> None:
    """In 1.1.2 there was one default list: what one task added, all the others listened to."""
    one, other = tukio.TaskTemplate("one"), tukio.TaskTemplate.from_dict({"name": "other"})
    assert one.topics is not None
    one.topics.append("news")
    third = tukio.TaskTemplate("third")

    assert (one.topics, other.topics, third.topics) == (["news"], [], [])


def test_b47_a_copy_has_all_fields_and_shares_none() -> None:
    """In 1.1.2 `copy()` lost the policy, the topics, the timeout and the schema."""
    document: dict[str, Any] = {
        "id": "W",
        "policy": "abort-running",
        "topics": ["news"],
        "timeout": 60,
        "schema": 3,
        "tasks": [
            {"name": "quick", "id": uid, "config": {"l": [1]}, "timeout": 5, "topics": ["t"]}
            for uid in "ab"
        ],
        "graph": {"a": ["b"], "b": []},
        "title": "Title",
        "meta": {"m": [1]},
        "on_error": "abort",
        "mine": {"x": [1]},
    }
    template = tukio.WorkflowTemplate.from_dict(document)
    copied = template.copy()
    assert copied.as_dict() == template.as_dict() == document
    assert copied.topics is not None
    copied.topics.append("spoilt")
    copied.tasks[0].config["l"].append("spoilt")
    copied.meta["m"].append("spoilt")
    copied.extra["mine"]["x"].append("spoilt")
    copied.unlink(*copied.tasks)

    assert template.as_dict() == document


@pytest.mark.parametrize(
    ("graph", "path"), [({"a": ["zz"]}, "graph.a[0]"), ({"a": ["b"], "zz": ["b"]}, "graph.zz")]
)
def test_b47_an_edge_to_an_unknown_task_is_a_template_graph_error(
    graph: dict[str, list[str]], path: str
) -> None:
    """In 1.1.2 it was a bare KeyError, which is what the error still is, too."""
    document = {"tasks": [{"id": uid, "name": "quick"} for uid in "ab"], "graph": graph}
    with pytest.raises(tukio.errors.TemplateGraphError) as refused:
        tukio.WorkflowTemplate.from_dict(document)
    error = refused.value

    assert isinstance(error, tukio.TemplateError)
    assert isinstance(error, KeyError)
    assert [
        fault.path for fault in error.faults if fault.kind is tukio.errors.TemplateGraphError
    ] == [path]


async def test_b47_two_tasks_with_one_id_are_refused(ran: list[str]) -> None:
    """In 1.1.2 only one of them ever ran, or the first became a second root."""
    template = tukio.WorkflowTemplate("flow")
    root, *twins = (tukio.TaskTemplate("quick", uid) for uid in "abb")
    template.add(root)
    for twin in twins:
        template.add(twin)
        template.link(root, twin)
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.TemplateError) as refused:
            await engine.load(template)
        with pytest.raises(tukio.TemplateError):
            await engine.run_once(template, {})

    assert [fault.path for fault in refused.value.faults] == ["tasks[2].id"]
    with pytest.raises(tukio.TemplateError, match="duplicate task id 'b'"):
        tukio.WorkflowTemplate.from_dict(template.as_dict())
    assert ran == []


async def test_b47_a_cycle_is_refused_and_named(ran: list[str]) -> None:
    """In 1.1.2 `validate` and `load` let R -> X <-> Y pass, and each ran once."""
    template = tukio.WorkflowTemplate("flow")
    r, x, y = (tukio.TaskTemplate("quick", uid) for uid in "rxy")
    for one in (r, x, y):
        template.add(one)
    template.link(r, x)
    template.link(x, y)
    template.link(y, x)
    async with tukio.Engine() as engine:
        for attempt in (engine.load(template), engine.run_once(template, {})):
            with pytest.raises(tukio.errors.DAGValidationError, match=r"x -> y -> x|y -> x -> y"):
                await attempt
    with pytest.raises(tukio.errors.DAGValidationError) as refused:
        template.validate()

    assert isinstance(refused.value, tukio.WorkflowError)
    assert ran == []


# What an engine holds -----------------------------------------------------------------------------


def lazily(*templates: Any) -> Iterator[Any]:
    """Yield some templates, then fail."""
    yield from templates
    raise LookupError("storage")


FAULTY: dict[str, Any] = {
    "no root": lambda: tukio.WorkflowTemplate("faulty"),
    "unknown name": lambda: flow("unheard_of", id="faulty"),
    "no template": lambda: "faulty",
}


@pytest.mark.parametrize("faulty", FAULTY.values(), ids=FAULTY)
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_b48_a_reload_that_fails_changes_nothing(
    ran: list[str], faulty: Any, place: int
) -> None:
    """In 1.1.2 the templates before the bad one were loaded, and the previous ones were gone."""
    new = [two(id="N1"), two(id="N2")]
    new.insert(place, faulty())
    async with tukio.Engine() as engine:
        await engine.load(two(id="old", topics=["t"]))
        with pytest.raises((tukio.TemplateError, AttributeError)):
            await engine.reload(new)
        runs = await engine.data_received({}, "t")
        assert [run.template.uid for run in runs] == ["old"]
        assert not await engine.trigger("N1", {})


async def test_b48_a_reload_from_a_source_that_fails_changes_nothing(ran: list[str]) -> None:
    """All templates are there before the first one is replaced."""
    async with tukio.Engine() as engine:
        await engine.load(two(id="old"))
        with pytest.raises(LookupError, match="storage"):
            await engine.reload(lazily(two(id="N1")))
        assert [run.template.uid for run in await engine.data_received({})] == ["old"]
        await engine.reload([two(id="N1"), two(id="N2")])
        assert [run.template.uid for run in await engine.data_received({})] == ["N1", "N2"]


CHANGED: dict[str, tuple[list[str], list[str] | None]] = {
    "twice": (["x", "x"], ["x", "x"]),
    "another": (["x"], ["y"]),
    "one less": (["x", "y"], ["x"]),
    "none": (["x"], []),
    "everything": (["x"], None),
}


@pytest.mark.parametrize("replace", [False, True], ids=["unload", "load again"])
@pytest.mark.parametrize(("topics", "later"), CHANGED.values(), ids=CHANGED)
async def test_b48_what_is_unloaded_is_not_triggered_any_more(
    ran: list[str], topics: list[str], later: list[str] | None, replace: bool
) -> None:
    """In 1.1.2 this was a KeyError, or a topic it had had could still trigger it, or both.

    That is, when its topics had been changed since it was loaded, or one was there twice.
    """
    template = two(topics=list(topics))
    async with tukio.Engine() as engine:
        await engine.load(template)
        assert len(await engine.data_received({}, "x")) == 1
        template.topics = later
        if replace:
            await engine.load(two(topics=["z"]))
        else:
            assert await engine.unload("flow") is template
        for topic in ("x", "y", None):
            assert await engine.data_received({}, topic) == []
        assert bool(await engine.trigger("flow", {})) is replace


# Refusals -----------------------------------------------------------------------------------------


async def test_b52_a_refusal_says_why(ran: list[str]) -> None:
    """In 1.1.2 all of them were None, which made `for run in await data_received()` fail."""
    template = flow("a", names={"a": "slow"}, policy="skip")
    async with tukio.Engine() as engine:
        await engine.load(template)
        unknown = await engine.trigger("other", {})
        run: Any = await engine.trigger("flow", {})
        await anyio.sleep(1)
        skipped = await engine.trigger("flow", {})
        assert await engine.data_received({}) == []
        report = run.report()
        engine.stop()
        stopping = [
            await engine.trigger("flow", {}),
            await engine.run_once(template, {}),
            await engine.rescue(template, report),
        ]
        assert await engine.data_received({}) == []

    reason = tukio.Reason
    assert unknown == tukio.Refusal(reason.UNKNOWN_TEMPLATE, "other")
    assert skipped == tukio.Refusal(reason.SKIPPED, "flow")
    assert stopping == [tukio.Refusal(reason.STOPPING, "flow")] * 3
    assert not any([unknown, skipped, *stopping])
    assert str(unknown) == "workflow 'other' was not started: no template with this id is loaded"
    assert ran == ["a"]


class Answers(Selector):
    """A selector that answers in a way of its own when it does not know a template."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    async def get(self, template_id: str) -> Any:  # type: ignore[override]
        """Return the template, or the answer."""
        return super().get(template_id) or self.answer


@pytest.mark.parametrize("answer", [None, False, {}], ids=repr)
async def test_b52_any_falsy_answer_of_a_selector_is_an_unknown_template(
    ran: list[str], answer: Any
) -> None:
    """As in 1.1.2, where the caller could not tell it from the others."""
    async with tukio.Engine(selector=Answers(answer)) as engine:
        await engine.load(two())
        assert await engine.trigger("flow", {})
        refusal = await engine.trigger("other", {})

    assert refusal == tukio.Refusal(tukio.Reason.UNKNOWN_TEMPLATE, "other")


INVALID: dict[str, tuple[Any, type[Exception]]] = {
    "no root": (lambda: tukio.WorkflowTemplate("flow"), tukio.errors.WorkflowRootTaskError),
    "two roots": (
        lambda: flow({"a": [], "b": []}, names={"a": "quick", "b": "quick"}),
        tukio.errors.WorkflowRootTaskError,
    ),
    "unknown name": (lambda: flow("a b", names={"a": "quick"}), tukio.UnknownTaskName),
}


@pytest.mark.parametrize(("make", "kind"), INVALID.values(), ids=INVALID)
async def test_b57_run_once_validates_before_it_starts(
    ran: list[str], make: Any, kind: type[Exception]
) -> None:
    """In 1.1.2 it returned a run that had failed, or that failed when it came to the bad task."""
    template = make()
    async with tukio.Engine() as engine:
        story = listen(engine)
        with pytest.raises(kind) as refused:
            await engine.run_once(template, {})
        assert isinstance(refused.value, tukio.TemplateError)
        assert engine.instances == []
        # It is not that nothing runs here.
        assert await engine.run_once(two(), {})

    assert ran == ["a", "b"]
    assert len(story) == 6
