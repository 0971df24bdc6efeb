"""`Engine.start`: one verb that starts a run and tells why it did not."""

from __future__ import annotations

import enum
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.steps import slow
from tukio._engine import refusal
from tukio._engine.refusal import OF_FUTURES
from tukio._model.not_started import LONGEST_ID

if TYPE_CHECKING:
    from support.flow import Tasks

Workflow = tukio.Workflow
DOCUMENT: dict[str, Any] = {"id": "doc", "tasks": [{"id": "a", "name": "slow"}]}


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register `slow`, which takes ten seconds."""
    slow(task)


async def test_what_is_started() -> None:
    """A template, its dict form, or the id of one that is loaded."""
    async with tukio.Engine() as engine:
        loaded = await engine.load(flow("slow"))
        by_id = await engine.start("flow", {"n": 1})
        by_template = await engine.start(flow("slow", id="other"), {"n": 2})
        by_document = await engine.start(DOCUMENT, tukio.Event({"n": 3}))
    assert by_id.template is loaded
    assert by_template.template.uid == "other"
    assert by_document.template.uid == "doc"
    for n, run in enumerate((by_id, by_template, by_document), 1):
        assert run.state is tukio.FutureState.finished
        assert run.report()["tasks"][0]["exec"]["inputs"] == {"n": n}


class Looks:
    """Counts how often templates are validated when runs are started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._count = 0
        validate = tukio.WorkflowTemplate.validate

        def looking(template: tukio.WorkflowTemplate, *args: Any) -> bool:
            self._count += 1
            return validate(template, *args)

        monkeypatch.setattr(tukio.WorkflowTemplate, "validate", looking)

    async def at(self, template: tukio.WorkflowTemplate) -> int:
        """Start a template three times; return how often it was looked at."""
        self._count = 0
        for _ in range(3):
            run = await tukio.current_engine().start(template, {})
            run.cancel()
        return self._count


async def test_a_sound_template_is_looked_at_again_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once as it was given, and once in the shape that its first run has; then no more."""
    looks, template = Looks(monkeypatch), flow("slow")
    async with tukio.Engine():
        assert [await looks.at(template) for _ in range(2)] == [2, 0]
        template.tasks[0].timeout = 3
        assert [await looks.at(template) for _ in range(2)] == [2, 0]
        template.topics = ["red"]
        assert [await looks.at(template) for _ in range(2)] == [2, 0]
        template.topics.append("blue")
        assert [await looks.at(template) for _ in range(2)] == [2, 0]
        template.tasks[0].timeout = "soon"  # type: ignore[assignment]
        with pytest.raises(tukio.TemplateError):
            await looks.at(template)


async def test_a_sound_template_is_looked_at_again_when_the_registry_has_changed(
    task: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tasks and the predicates in it; what is not there any more is a fault."""
    looks, template = Looks(monkeypatch), flow("slow")
    async with tukio.Engine():
        await looks.at(template)

        @task
        async def other(event: tukio.Event) -> None: ...

        assert [await looks.at(template) for _ in range(2)] == [1, 0]

        @task.predicate("any")
        def holds(error: BaseException) -> bool:
            return True

        assert [await looks.at(template) for _ in range(2)] == [1, 0]
        task.forget()
        with pytest.raises(tukio.TemplateError):
            await looks.at(template)


REFUSALS = {
    tukio.Reason.UNKNOWN_TEMPLATE: (
        "no template with this id is loaded"
        " - load it first, by await engine.load(template), or start the template"
    ),
    tukio.Reason.SKIPPED: (
        "the overrun policy says to skip it while earlier runs are not over"
        " - policy 'start-new' starts one each time; or wait for the run at work"
    ),
    tukio.Reason.STOPPING: (
        "the engine is stopping - start it before the engine is stopped or left"
    ),
    tukio.Reason.TOO_MANY_HOPS: (
        "its data has come through too many runs, each started by the one before"
        " - mend the tasks that send data which starts their own workflow again"
    ),
    tukio.Reason.FAULTY: (
        "it could not be made, for the reason in the log"
        " - mend what the log of 'tukio.engine' tells of"
    ),
}


@pytest.mark.parametrize("reason", tukio.Reason)
def test_an_error_tells_why_and_what_helps(reason: tukio.Reason) -> None:
    """It can be pickled, and is one of this library's."""
    error = tukio.NotStarted(reason, "w")
    assert str(error) == f"workflow 'w' was not started: {REFUSALS[reason]}"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (copy.reason, copy.template_id) == (reason, "w")
    assert isinstance(error, tukio.WorkflowError)


async def test_nothing_is_started_without_an_error() -> None:
    """The reason is that of the refusal that `trigger` would return."""
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.NotStarted) as caught:
            await engine.start("flow", {})
        assert caught.value.reason is tukio.Reason.UNKNOWN_TEMPLATE
        await engine.start(flow("slow", policy="skip"), {})
        with pytest.raises(tukio.NotStarted) as caught:
            await engine.start(flow("slow", policy="skip"), {})
        assert caught.value.reason is tukio.Reason.SKIPPED
        assert caught.value.template_id == "flow"
        engine.stop()
        with pytest.raises(tukio.NotStarted) as caught:
            await engine.start(flow("slow"), {})
        assert caught.value.reason is tukio.Reason.STOPPING
        assert len(engine.instances) == 1


async def test_a_policy_in_place_of_that_of_the_template() -> None:
    """It decides about this start, and about the lock of the run."""
    template = flow("slow", policy="skip")
    async with tukio.Engine() as engine:
        first = await engine.start(template, {})
        second = await engine.start(template, {}, policy="start-new")
        assert not second.lock.locked()
        third = await engine.start(template, {}, policy=tukio.OverrunPolicy.ABORT_RUNNING)
        await third.wait()
        locked = await engine.start(template, {}, policy="skip-until-unlock")
        assert locked.lock.locked()
        locked.unlock()
        await engine.start(template, {}, policy="skip-until-unlock")
    states = [run.state.value for run in (first, second, third)]
    assert states == ["cancelled", "cancelled", "finished"]


async def test_the_same_start_again_is_the_same_run() -> None:
    """An id is of one run, as long as that is not over."""
    async with tukio.Engine() as engine:
        await engine.load(flow("slow"))
        run = await engine.start("flow", {"n": 1}, id="delivery-17")
        assert run.uid == "delivery-17"
        assert await engine.start("flow", {"n": 1}, id="delivery-17") is run
        assert await engine.start(flow("slow"), {"n": 1}, id="delivery-17") is run
        engine.stop()
        assert await engine.start("flow", {"n": 1}, id="delivery-17") is run
        assert engine.get("delivery-17") is run
    assert run.report()["exec"]["id"] == "delivery-17"


async def test_an_id_is_forgotten_when_the_run_is_over() -> None:
    """Without a journal nobody keeps it."""
    async with tukio.Engine() as engine:
        first = await engine.start(flow("slow"), {}, id="x")
        await first.wait()
        second = await engine.start(flow("slow"), {"n": 2}, id="x")
    assert first is not second
    assert second.uid == "x"


async def test_an_id_is_asked_before_the_policy() -> None:
    """The same start again is not refused because the run is at work."""
    template = flow("slow", policy="skip")
    async with tukio.Engine() as engine:
        run = await engine.start(template, {}, id="x")
        assert await engine.start(template, {}, id="x") is run


async def test_an_id_of_other_content_is_a_conflict() -> None:
    """Other data, or another template; nothing is started."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("slow"), {"n": 1}, id="x")
        for what, data in ((flow("slow"), {"n": 2}), (flow("slow", timeout=5), {"n": 1})):
            with pytest.raises(tukio.IdConflict) as caught:
                await engine.start(what, data, id="x")
            assert (caught.value.uid, caught.value.template_id) == ("x", "flow")
        assert engine.instances == [run]
    assert str(caught.value) == (
        "id 'x' is that of a run of workflow 'flow' with another template or other data"
        " - give each start an id of its own"
    )


async def test_a_run_that_waits_for_its_turn_has_its_id() -> None:
    """It replaces others that are not over yet."""
    template = flow("slow", policy="abort-running")
    async with tukio.Engine() as engine:
        first = await engine.start(template, {})
        await anyio.sleep(1)
        second = await engine.start(template, {"n": 2}, id="x")
        assert await engine.start(template, {"n": 2}, id="x") is second
        with pytest.raises(tukio.IdConflict):
            await engine.start(template, {"n": 3}, id="x")
    assert first.state is tukio.FutureState.cancelled
    assert second.state is tukio.FutureState.finished


async def test_the_data_of_a_start_is_that_of_its_start(task: Tasks) -> None:
    """A task that changes what is within its data makes no other start of it (G9)."""

    @task
    async def changes(event: tukio.Event) -> None:
        event.data["within"].append(2)
        await anyio.sleep(10)

    given = {"within": [1]}
    async with tukio.Engine() as engine:
        run = await engine.start(flow("changes"), given, id="x")
        await anyio.sleep(1)
        assert given == {"within": [1, 2]}
        assert await engine.start(flow("changes"), {"within": [1]}, id="x") is run
        with pytest.raises(tukio.IdConflict):
            await engine.start(flow("changes"), given, id="x")
        assert await engine.start(flow("changes"), {"within": [1]}, id="x") is run


class Word(str, enum.Enum):  # noqa: UP042 - shown by its name, as in older code
    """Ids of a user's own."""

    FLOW = "flow"
    X = "x"


class Broken(str):
    """A text whose methods raise."""

    __slots__ = ()

    def _raise(self, *_: object) -> Any:
        raise LookupError

    __hash__ = __eq__ = __len__ = __str__ = __repr__ = _raise


@pytest.mark.parametrize(
    ("flow_id", "uid"), [(Word.FLOW, Word.X), (Broken("flow"), Broken("x"))], ids=["enum", "broken"]
)
async def test_kinds_of_text_are_those_texts(flow_id: str, uid: str) -> None:
    """Where an id is given, in what is returned, and in what is raised."""
    async with tukio.Engine() as engine:
        for wrong in (await engine.trigger(flow_id, {}), await refused(engine, flow_id)):
            assert type(wrong.template_id) is str
            assert wrong.template_id == "flow"
        await engine.load(flow("slow"))
        run = await engine.start(flow_id, {}, id=uid)
        assert type(run.uid) is str
        assert run.uid == "x"
        assert await engine.start(flow_id, {}, id=uid) is run is engine.get(uid)
        assert (await engine.unload(flow_id)).uid == "flow"


async def refused(engine: tukio.Engine, what: str) -> tukio.NotStarted:
    """Return what is raised in place of a start."""
    with pytest.raises(tukio.NotStarted) as caught:
        await engine.start(what, {})
    return caught.value


class Odd(dict[str, Any]):
    """Data that refuses to be compared."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        raise LookupError


async def test_data_that_cannot_be_compared_is_other_data() -> None:
    """Its error harms nobody."""
    async with tukio.Engine() as engine:
        await engine.start(flow("slow"), {"n": Odd()}, id="x")
        with pytest.raises(tukio.IdConflict):
            await engine.start(flow("slow"), {"n": Odd()}, id="x")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"data": 5}, ValueError),
        ({"policy": "sometimes"}, ValueError),
        ({"id": ""}, ValueError),
        ({"id": "x" * (LONGEST_ID + 1)}, ValueError),
        ({"id": 5}, TypeError),
        ({"what": {"tasks": 5}}, tukio.TemplateError),
        ({"what": 5}, tukio.TemplateError),
    ],
    ids=str,
)
async def test_what_is_wrong_starts_nothing(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    """Each argument is looked at before anything is started."""
    async with tukio.Engine() as engine:
        given: dict[str, Any] = {"what": DOCUMENT, "data": {}} | arguments
        with pytest.raises(error):
            await engine.start(given.pop("what"), given.pop("data"), **given)
        assert engine.instances == []


async def test_documents_are_taken_where_templates_are() -> None:
    """`load`, `reload`, `run_once` and `rescue` take either."""
    async with tukio.Engine() as engine:
        loaded = await engine.load(DOCUMENT)
        assert engine.templates == [loaded]
        await engine.reload([DOCUMENT, flow("slow")])
        assert [template.uid for template in engine.templates] == ["doc", "flow"]
        run = await engine.run_once(DOCUMENT, {})
        report = run.report()
        run.cancel()
        await run.wait()
        again = await engine.rescue(DOCUMENT, report)
        assert again.uid == run.uid


class Chooses:
    """A selector of a user's own, which tells nobody what it has."""

    def select(self, topic: str | None = None) -> list[Any]:
        """Choose nothing."""
        return []

    async def get(self, template_id: str) -> Any:
        """Find a template in a database."""
        await anyio.sleep(1)
        return flow("slow", id=template_id) if template_id == "known" else None


async def test_a_selector_of_ones_own() -> None:
    """It may take its time, and need not tell all it has."""
    async with tukio.Engine(selector=Chooses()) as engine:
        assert (await engine.start("known", {})).template.uid == "known"
        with pytest.raises(tukio.NotStarted):
            await engine.start("unknown", {})
        with pytest.raises(tukio.EngineError, match="has no method 'all'"):
            _ = engine.templates


# A refusal that is used as a run -----------------------------------------------------------------

MEMBERS = sorted({name for name in dir(Workflow) if not name.startswith("_")} | OF_FUTURES)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_refusal_is_no_run(name: str) -> None:
    """What a run has says why there is none."""
    none = tukio.Refusal(tukio.Reason.SKIPPED, "w")
    with pytest.raises(tukio.NotStarted, match="'w' was not started") as caught:
        getattr(none, name)
    assert caught.value.reason is tukio.Reason.SKIPPED


async def test_a_refusal_cannot_be_awaited() -> None:
    """It says why, too."""
    with pytest.raises(tukio.NotStarted):
        await tukio.Refusal(tukio.Reason.SKIPPED, "w")


def test_a_refusal_is_a_value() -> None:
    """Compared by what it has, copied and pickled; it has nothing else."""
    none = tukio.Refusal(tukio.Reason.SKIPPED, "w", "x")
    assert pickle.loads(pickle.dumps(none)) == none  # noqa: S301 - our own
    assert none == tukio.Refusal(tukio.Reason.SKIPPED, "w", "x")
    assert none != tukio.Refusal(tukio.Reason.SKIPPED, "w")
    assert not none
    assert not hasattr(none, "something_else")
    assert len({none, tukio.Refusal(tukio.Reason.SKIPPED, "w", "x")}) == 1


def test_type_checkers_know_what_a_run_has() -> None:
    """Each member of a run is declared of a refusal, so that the union needs no narrowing."""
    source = Path(refusal.__file__).read_text()
    for name in dir(Workflow):
        assert name.startswith("_") or f"        {name}: Never\n" in source, name
