"""What a run does when all else of it is over: it undoes its tasks, and runs what comes last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow, kinds, listen, states, step_of
from tukio.errors import RescueError, TaskCancelled, TaskTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

Story = list[tuple[float, str, Any]]


@pytest.fixture
def story(task: Tasks) -> Story:
    """Register what is run; give when each task has ended, its id, and what it was given."""
    found: Story = []

    def make(name: str, seconds: float, error: Exception | None = None) -> None:
        async def work(event: tukio.Event) -> dict[str, Any]:
            uid = tukio.current_task().template.uid
            try:
                await anyio.sleep(seconds)
            except BaseException:
                found.append((anyio.current_time(), f"{uid} cut", None))
                raise
            found.append((anyio.current_time(), uid, event.data))
            if error is not None:
                raise error
            return {"by": uid}

        work.__name__ = name
        task(work)

    for name, seconds in {"book": 1, "pay": 1, "slow": 50, "undo": 2, "hangs": 1000}.items():
        make(name, seconds)
    make("tell", 1)
    make("ship", 1, OSError("no van"))
    make("bad", 1, KeyError("x"))
    return found


def order(
    last: str = "ship",
    undo: Any = "undo",
    *,
    finals: Any = ({"id": "tell", "name": "tell"},),
    **fields: Any,
) -> tukio.WorkflowTemplate:
    """Return a chain of two tasks that can be undone, and one that decides how the run ends."""
    template = flow(f"book pay {last}", **{"on_error": "abort", "finally": finals} | fields)
    template.tasks[0].compensate = "undo"
    template.tasks[1].compensate = undo
    return template


def since(story: Story, start: float) -> list[tuple[float, str]]:
    """Return when each task has ended after an instant, and its id."""
    return [(at - start, uid) for at, uid, _ in story]


async def ended(
    template: tukio.WorkflowTemplate,
    act: Callable[[Any], object] | None = None,
    after: float = 5,
) -> tukio.Workflow:
    """Run a workflow to its end; do something to it after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"n": 7})
        if act is not None:
            await anyio.sleep(after)
            act(run)
        await run.wait()
    return run


WHOLE = [(1, "book"), (2, "pay"), (3, "ship")]
UNDONE = [(5, "pay.compensate"), (7, "book.compensate"), (8, "tell")]

# Every ending


async def test_a_failed_run_is_undone(story: Story) -> None:
    """In reverse order, one after the other, then what comes last."""
    start = anyio.current_time()
    run = await ended(order())
    assert since(story, start) == WHOLE + UNDONE
    assert run.status == "failed"
    assert set(run.errors) == {"ship"}
    assert set(states(run)) == {"book", "pay", "ship"}


async def test_what_it_is_given(story: Story) -> None:
    """A compensation: the output of its task. What comes last: how the run ends."""
    await ended(order())
    given = {uid: data for _, uid, data in story}
    assert given["pay.compensate"] == {"by": "pay"}
    assert given["book.compensate"] == {"by": "book"}
    error = {"type": "OSError", "message": "no van"}
    assert given["tell"] == {"state": "exception", "errors": {"ship": error}}


async def test_a_run_that_finishes_is_not_undone(story: Story) -> None:
    """Also if a branch failed; what comes last is told."""
    start = anyio.current_time()
    await ended(order("slow"))
    assert since(story, start) == [(1, "book"), (2, "pay"), (52, "slow"), (53, "tell")]
    story.clear()
    run = await ended(order(on_error="continue"))
    assert [uid for _, uid, _ in story] == ["book", "pay", "ship", "tell"]
    assert story[-1][2]["state"] == "finished"
    assert list(story[-1][2]["errors"]) == ["ship"]
    assert run.status == "flawed"


async def test_a_cancelled_run_is_undone_whatever_is_cancelled_then(story: Story) -> None:
    """Cancelling again and again changes nothing; each call says that it is not over."""
    start = anyio.current_time()
    said: list[bool] = []
    async with tukio.Engine() as engine:
        run = await engine.start(order("slow"), {})
        await anyio.sleep(5)
        while run.state is tukio.FutureState.pending:
            said.append(run.cancel("enough"))
            await anyio.sleep(0.3)
        said.append(run.cancel())
    undone = [(5, "slow cut"), (7, "pay.compensate"), (9, "book.compensate"), (10, "tell")]
    assert since(story, start) == [(1, "book"), (2, "pay"), *undone]
    assert said == [True] * (len(said) - 1) + [False]
    assert (run.status, run.report()["exec"]["reason"]) == ("cancelled", "enough")
    assert run.errors == {}


async def test_a_run_that_reaches_its_limit_is_undone(story: Story) -> None:
    """The limit of the run was for the run: its closing has a limit of its own."""
    start = anyio.current_time()
    run = await ended(order("slow", timeout=10))
    assert since(story, start)[-3:] == [
        (12, "pay.compensate"),
        (14, "book.compensate"),
        (15, "tell"),
    ]
    assert run.status == "timeout"
    report = run.report()
    assert (report["exec"]["elapsed"], report["exec"]["ending"]) == (10, "timeout")


async def test_only_after_the_endings_that_are_named(story: Story) -> None:
    """What comes last comes in any case."""
    template = order("slow", compensate_on=["exception"])
    await ended(template, lambda run: run.cancel())
    assert [uid for _, uid, _ in story] == ["book", "pay", "slow cut", "tell"]
    story.clear()
    await ended(order(compensate_on=["exception"]))
    assert "pay.compensate" in [uid for _, uid, _ in story]


@pytest.mark.parametrize("how", ["stop", "raise", "cancel"])
async def test_the_engine_waits_for_it(story: Story, how: str) -> None:
    """Stopped by force, left by an exception, or cancelled from outside, again and again."""
    start = anyio.current_time()
    runs: list[tukio.Workflow] = []

    async def use() -> None:
        async with tukio.Engine() as engine:
            runs.append(await engine.start(order("slow"), {}))
            await anyio.sleep(5)
            if how == "raise":
                raise RuntimeError
            if how == "stop":
                engine.stop(force=True)
                await anyio.sleep(1)
                await engine.stop(force=True)
            await anyio.sleep_forever() if how == "cancel" else None

    with anyio.move_on_after(5.5) as scope:
        if how != "cancel":
            scope.deadline = float("inf")
        try:
            await use()
        except RuntimeError:
            assert how == "raise"
    first = 5.5 if how == "cancel" else 5
    assert since(story, start)[2:] == [
        (first, "slow cut"),
        (first + 2, "pay.compensate"),
        (first + 4, "book.compensate"),
        (first + 5, "tell"),
    ]
    assert anyio.current_time() == start + first + 5
    assert runs[0].status == "cancelled"


async def test_one_that_never_began_closes_nothing(story: Story) -> None:
    """Neither undone, nor told; one that was started, and cancelled at once, is."""
    async with tukio.Engine() as engine:
        run = await engine.start(order(policy="abort-running"), {})
        heir = await engine.start(order(policy="abort-running"), {})
        assert heir.status == "queued"
        heir.cancel()
        await run.wait()
        await heir.wait()
    assert [uid for _, uid, _ in story] == ["tell"]
    assert heir.closing == []


async def test_one_that_waits_to_try_again_closes(story: Story) -> None:
    """There is no driver then."""
    template = order("ship")
    template.tasks[2].retry = {"attempts": 9, "initial": 60, "max": 60, "jitter": "none"}
    start = anyio.current_time()
    run = await ended(template, lambda run: run.cancel(), after=10)
    assert since(story, start)[3:] == [
        (12, "pay.compensate"),
        (14, "book.compensate"),
        (15, "tell"),
    ]
    assert run.status == "cancelled"


async def test_one_that_is_suspended_closes(story: Story) -> None:
    """When it is cancelled; while it closes it cannot be suspended."""
    async with tukio.Engine() as engine:
        run = await engine.start(order("slow"), {})
        await anyio.sleep(5)
        assert run.suspend()
        await anyio.sleep(5)
        run.cancel()
        await anyio.sleep(1)
        assert run.status == "closing"
        assert (run.suspend(), run.resume()) == (False, False)
    assert [uid for _, uid, _ in story][-3:] == ["pay.compensate", "book.compensate", "tell"]


async def test_nothing_to_do(story: Story) -> None:
    """Then it does not close, and nobody is told so."""
    async with tukio.Engine() as engine:
        heard = listen(engine)
        run = await engine.start(order("slow", finals=[]), {})
        await run.wait()
    assert "workflow-closing" not in kinds(heard)
    assert "ending" not in run.report()["exec"]


# What is undone


async def test_what_has_begun_and_not_finished(story: Story) -> None:
    """If its `begun` says so; it is given what the task was given."""
    for begun in (False, True):
        story.clear()
        template = flow("book slow", on_error="abort")
        template.tasks[1].compensate = {"name": "undo", "begun": begun}
        await ended(template, lambda run: run.cancel())
        assert [uid for _, uid, _ in story][2:] == ["slow.compensate"] * begun
    assert story[-1][2] == {"by": "book"}
    story.clear()
    template = flow("book ship", on_error="abort")
    template.tasks[1].compensate = {"name": "undo", "begun": True}
    await ended(template)
    assert [uid for _, uid, _ in story][2:] == ["ship.compensate"]


async def test_one_that_timed_out_is_undone(story: Story) -> None:
    """It has gone on; one that has failed by its limit is not."""
    for says in ("continue", "fail"):
        story.clear()
        template = flow("book slow ship", on_error="abort", limits={"slow": 3})
        template.tasks[1].compensate = "undo"
        template.tasks[1].on_timeout = says
        await ended(template)
        assert ("slow.compensate" in [uid for _, uid, _ in story]) is (says == "continue")


async def test_ends_of_one_instant_are_undone_in_reverse(story: Story, task: Tasks) -> None:
    """By the order in which they happened."""

    @task
    async def quick(event: tukio.Event) -> None: ...

    graph = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["ship"]}
    names = dict.fromkeys("abcd", "quick")
    template = flow(graph, names=names, on_error="abort")
    for one in template.tasks[:4]:
        one.compensate = "tell"
    run = await ended(template)
    undone = [uid.removesuffix(".compensate") for _, uid, _ in story[1:]]
    assert undone == list(reversed(run.report()["exec"]["order"][:4]))


async def test_what_it_undoes_can_be_looked_at(story: Story, task: Tasks) -> None:
    """The execution, with its inputs; there is none elsewhere."""
    seen: list[Any] = []

    @task
    async def look(event: tukio.Event) -> None:
        me = tukio.current_task()
        seen.append((me.template.uid, me.undoes, me.key))

    finals = [{"id": "tell", "name": "look"}]
    run = await ended(order(undo="look", finals=finals))
    [(_, undone, key), (_, nothing, _)] = seen
    assert undone is step_of(run, "pay")
    assert undone.inputs == {"by": "book"}
    assert key == f"{run.uid}/pay.compensate"
    assert (nothing, undone.undoes) == (None, None)


# What goes wrong


async def test_one_fails_and_the_others_go_on(story: Story) -> None:
    """Its error is kept, and never changes how the run ends."""
    run = await ended(order(undo="bad"))
    assert [uid for _, uid, _ in story][-2:] == ["book.compensate", "tell"]
    assert isinstance(run.errors["pay.compensate"], KeyError)
    assert set(run.unhandled) == {"ship", "pay.compensate"}
    assert run.status == "failed"
    with pytest.raises(tukio.WorkflowFailed) as failed:
        await run.wait(check=True)
    assert [type(one) for one in failed.value.exceptions] == [OSError, KeyError]


async def test_what_comes_last_fails(story: Story) -> None:
    """The run has finished all the same; it did not go well."""
    run = await ended(order("slow", finals=[{"id": "tell", "name": "bad"}]))
    assert (run.status, run.ok, set(run.unhandled)) == ("flawed", False, {"tell"})


async def test_one_is_tried_again(story: Story) -> None:
    """As its `retry` says; an attempt is an execution of its own."""
    undo = {"name": "bad", "retry": {"attempts": 3, "jitter": "none"}}
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        heard = listen(engine)
        run = await engine.start(order(undo=undo), {})
        await run.wait()
    assert since(story, start)[3:6] == [
        (4, "pay.compensate"),
        (6, "pay.compensate"),
        (9, "pay.compensate"),
    ]
    told = [word for word in kinds(heard) if "pay.compensate" in word]
    begin, retry = "task-begin pay.compensate", "task-retry pay.compensate"
    assert told == [begin, retry, begin, retry, begin, "task-error pay.compensate"]
    shown = run.report()["closing"][0]["exec"]
    assert len(shown["attempts"]) == 2


async def test_one_reaches_its_limit(story: Story) -> None:
    """Then it has failed, or is tried again."""
    start = anyio.current_time()
    run = await ended(order(undo={"name": "hangs", "timeout": 3}))
    assert isinstance(run.errors["pay.compensate"], TaskTimedOut)
    assert since(story, start)[3:5] == [(6, "pay.compensate cut"), (8, "book.compensate")]
    story.clear()
    retry = {"attempts": 2, "jitter": "none"}
    start = anyio.current_time()
    run = await ended(order(undo={"name": "hangs", "timeout": 3, "retry": retry}))
    cut = [(6, "pay.compensate cut"), (10, "pay.compensate cut")]
    assert since(story, start)[3:] == [*cut, (12, "book.compensate"), (13, "tell")]


async def test_there_is_no_time_left(story: Story) -> None:
    """What was cut, and what was never begun, is kept as errors."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        heard = listen(engine)
        run = await engine.start(order(undo="hangs", closing_timeout=20), {})
        await run.wait()
    assert since(story, start)[3:] == [(23, "pay.compensate cut")]
    assert anyio.current_time() == start + 23
    errors = {uid: (type(one).__name__, one.args) for uid, one in run.errors.items()}
    assert errors == {
        "ship": ("OSError", ("no van",)),
        "pay.compensate": ("CleanupTimedOut", ("pay.compensate", 20, True)),
        "book.compensate": ("CleanupTimedOut", ("book.compensate", 20, True)),
        "tell": ("CleanupTimedOut", ("tell", 20, True)),
    }
    assert kinds(heard)[-3:] == [
        "task-begin pay.compensate",
        "task-error pay.compensate",
        "workflow-error",
    ]
    shown = {one["id"]: one["exec"] for one in run.report()["closing"]}
    assert [one["state"] for one in shown.values()] == ["exception", "cancelled", "cancelled"]
    assert shown["tell"]["error"]["type"] == "CleanupTimedOut"
    assert "20 s that its run has to close" in shown["tell"]["error"]["message"]


async def test_no_further_attempt_in_vain(story: Story) -> None:
    """One that would not begin within the limit is not waited for: the error is what it raised."""
    undo = {"name": "bad", "retry": {"attempts": 9, "initial": 30, "max": 30, "jitter": "none"}}
    start = anyio.current_time()
    run = await ended(order(undo=undo, closing_timeout=20))
    assert since(story, start)[3:] == [(4, "pay.compensate"), (6, "book.compensate"), (7, "tell")]
    assert isinstance(run.errors["pay.compensate"], KeyError)


async def test_no_limit_at_all(story: Story) -> None:
    """If the template says so, and each has one."""
    undo = {"name": "hangs", "timeout": 500}
    finals = [{"name": "tell", "timeout": 5}]
    template = order(undo=undo, finals=finals, closing_timeout=None)
    template.tasks[0].compensate = {"name": "undo", "timeout": 5}
    start = anyio.current_time()
    await ended(template)
    assert since(story, start)[3:] == [
        (503, "pay.compensate cut"),
        (505, "book.compensate"),
        (506, "tell"),
    ]


async def test_one_is_cancelled_by_itself(story: Story) -> None:
    """The others go on; that it was not done is told."""
    async with tukio.Engine() as engine:
        run = await engine.start(order(undo="hangs"), {})
        await anyio.sleep(5)
        assert run.closing[0].template.uid == "pay.compensate"
        assert run.closing[0].cancel()
        await run.wait()
    assert [uid for _, uid, _ in story][-3:] == ["pay.compensate cut", "book.compensate", "tell"]
    assert isinstance(run.unhandled["pay.compensate"], TaskCancelled)


async def test_a_stop_with_grace(story: Story) -> None:
    """It closes after the grace, within its budget; and one that closes has what is left of it."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.start(order("slow", closing_timeout=4), {})
        await anyio.sleep(5)
        await engine.stop(grace=3)
    cut = [(8, "slow cut"), (10, "pay.compensate"), (12, "book.compensate cut")]
    assert since(story, start)[2:] == cut
    assert set(run.errors) == {"book.compensate", "tell"}
    assert anyio.current_time() == start + 12


async def test_an_heir_waits_for_it(story: Story) -> None:
    """A run that replaces another one begins when that is over."""
    begun: list[float] = []
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        template = order("slow", policy="abort-running")
        await engine.start(template, {})
        await anyio.sleep(5)
        heir = await engine.start(template, {})
        await heir.events().__anext__()
        begun.append(anyio.current_time())
        heir.cancel()
    assert begun == [start + 10]


# What is told


async def test_events_and_status(story: Story) -> None:
    """One that it closes, those of its tasks, and then the one terminal event."""
    async with tukio.Engine() as engine:
        heard = listen(engine)
        run = await engine.start(order(), {})
        await anyio.sleep(4)
        status = run.status
        await run.wait()
        past = [event async for event in run.events()]
    assert status == "closing"
    told = kinds(heard)
    assert told[7:] == [
        "workflow-closing",
        "task-begin pay.compensate",
        "task-end pay.compensate",
        "task-begin book.compensate",
        "task-end book.compensate",
        "task-begin tell",
        "task-end tell",
        "workflow-error",
    ]
    assert heard[7][2] == {"state": "exception"}
    assert [event.data["type"] for event in past] == [word.split()[0] for word in told]
    sources = [event.source for event in past]
    assert sources[8] is not None
    assert sources[8].task_template_id == "pay.compensate"


async def test_one_that_was_cancelled_at_once_has_begun(story: Story) -> None:
    """Its begin is told before what closes it."""
    async with tukio.Engine() as engine:
        heard = listen(engine)
        run = await engine.start(order(), {"n": 1})
        run.cancel()
        await run.wait()
    assert kinds(heard) == [
        "workflow-begin",
        "workflow-closing",
        "task-begin tell",
        "task-end tell",
        "workflow-end",
    ]


async def test_the_report(story: Story) -> None:
    """The tasks of the closing stand beside those of the graph, in their order."""
    async with tukio.Engine() as engine:
        run = await engine.start(order(), {})
        await anyio.sleep(4)
        half = run.report()
        await run.wait()
    assert (half["exec"]["state"], half["exec"]["ending"]) == ("pending", "exception")
    assert [one["id"] for one in half["closing"]] == ["pay.compensate", "book.compensate", "tell"]
    assert [one["exec"]["start"] is None for one in half["closing"]] == [False, True, True]
    assert [one.get("undoes") for one in half["closing"]] == ["pay", "book", None]
    whole = run.report()
    assert [one["exec"]["state"] for one in whole["closing"]] == ["finished"] * 3
    assert whole["closing"][0]["exec"]["inputs"] == {"by": "pay"}
    assert "inputs" not in run.report(data=False)["closing"][0]["exec"]


# Rescue


async def test_a_rescue_goes_on_closing(story: Story) -> None:
    """At each point, through JSON: what is over is not run again, what was at work is."""
    template = order(undo="bad", timeout=60)
    reports: list[str] = []
    async with tukio.Engine() as engine:

        def note(event: tukio.Event) -> None:
            reports.append(tukio.report_to_json(run.report()))

        engine.broker.register(note, tukio.EXEC_TOPIC)
        run = await engine.start(template, {"n": 1})
        await run.wait()
        engine.broker.unregister(note, tukio.EXEC_TOPIC)
    closing = [one for one in map(tukio.report_from_json, reports) if "ending" in one["exec"]]
    assert len(closing) == 8
    for report in closing[:-1]:
        over = [one["id"] for one in report["closing"] if one["exec"]["state"] != "pending"]
        story.clear()
        async with tukio.Engine() as engine:
            heard = listen(engine)
            rescued = await engine.rescue(template, report)
            await rescued.wait()
        ran = [uid for _, uid, _ in story]
        assert ran == ["pay.compensate", "book.compensate", "tell"][len(over) :]
        assert rescued.status == "failed"
        assert set(rescued.errors) == {"ship", "pay.compensate"}
        told = kinds(heard)
        assert told[:2] == ["workflow-begin", "workflow-closing"] or not ran
        assert told[-1] == "workflow-error"
        assert "tell" in [one["id"] for one in rescued.report()["closing"]]


async def test_a_rescue_of_one_that_closes_after_its_limit(story: Story) -> None:
    """The limit is used up; that is no reason to leave things undone."""
    template = order("slow", timeout=10)
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(11)
        report = run.report()
    story.clear()
    async with tukio.Engine() as engine:
        rescued = await engine.rescue(template, report)
        await rescued.wait()
    assert [uid for _, uid, _ in story] == ["pay.compensate", "book.compensate", "tell"]
    assert rescued.status == "timeout"


async def test_a_rescue_undoes_what_had_begun(story: Story) -> None:
    """A task that was cut before it closed, and one that never began, are not run again."""
    graph = {"book": ["slow", "pay"], "pay": ["hangs"]}
    template = flow(graph, on_error="abort")
    for one in template.tasks:
        one.compensate = {"name": "undo", "begun": True}
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(1.5)
        run.cancel()
        await anyio.sleep(1)
        report = run.report()
        await run.wait()
    wanted = [one["id"] for one in run.report()["closing"]]
    # The first two were cut in one instant.
    assert sorted(wanted[:2]) == ["pay.compensate", "slow.compensate"]
    assert wanted[2:] == ["book.compensate"]
    story.clear()
    async with tukio.Engine() as engine:
        rescued = await engine.rescue(template, report)
        await rescued.wait()
    assert [uid for _, uid, _ in story] == wanted


async def test_one_that_is_over_and_undone_is_not_rescued(story: Story) -> None:
    """Its tasks have not happened any more; `again` runs them anew."""
    template = order("slow")
    run = await ended(template, lambda run: run.cancel())
    report = run.report()
    async with tukio.Engine() as engine:
        with pytest.raises(RescueError, match="'book' was undone - run it again, by tukio"):
            await engine.rescue(template, report)
        fresh = tukio.again(report)
        assert "closing" not in fresh
        assert "ending" not in fresh["exec"]
        assert [task["id"] for task in fresh["tasks"] if task["exec"]] == ["book"]
        story.clear()
        rescued = await engine.rescue(template, fresh)
        await rescued.wait()
    assert [uid for _, uid, _ in story] == ["book", "pay", "slow", "tell"]


async def test_one_that_has_failed_stays_so(story: Story) -> None:
    """A rescue of it finds nothing to do, and runs nothing."""
    run = await ended(order(undo="bad"))
    story.clear()
    async with tukio.Engine() as engine:
        rescued = await engine.rescue(order(undo="bad"), run.report())
        await rescued.wait()
    assert story == []
    assert (rescued.status, set(rescued.unhandled)) == ("failed", {"ship", "pay.compensate"})
    assert [one["id"] for one in rescued.report()["closing"]] == [
        "pay.compensate",
        "book.compensate",
        "tell",
    ]


async def test_one_that_is_over_and_was_not_undone_is_rescued(story: Story) -> None:
    """What comes last comes again, at the end of what is run now."""
    template = order("slow", compensate_on=[])
    run = await ended(template, lambda run: run.cancel())
    story.clear()
    async with tukio.Engine() as engine:
        rescued = await engine.rescue(template, run.report())
        await rescued.wait()
    assert [uid for _, uid, _ in story] == ["slow", "tell"]
    assert rescued.status == "finished"


async def test_a_rescue_with_other_words(story: Story) -> None:
    """Refused if there is nothing by that id any more; nothing has started."""
    async with tukio.Engine() as engine:
        run = await engine.start(order(), {})
        await anyio.sleep(4)
        report = run.report()
        await run.wait()
        with pytest.raises(RescueError, match="closes with tasks that are not in the templ"):
            await engine.rescue(flow("book pay ship"), report)
