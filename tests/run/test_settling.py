"""One end of a step: however it ends, one decision, one place that follows it, one event."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen, step_of
from support.keeping import KeepingEngine
from support.silence import silence
from tukio._model.facts import StepEnded
from tukio._run import driver, retrying, settling, unwinding, whole
from tukio._run.outcome import NOTHING, Ending
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks

FINISHED, EXCEPTION = tukio.FutureState.finished, tukio.FutureState.exception
SKIPPED, TIMEOUT = tukio.FutureState.skipped, tukio.FutureState.timeout
CANCELLED, PENDING = tukio.FutureState.cancelled, tukio.FutureState.pending


@dataclass
class Settled:
    """What was settled: the id of the task, and the ending."""

    endings: list[tuple[str, Ending]] = field(default_factory=list[tuple[str, Ending]])

    def of(self, uid: str) -> Ending:
        """Return the one ending of a task."""
        (ending,) = [ending for task, ending in self.endings if task == uid]
        return ending


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Settled:
    """Note what is settled, wherever a step ends."""
    noted, original = Settled(), settling.settle

    def noting(run: Any, step: Any, ending: Any) -> bool:
        noted.endings.append((step.template.uid, Ending(*ending)))
        return original(run, step, ending)

    for module in (retrying, settling, unwinding, driver, whole):
        assert vars(module)["settle"] is original
        monkeypatch.setattr(module, "settle", noting)
    return noted


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> Iterator[None]:
    """Register `ends`, which does as told, and `after`; keep the log quiet."""

    @task
    class ends(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> Any:
            how = event.data.get("how")
            waits = self.config.get("waits", event.data.get("waits"))
            if waits:
                await anyio.sleep(waits)
            if isinstance(how, BaseException):
                raise how
            return how

        async def teardown(self) -> Any:
            return self.config.get("torn")

    @task
    async def after(event: tukio.Event) -> None:
        pass

    with silence():
        yield


def template(limit: float | None = None, torn: Any = None, **fields: Any) -> Any:
    """Return a workflow of `ends` and what comes after it."""
    found = flow("ends after", limits={"ends": limit} if limit else None, **fields)
    found.tasks[0].config = {"torn": torn}
    return found


BOOM, CODE = KeyError("boom"), tukio.TukioTaskError({"code": 3})
WHY = tukio.SkipTask("why")
INPUTS: Any = "its inputs"

Expected = tuple[Any, str, Any, Any, Any]
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], Expected]] = {
    "a dict": ({"how": {"n": 1}}, {}, (FINISHED, "task-end", {"n": 1}, {"n": 1}, None)),
    "nothing": ({}, {}, (FINISHED, "task-end", None, INPUTS, None)),
    "an event": (
        {"how": tukio.Event({"n": 1})},
        {},
        (FINISHED, "task-end", {"n": 1}, {"n": 1}, None),
    ),
    "what cannot be passed on": (
        {"how": 5},
        {},
        (EXCEPTION, "task-error", 5, NOTHING, tukio.errors.InvalidResult),
    ),
    "an error": ({"how": BOOM}, {}, (EXCEPTION, "task-error", None, NOTHING, KeyError)),
    "an error after a while": (
        {"how": BOOM, "waits": 1},
        {},
        (EXCEPTION, "task-error", None, NOTHING, KeyError),
    ),
    "an error with outputs": (
        {"how": CODE},
        {},
        (EXCEPTION, "task-error", {"code": 3}, NOTHING, tukio.TukioTaskError),
    ),
    "a skip": ({"how": WHY}, {}, (SKIPPED, "task-skip", None, INPUTS, tukio.SkipTask)),
    "its limit": (
        {"waits": 9},
        {"limit": 2},
        (TIMEOUT, "task-timeout", INPUTS, INPUTS, None),
    ),
    "its limit, and a clean-up with outputs": (
        {"waits": 9},
        {"limit": 2, "torn": {"n": 1}},
        (TIMEOUT, "task-timeout", {"n": 1}, {"n": 1}, None),
    ),
    "its limit, and a clean-up with what cannot be passed on": (
        {"waits": 9},
        {"limit": 2, "torn": 5},
        (TIMEOUT, "task-timeout", 5, INPUTS, None),
    ),
}


def matches(ending: Ending, expected: Expected, inputs: Any) -> None:
    """Compare an ending with what it is to be."""
    state, event, output, leads_to, error = expected
    assert ending[:2] == (state, event)
    assert ending.output == (inputs if output is INPUTS else output)
    assert ending.leads_to == (inputs if leads_to is INPUTS else leads_to)
    assert ending.error is None if error is None else isinstance(ending.error, error)


@pytest.mark.parametrize("listens", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("way", WAYS)
async def test_each_way_of_ending_is_one_ending_one_event_and_one_fact(
    settled: Settled, way: str, listens: bool
) -> None:
    """And leads to the next step, or to nothing, as decided."""
    data, fields, expected = WAYS[way]
    async with KeepingEngine() as engine:
        story = listen(engine) if listens else []
        run: Any = await engine.run_once(template(**fields), data)
        assert await run.wait() is FINISHED
    ending = settled.of("ends")
    matches(ending, expected, data)
    step = step_of(run, "ends")
    assert (step.state, step.output_data, step.error, step.ended_at) == (
        ending.state,
        ending.output,
        ending.error,
        ending.at,
    )
    assert ending.at == (data.get("waits", 0) if expected[0] is not TIMEOUT else 2)
    if listens:
        told = [kind for kind, uid, _ in story if uid == "ends"]
        assert told == ["task-begin", expected[1]]
    kept = [fact for fact in engine.facts_of(run) if isinstance(fact, StepEnded)]
    assert Counter(fact.task for fact in kept)["ends"] == 1
    assert (kept[0].state, kept[0].output) == (ending.state, ending.output)
    leads_on = expected[3] is not NOTHING
    assert [uid for uid, _ in settled.endings] == ["ends"] + ["after"] * leads_on
    if leads_on:
        assert step_of(run, "after").input_data == ending.leads_to


Act = Any
CUTS: dict[str, tuple[Act, list[str]]] = {
    "the run is cancelled": (lambda run: run.cancel(), ["task-begin", "task-cancel"]),
    "the run reaches its limit": (lambda run: run.timeout(), ["task-begin", "task-cancel"]),
    "the task is cancelled": (
        lambda run: step_of(run, "ends").cancel(),
        ["task-begin", "task-cancel"],
    ),
    "suspended, then cancelled at once": (
        lambda run: run.suspend() and run.cancel(),
        ["task-begin", "task-cancel"],
    ),
    "cancelled twice, in two ways": (
        lambda run: (step_of(run, "ends").cancel(), run.cancel(), run.timeout()),
        ["task-begin", "task-cancel"],
    ),
    "timed out and cancelled": (
        lambda run: (step_of(run, "ends").timeout(), run.cancel()),
        ["task-begin", "task-cancel"],
    ),
}


@pytest.mark.parametrize("cut", CUTS)
async def test_each_way_of_being_cut_is_one_ending_and_one_event(
    settled: Settled, cut: str
) -> None:
    """A cancellation leads to nothing."""
    act, expected = CUTS[cut]
    async with KeepingEngine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template(), {"waits": 9})
        await anyio.sleep(1)
        act(run)
        await run.wait()
    assert settled.endings == [("ends", Ending(CANCELLED, "task-cancel", None, NOTHING, None, 1.0))]
    assert [kind for kind, uid, _ in story if uid == "ends"] == expected
    assert [fact.state for fact in engine.facts_of(run) if isinstance(fact, StepEnded)] == [
        CANCELLED
    ]


async def test_a_step_called_off_before_it_begins_ends_once(settled: Settled) -> None:
    """It begins, so that its end has a beginning, and nothing of it is called."""
    async with KeepingEngine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template(), {})
        assert step_of(run, "ends").cancel()
        assert await run.wait() is FINISHED
    matches(settled.of("ends"), (CANCELLED, "task-cancel", None, NOTHING, None), {})
    assert [kind for kind, uid, _ in story if uid == "ends"] == ["task-begin", "task-cancel"]
    assert step_of(run, "ends").holder is None


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_a_step_cancelled_while_it_is_put_off_ends_once(settled: Settled, how: str) -> None:
    """It has begun and unwound, and nobody drives it: it ends at once, and is not run again."""
    async with KeepingEngine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template(), {"waits": 9})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        step = step_of(run, "ends")
        assert (step.state, step.ended_at) == (tukio.FutureState.suspended, None)
        assert settled.endings == []
        assert step.cancel()
        assert step.done()
        assert not step.cancel()
        getattr(run, how)()
    assert settled.endings == [("ends", Ending(CANCELLED, "task-cancel", None, NOTHING, None, 2.0))]
    assert [kind for kind, uid, _ in story if uid == "ends"] == ["task-begin", "task-cancel"]


async def test_an_interruption_that_is_resumed_is_no_ending(settled: Settled) -> None:
    """Of two executions the second has the end; the first has neither end nor event."""
    async with KeepingEngine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template(), {"waits": 9})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        assert await run.wait() is FINISHED
    assert [uid for uid, _ in settled.endings] == ["ends", "after"]
    assert settled.of("ends").at == 11
    assert [kind for kind, uid, _ in story if uid == "ends"] == [*["task-begin"] * 2, "task-end"]


@pytest.mark.backends("asyncio", "uvloop")
async def test_a_native_cancellation_is_one_ending(settled: Settled) -> None:
    """Of the task that asyncio knows, at an await; again and again while it unwinds."""
    async with KeepingEngine() as engine:
        run: Any = await engine.run_once(template(), {"waits": 9})
        await anyio.sleep(1)
        for task in asyncio.all_tasks():
            if task.get_name() == "tukio flow":
                assert task.cancel()
                assert task.cancel()
        assert await run.wait() is FINISHED
    matches(settled.of("ends"), (CANCELLED, "task-cancel", None, NOTHING, None), {})
    assert len(settled.endings) == 1


# The order of what follows ------------------------------------------------------------------------


async def test_state_then_event_then_callbacks_then_successors() -> None:
    """Whoever is told finds what was decided, and decides before the next step is due."""
    told: list[tuple[str, Any]] = []
    async with KeepingEngine() as engine:

        def look(where: str) -> None:
            step = step_of(run, "ends")
            kept = [fact for fact in engine.facts_of(run) if isinstance(fact, StepEnded)]
            told.append(
                (
                    where,
                    (
                        step.state,
                        step.ended_at,
                        step.outputs,
                        step.done(),
                        step.driver is None,
                        len(kept),
                        [due.template.uid for due in run._run.plan.ready],
                    ),
                )
            )

        def handler(event: tukio.Event) -> None:
            kind = event.data["type"]
            assert event.source
            if event.source.task_template_id == "ends" and kind == "task-end":
                look("event")
            if event.source.task_template_id == "after" and kind == "task-begin":
                told.append(("after", None))

        engine.broker.register(handler, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(template(), {"how": {"n": 1}, "waits": 3})
        await settle()
        step_of(run, "ends").add_done_callback(lambda _: look("callback"))
        assert await run.wait() is FINISHED
    assert told == [
        ("event", (FINISHED, 3, {"n": 1}, True, True, 1, [])),
        ("callback", (FINISHED, 3, {"n": 1}, True, True, 1, [])),
        ("after", None),
    ]


@pytest.mark.parametrize("where", ["handler", "callback"])
@pytest.mark.parametrize(
    ("act", "ending"), [("cancel", CANCELLED), ("suspend", FINISHED), ("timeout", TIMEOUT)]
)
async def test_who_is_told_of_an_end_decides_whether_anything_follows(
    settled: Settled, where: str, act: str, ending: tukio.FutureState
) -> None:
    """A run that is stopped there leads no further; a suspended one knows what comes next."""
    async with KeepingEngine() as engine:

        def handler(event: tukio.Event) -> None:
            source = event.source
            assert source
            if event.data["type"] == "task-end" and source.task_template_id == "ends":
                getattr(run, act)()

        if where == "handler":
            engine.broker.register(handler, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(template(), {"waits": 3})
        if where == "callback":
            await settle()
            step_of(run, "ends").add_done_callback(lambda _: getattr(run, act)())
        await anyio.sleep(4)
        if act == "suspend":
            assert [due.template.uid for due in run._run.plan.ready] == ["after"]
            assert [uid for uid, _ in settled.endings] == ["ends"]
            run.resume()
        assert await run.wait() is ending
    assert [uid for uid, _ in settled.endings] == ["ends"] + ["after"] * (act == "suspend")
    assert settled.of("ends").state is FINISHED
    # Nor is anything due in a run that was stopped.
    assert [step.template.uid for step in run.tasks] == [uid for uid, _ in settled.endings]


async def test_a_handler_and_a_callback_that_fail_keep_nothing_from_following(
    settled: Settled,
) -> None:
    """They are the affair of whoever wrote them."""

    def fail(_: object) -> None:
        raise RuntimeError

    called: list[str] = []
    async with KeepingEngine() as engine:
        engine.broker.register(fail, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(template(), {"waits": 3})
        await settle()
        step = step_of(run, "ends")
        step.add_done_callback(fail)
        step.add_done_callback(lambda _: called.append("second"))
        assert await run.wait() is FINISHED
    assert called == ["second"]
    assert [uid for uid, _ in settled.endings] == ["ends", "after"]


async def test_a_failure_that_aborts_is_told_before_what_it_cuts(settled: Settled) -> None:
    """The error is first, then what unwinds because of it."""
    async with KeepingEngine() as engine:
        story = listen(engine)
        graph = {"after": ["ends", "beside"]}
        found = flow(graph, names={"beside": "ends"}, on_error="abort")
        found.tasks[2].config = {"waits": 9}
        run: Any = await engine.run_once(found, {"how": BOOM, "waits": 3})
        assert await run.wait() is EXCEPTION
    ends = [(kind, uid) for kind, uid, _ in story if kind in {"task-error", "task-cancel"}]
    assert ends[0] == ("task-error", "ends")
    assert [uid for uid, _ in settled.endings] == ["after", "ends", "beside"]
