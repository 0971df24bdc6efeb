"""The engine: templates, triggers, selectors, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from support.steps import slow

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished


# Templates ----------------------------------------------------------------------------------------


async def test_a_bad_template_is_refused_with_all_its_faults_and_nothing_is_loaded(
    task: Tasks,
) -> None:
    """G12 at `load`; what was loaded before stays."""
    slow(task)
    good, bad = flow("slow"), flow({"a": ["b"], "c": []}, names=dict.fromkeys("abc", "slow"))
    bad.tasks[0].timeout = -1
    async with tukio.Engine() as engine:
        await engine.load(good)
        with pytest.raises(tukio.TemplateError) as refusal:
            await engine.load(bad)
        assert engine.selector.select() == [good]

    assert [fault.path for fault in refusal.value.faults] == ["tasks[0].timeout", "graph"]


async def test_reload_is_all_or_nothing(task: Tasks) -> None:
    """One bad template leaves everything as it was (B48)."""
    slow(task)
    old, new, bad = flow("slow", id="old"), flow("slow", id="new"), flow("unknown", id="bad")
    async with tukio.Engine() as engine:
        await engine.load(old)
        with pytest.raises(tukio.UnknownTaskName):
            await engine.reload([new, bad])
        assert engine.selector.select() == [old]
        await engine.reload([new])
        assert engine.selector.select() == [new]


async def test_unload_returns_the_template_and_runs_go_on(task: Tasks) -> None:
    """Also when its topics were changed since (B48)."""
    slow(task)
    template = flow("slow", topics=["a", "a"])
    async with tukio.Engine() as engine:
        await engine.load(template)
        (run,) = await engine.data_received({}, "a")
        assert template.topics is not None
        template.topics.clear()
        assert await engine.unload("flow") is template
        assert await engine.data_received({}, "a") == []
        with pytest.raises(KeyError):
            await engine.unload("flow")
        assert await run.wait() is FINISHED


# Triggers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (None, ["none"]),
        ("", ["none"]),
        ("z", ["none"]),
        ("a", ["none", "ab"]),
        ("b", ["none", "ab"]),
    ],
)
async def test_which_workflows_an_event_triggers(
    task: Tasks, topic: str | None, expected: list[str]
) -> None:
    """Topics None listen to everything, [] to nothing."""
    slow(task)
    async with tukio.Engine() as engine:
        for uid, topics in (("none", None), ("empty", []), ("ab", ["a", "b"])):
            await engine.load(flow("slow", id=uid, topics=topics))
        runs = await engine.data_received({}, topic)

    assert [run.template.uid for run in runs] == expected


@pytest.mark.parametrize("data", [None, "text", 5, [("a", 1)]])
async def test_data_must_be_a_dict_or_an_event(task: Tasks, data: Any) -> None:
    """Bad input is refused before anything happens."""
    slow(task)
    async with tukio.Engine() as engine:
        await engine.load(flow("slow"))
        for call in (
            engine.data_received(data),
            engine.trigger("flow", data),
            engine.run_once(flow("slow"), data),
        ):
            with pytest.raises(ValueError, match="data must be a dict or Event"):
                await call
        assert engine.instances == []


@pytest.mark.parametrize("topic", [5, ["a"], ("a",), b"a"])
async def test_a_topic_must_be_a_string(topic: Any) -> None:
    """Not a list of them."""
    async with tukio.Engine() as engine:
        with pytest.raises(TypeError, match="topic must be a string or None"):
            await engine.data_received({}, topic)


async def test_trigger_says_why_there_is_no_run(task: Tasks) -> None:
    """Falsy, with a reason (B52)."""
    slow(task)
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", policy="skip"))
        unknown = await engine.trigger("nothing", {})
        assert await engine.trigger("flow", {})
        skipped = await engine.trigger("flow", {})
        engine.stop()
        stopping = await engine.trigger("flow", {})
        assert await engine.data_received({}) == []
        refused = await engine.run_once(flow("slow"), {})

    refusals = [unknown, skipped, stopping, refused]
    assert not any(refusals)
    assert [refusal.reason for refusal in refusals if isinstance(refusal, tukio.Refusal)] == [
        tukio.Reason.UNKNOWN_TEMPLATE,
        tukio.Reason.SKIPPED,
        tukio.Reason.STOPPING,
        tukio.Reason.STOPPING,
    ]
    assert "'nothing'" in str(unknown)


@pytest.mark.parametrize("way", ["run_once", "rescue", "trigger", "data_received"])
async def test_a_run_that_no_host_can_be_spawned_for_ends_as_failed(task: Tasks, way: str) -> None:
    """The engine does not wait for it when it is left; who asked for this very run is told."""
    slow(task)
    async with tukio.Engine() as engine:
        await engine.load(flow("slow"))
        earlier = await engine.run_once(flow("slow"), {})
        assert isinstance(earlier, tukio.Workflow)
        report = earlier.report()
        earlier.cancel()
        await earlier.wait()
        heard = listen(engine)
        backend = engine._binding.backend
        spawn = backend.spawn

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise MemoryError

        backend.spawn = refuse  # type: ignore[method-assign]
        if way == "run_once":
            with pytest.raises(MemoryError):
                await engine.run_once(flow("slow"), {})
        elif way == "rescue":
            with pytest.raises(MemoryError):
                await engine.rescue(flow("slow"), report)
        else:
            run: Any = await engine.trigger("flow", {})
            if way == "data_received":
                (run,) = await engine.data_received({})
            assert await run.wait() is tukio.FutureState.exception
        backend.spawn = spawn  # type: ignore[method-assign]
        assert engine.instances == []
        assert "workflow-error" in {kind for kind, _, _ in heard}


async def test_run_once_validates_first(task: Tasks) -> None:
    """An invalid template starts nothing (B57)."""
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.UnknownTaskName):
            await engine.run_once(flow("unknown"), {})
        assert engine.instances == []


async def test_the_root_task_gets_the_topic(task: Tasks) -> None:
    """An event says in which topic it came; its successors' events come from their parent."""
    got: list[Any] = []

    async def look(event: tukio.Event) -> None:
        source = event.source.task_template_id if event.source else None
        got.append((event.topic, source, event.data))

    task(look)
    async with tukio.Engine() as engine:
        await engine.load(flow("a b", names={"a": "look", "b": "look"}, topics=["t"]))
        await engine.data_received({"n": 1}, "t")

    assert got == [("t", None, {"n": 1}), (None, "a", {"n": 1})]


# Selectors ----------------------------------------------------------------------------------------


class AsyncSelector:
    """A selector that reads its templates from somewhere slow; falsy like an empty dict."""

    def __init__(self, *templates: Any) -> None:
        self.templates = list(templates)

    def __len__(self) -> int:
        return 0

    async def select(self, topic: str | None) -> list[Any]:
        """Take a while."""
        await anyio.sleep(1)
        if topic == "broken":
            raise LookupError("select")
        return self.templates

    async def get(self, template_id: str) -> Any:
        """Take a while."""
        await anyio.sleep(1)
        return next((one for one in self.templates if one.uid == template_id), None)


async def test_an_async_selector_of_the_user_s_own(task: Tasks) -> None:
    """Calls do not wait for each other, and the policy stays exact (B53)."""
    slow(task)
    start = anyio.current_time()
    async with tukio.Engine(selector=AsyncSelector(flow("slow", policy="skip"))) as engine:
        results: list[Any] = []

        async def send() -> None:
            results.extend(await engine.data_received({}))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(send)
        assert anyio.current_time() - start == 1
        assert len(results) == 1
        assert not await engine.trigger("unknown", {})


async def test_a_failing_selector_costs_only_that_call(task: Tasks) -> None:
    """Its error comes out of the call; the next one works."""
    slow(task)
    async with tukio.Engine(selector=AsyncSelector(flow("slow"))) as engine:
        with pytest.raises(LookupError, match="select"):
            await engine.data_received({}, "broken")
        assert len(await engine.data_received({})) == 1


async def test_a_bad_template_from_a_selector_does_not_keep_others_from_starting(
    task: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the others start."""
    slow(task)
    empty = tukio.WorkflowTemplate("empty")
    selector = AsyncSelector(empty, flow("slow"), "nonsense", flow("slow", id="second"))
    async with tukio.Engine(selector=selector) as engine:
        runs = await engine.data_received({})

    assert [run.template.uid for run in runs] == ["flow", "second"]
    assert "cannot start a run of <WorkflowTemplate uid=empty>" in caplog.text


async def test_an_engine_that_stops_during_a_selection_starts_nothing(task: Tasks) -> None:
    """The decision is taken after the wait."""
    begun = slow(task)
    async with (
        tukio.Engine(selector=AsyncSelector(flow("slow"))) as engine,
        anyio.create_task_group() as group,
    ):
        group.start_soon(engine.data_received, {})
        await anyio.sleep(0.5)
        engine.stop()

    assert begun == []


# Stop and reentrancy ------------------------------------------------------------------------------


async def test_stop_takes_effect_at_once_and_may_be_awaited(task: Tasks) -> None:
    """Running tasks still get data while the engine stops."""
    slow(task)
    got: list[Any] = []
    async with tukio.Engine() as engine:
        engine.broker.register(lambda event: got.append(event.data), "t")
        run = await engine.run_once(flow("slow"), {})
        stopping = engine.stop()
        assert not engine.done()
        assert await engine.data_received({"late": 1}, "t") == []
        await stopping
        assert engine.done()
        assert run
        assert run.state is FINISHED
        await engine

    assert got == [{"late": 1}]


async def test_engine_calls_from_inside_a_task(task: Tasks) -> None:
    """A task may load, unload, trigger and send data."""
    begun = slow(task)

    @task
    async def busy(event: tukio.Event) -> None:
        await engine.load(flow("slow", id="other"))
        await engine.trigger("other", {"n": 1})
        await engine.data_received({"n": 2}, "any")
        await engine.unload("other")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("busy"), {})
        await run.wait()
        await anyio.sleep(1)

    assert run.errors == {}
    assert sorted(begun) == [1, 2]


async def test_an_engine_is_entered_once(task: Tasks) -> None:
    """A second `async with` would have no tree of its own."""
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.EngineError, match="make a new one"):
            async with engine:
                pass


@pytest.mark.backends("trio")
async def test_on_trio_an_engine_must_be_entered(task: Tasks) -> None:
    """There is no loose mode; the error says what to write."""
    slow(task)
    with pytest.raises(tukio.EngineError, match=r"async with tukio\.Engine"):
        await tukio.Engine().run_once(flow("slow"), {})


def test_outside_of_any_loop_the_error_says_so() -> None:
    """Not a RuntimeError from deep below."""
    coro = tukio.Engine().data_received({})
    with pytest.raises(tukio.EngineError, match="no event loop is running"):
        coro.send(None)
