"""What a run does when all else of it is over: it undoes its tasks, and runs what comes last."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

import tukio
from support.closing import Story, ended, order, register, since
from support.flow import Tasks, flow, kinds, listen, states, step_of
from tukio._model.registry import TaskRegistry
from tukio.errors import TaskCancelled, TaskTimedOut


@pytest.fixture
def story(task: Tasks) -> Story:
    """Register what is run; give what happens there."""
    return register(task)


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


@pytest.mark.parametrize("is_child", [False, True], ids=["of a task", "of a child"])
async def test_an_output_that_is_no_dict_is_in_one(task: Tasks, is_child: bool) -> None:
    """Only a task without successors may have such a one."""
    given: list[Any] = []

    @task
    async def first(event: tukio.Event) -> None: ...

    @task
    async def book(event: tukio.Event) -> str:
        return "N7"

    @task
    async def fails(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise OSError

    @task
    async def undo(event: tukio.Event) -> None:
        given.append(event.data)

    template = flow({"first": ["book", "fails"]}, on_error="abort").as_dict()
    inner = flow("book", id="inner").as_dict()
    booked = {"id": "book", "workflow": inner} if is_child else {"id": "book", "name": "book"}
    template["tasks"][1] = {**booked, "compensate": "undo"}
    run = await ended(tukio.WorkflowTemplate.from_dict(template))
    assert given == [{"output": "N7"}]
    assert list(run.errors) == ["fails"]


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


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_end_of_the_loop_of_a_loose_engine(cancelled: bool) -> None:
    """Nothing waits for the run: it ends at once, and says what was not done."""
    runs: list[Any] = []

    @tukio.register("loose work")
    async def work(event: tukio.Event) -> None:
        await anyio.sleep(0.01)

    @tukio.register("loose sleep")
    async def sleep(event: tukio.Event) -> None:
        await anyio.sleep(9)

    template = flow("a b", names={"a": "loose work", "b": "loose sleep"})
    template.tasks[0].compensate = "loose sleep"

    async def main() -> None:
        engine = tukio.Engine(loop=asyncio.get_running_loop())
        runs.append(await engine.run_once(template, {}))
        await anyio.sleep(0.1)
        if cancelled:
            runs[0].cancel()
            await anyio.sleep(0.1)

    try:
        asyncio.run(main())
    finally:
        for name in ("loose work", "loose sleep"):
            TaskRegistry.remove(name)
    assert runs[0].status == "cancelled"
    assert set(runs[0].errors) == {"a.compensate"}


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
