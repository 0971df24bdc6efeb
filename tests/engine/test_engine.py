"""The engine: templates, triggers, policies, selectors, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled


def slow(task: Tasks) -> list[Any]:
    """Register `slow`, which takes 10 s, and return the list of what its runs were given."""
    begun: list[Any] = []

    async def slow(event: tukio.Event) -> None:
        begun.append(event.data.get("n"))
        await anyio.sleep(10)

    task(slow)
    return begun


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


# Overrun policies ---------------------------------------------------------------------------------


async def test_policy_start_new(task: Tasks) -> None:
    """Runs side by side."""
    begun = slow(task)
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", policy="start-new"))
        for n in range(3):
            assert await engine.trigger("flow", {"n": n})

    assert sorted(begun) == [0, 1, 2]
    assert anyio.current_time() - start == 10


async def test_policy_skip(task: Tasks) -> None:
    """One at a time; exact however many come at once."""
    begun = slow(task)
    started: list[int] = []
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", policy="skip"))

        async def send(n: int) -> None:
            started.append(len(await engine.data_received({"n": n})))

        async with anyio.create_task_group() as group:
            for n in range(5):
                group.start_soon(send, n)
        await anyio.sleep(11)
        assert await engine.trigger("flow", {"n": 9})

    assert sorted(started) == [0, 0, 0, 0, 1]
    assert len(begun) == 2


async def test_policy_skip_until_unlock(task: Tasks) -> None:
    """Data is skipped while a run is locked; unlocking or the end of the run lets it through."""
    begun: list[Any] = []

    @task
    async def first(event: tukio.Event) -> None:
        begun.append(event.data["n"])
        if event.data["n"]:
            tukio.current_workflow().unlock_when_task_done()
        await anyio.sleep(2)

    @task
    async def second(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        await engine.load(flow("first second", policy="skip-until-unlock"))
        assert await engine.trigger("flow", {"n": 0})
        await anyio.sleep(3)
        assert not await engine.trigger("flow", {"n": 1})
        await anyio.sleep(10)
        assert await engine.trigger("flow", {"n": 2})
        await anyio.sleep(1)
        assert not await engine.trigger("flow", {"n": 3})
        await anyio.sleep(2)
        assert await engine.trigger("flow", {"n": 4})

    assert begun == [0, 2, 4]


async def test_policy_abort_running_starts_one_replacement_the_latest(task: Tasks) -> None:
    """A burst leaves the last; it starts when the aborted run has unwound (B27)."""
    story: list[Any] = []

    @task
    async def stubborn(event: tukio.Event) -> None:
        story.append((anyio.current_time() - start, event.data["n"]))
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.load(flow("stubborn", policy="abort-running"))
        runs = []
        for n in range(4):
            runs.append(await engine.trigger("flow", {"n": n}))
            if n == 0:
                await anyio.sleep(1)
        assert all(runs)
        assert [run.state.value for run in runs if run] == [
            "pending",
            "cancelled",
            "cancelled",
            "pending",
        ]
        assert engine.instances == [runs[0], runs[3]]

    assert story == [(0, 0), (3, 3)]
    assert [run.state for run in runs if run] == [CANCELLED, CANCELLED, CANCELLED, FINISHED]


async def test_stop_covers_a_replacement_that_waits(task: Tasks) -> None:
    """By force it never starts; without, it is work accepted, and is done (B27)."""
    begun = slow(task)
    for force in (True, False):
        begun.clear()
        async with tukio.Engine() as engine:
            await engine.load(flow("slow", policy="abort-running"))
            await engine.trigger("flow", {"n": 1})
            await anyio.sleep(1)
            await engine.trigger("flow", {"n": 2})
            await engine.stop(force=force)
            assert engine.done()
        assert begun == ([1] if force else [1, 2])


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


# Awaiting a run -----------------------------------------------------------------------------------


async def test_await_gives_the_tasks_or_raises(task: Tasks) -> None:
    """On every backend; how it ended is in the exception."""
    slow(task)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        assert run
        assert await run == set(run.tasks)
        late = await engine.run_once(flow("slow", timeout=1), {})
        assert late
        with pytest.raises(BaseException) as timed_out:
            await late
        cut = await engine.run_once(flow("slow"), {})
        assert cut
        cut.cancel()
        with pytest.raises(BaseException) as cancelled:
            await cut
        assert await cut.wait() is CANCELLED

    expected: tuple[type[BaseException], ...] = (
        tukio.WorkflowCancelled,
        anyio.get_cancelled_exc_class(),
    )
    assert isinstance(cancelled.value, expected)
    assert isinstance(timed_out.value, expected)


async def test_wait_never_raises_the_run_s_own_fate(task: Tasks) -> None:
    """It says how the run ended, before and after."""
    slow(task)
    async with tukio.Engine() as engine:
        for template, ending in [
            (flow("slow"), FINISHED),
            (flow("slow", timeout=1), tukio.FutureState.timeout),
        ]:
            run = await engine.run_once(template, {})
            assert await run.wait() is ending
            assert await run.wait() is ending
            assert run.state is ending


async def test_the_report_has_the_form_of_1_x(task: Tasks) -> None:
    """Template fields, then `exec`; a task that was not started has none."""

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        return {"a": 1}

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"b": "a"}, title="T"), {"in": 1})
        await anyio.sleep(0.5)
        report = run.report()
        await run.wait()

    assert report["title"] == "T"
    assert report["exec"]["id"] == run.uid
    assert report["exec"]["state"] == "pending"
    assert report["exec"]["end"] is None
    first, second = report["tasks"]
    assert second["exec"] is None
    assert list(first["exec"]) == ["id", "start", "end", "state", "inputs", "outputs"]
    assert first["exec"]["inputs"] == {"in": 1}
    assert first["exec"]["start"].tzinfo is not None
    done = run.report()
    assert [one["exec"]["outputs"] for one in done["tasks"]] == [{"a": 1}, {"a": 1}]
    assert done["exec"]["state"] == "finished"


# Routing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "expected"),
    [(["c"], ["c"]), (["d", "b"], ["b", "d"]), ([], []), (["b", "b"], ["b"]), (("c",), ["c"])],
)
async def test_a_task_may_choose_its_successors(
    task: Tasks, ids: list[str], expected: list[str]
) -> None:
    """They start in declared order; the last choice counts."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks(["b", "c", "d"])
        tukio.current_workflow().set_next_tasks(ids)

    async def note(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    task(note)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("bcd", "note")
        await engine.run_once(flow({"a": ["b", "c", "d"]}, names=names), {})

    assert begun == expected


@pytest.mark.parametrize(
    ("ids", "error"), [(None, TypeError), ("bc", TypeError), ([1], TypeError), (["x"], LookupError)]
)
async def test_a_bad_choice_is_an_error_in_the_call_and_changes_nothing(
    task: Tasks, ids: Any, error: type[Exception]
) -> None:
    """It names the successors (B03)."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        with pytest.raises(error):
            tukio.current_workflow().set_next_tasks(ids)

    async def note(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    task(note)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("bc", "note")
        run = await engine.run_once(flow({"a": ["b", "c"]}, names=names), {})
        await run.wait()

    assert run.errors == {}
    assert begun == ["b", "c"]


async def test_a_diamond_without_join_runs_its_end_once(task: Tasks) -> None:
    """With the first parent's data; a late parent lands in the queue, or is too late."""
    got: list[Any] = []

    async def wait(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        await anyio.sleep({"a": 0, "b": 1, "c": 2}[uid])
        return {"from": uid}

    @task
    async def d(event: tukio.Event) -> None:
        got.append(event.data)
        if event.data["from"] == "b":
            late = await tukio.current_task().queue.get()
            got.append((late.data, late.source.task_template_id if late.source else None))

    task(wait)
    async with tukio.Engine() as engine:
        story = listen(engine)
        names = dict.fromkeys("abc", "wait")
        await engine.run_once(flow({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, names=names), {})
        await engine.run_once(flow({"a": ["b", "d"], "b": ["d"]}, names=names), {})

    assert {"from": "b"} in got
    assert ({"from": "c"}, "c") in got
    assert {"from": "a"} in got
    assert kinds(story).count("task-begin d") == 2
