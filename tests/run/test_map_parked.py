"""A mapped task waits without a task of the event loop; whatever cuts it, cuts its items."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.counting import tasks_alive
from support.flow import kinds, listen, step_of
from support.maps import CALLS, ended, mapped, register_steps, results, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

AGAIN = {"attempts": 2, "initial": 9, "jitter": "none"}
CANCELLED, FINISHED = tukio.FutureState.cancelled, tukio.FutureState.finished
FAILED, TIMEOUT = tukio.FutureState.exception, tukio.FutureState.timeout


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""
    register_steps(task)


def back_off(**keys: Any) -> dict[str, Any]:
    """Return a mapped task all of whose items fail after a second, and are tried 9 s later."""
    return mapped("page", {"retry": AGAIN, **keys})


async def test_the_task_itself_needs_no_task_of_the_loop() -> None:
    """Each item at work has one; those that wait for their next attempts have none."""
    async with tukio.Engine() as engine:
        before = tasks_alive()
        run: Any = await engine.start(back_off(), {"list": [{"bad": 1}, {"takes": 3}]})
        await anyio.sleep(0.5)
        assert len(tasks_alive() - before) == 2
        await anyio.sleep(1)
        assert len(tasks_alive() - before) == 1
        await anyio.sleep(2)
        assert tasks_alive() == before
        assert (run.status, step_of(run, "each").done()) == ("waiting", False)
    assert results(run) == [{"of": 0}, {"of": 1}]
    assert seconds(run) == 1 + 9 + 1


async def test_its_limit_is_kept_while_nothing_of_it_is_at_work() -> None:
    """What waits for its next attempt never begins again."""
    run = await ended(back_off(timeout=4), [{"bad": 1}, {"bad": 1}])
    assert (step_of(run, "each").state, seconds(run)) == (TIMEOUT, 4)
    assert CALLS == [0, 1]
    assert step_of(run, "end").state is FINISHED


async def test_its_limit_comes_before_what_ends_at_that_instant() -> None:
    """As the limit of a run does; on trio it is chance which items have ended by then."""
    for _ in range(20):
        run = await ended(mapped("page", {"timeout": 1}), [{}, {}])
        assert (step_of(run, "each").state, seconds(run)) == (TIMEOUT, 1)


async def test_its_limit_is_that_of_one_execution() -> None:
    """One that was interrupted has kept none; the next one has a limit of its own."""

    def interrupt(run: Any) -> None:
        run.suspend()
        run.resume()

    run = await ended(mapped("page", {"timeout": 3}), [{"takes": 2.5}], interrupt, after=2)
    assert (step_of(run, "each").state, seconds(run)) == (FINISHED, 2.5)


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_it_is_over_when_it_is_cut_while_nothing_of_it_is_at_work(how: str) -> None:
    """At once, and those who wait for its items are told."""
    told: list[int] = []

    def cut(run: Any) -> None:
        whole: Any = step_of(run, "each")
        for item in whole.work.open:
            item.add_done_callback(lambda item: told.append(item.index))
        assert getattr(whole, how)() is True
        assert whole.done()
        assert getattr(whole, how)() is False

    run = await ended(back_off(), [{"bad": 1}, {"bad": 1}], cut)
    assert (sorted(told), seconds(run)) == ([0, 1], 1.5)
    if how == "cancel":
        assert step_of(run, "each").state is CANCELLED
        assert [step.template.uid for step in run.tasks] == ["each"]
    else:
        assert step_of(run, "end").state is FINISHED


async def test_what_follows_it_begins_though_no_driver_was_there() -> None:
    """Also beside a task that keeps the only one."""
    template = mapped("page", {"retry": AGAIN})
    template["tasks"] += [{"id": "root", "name": "fine"}, {"id": "long", "name": "stubborn"}]
    template["graph"]["root"] = ["each", "long"]
    run = await ended(template, [{"bad": 1}], lambda run: step_of(run, "each").timeout())
    assert step_of(run, "end").state is FINISHED
    assert step_of(run, "end").ended_at - step_of(run, "each").ended_at == 0


@pytest.mark.parametrize("event", ["workflow-suspend", "task-retry"])
async def test_a_handler_suspends_or_resumes_it(event: str) -> None:
    """While the suspension is told, or as its last item has come to wait."""
    async with tukio.Engine() as engine:
        seen: list[str] = []

        def hear(told: tukio.Event) -> None:
            if told.data["type"] != event:
                return
            seen.append(event)
            if event == "workflow-suspend" and len(seen) == 1:
                run.resume()
            elif event == "task-retry" and len(seen) == 2:
                run.suspend()
                assert step_of(run, "each").state is tukio.FutureState.suspended
                run.resume()

        engine.broker.register(hear, tukio.EXEC_TOPIC)
        run: Any = await engine.start(back_off(), {"list": [{"bad": 1}, {"bad": 1}]})
        await anyio.sleep(1.5)
        if event == "workflow-suspend":
            run.suspend()
    assert sorted(CALLS) == [0, 0, 1, 1]
    assert results(run) == [{"of": 0}, {"of": 1}]
    assert anyio.current_time() == 11


@pytest.mark.parametrize("how", ["cancel", "resume"])
async def test_a_suspended_map_of_workflows_with_nothing_at_work(how: str) -> None:
    """Its children were cancelled meanwhile, and others wait until it is resumed."""
    inner = {"id": "inner", "tasks": [{"id": "x", "name": "page_of"}]}
    words = {"over": "$.list", "limit": 1, "tolerate": 1}
    outer = {"id": "outer", "tasks": [{"id": "each", "workflow": inner, "map": words}]}
    async with tukio.Engine() as engine:
        run: Any = await engine.start(outer, {"list": [{}, {}]})
        await anyio.sleep(0.5)
        run.suspend()
        [child] = [one for one in engine.instances if one is not run]
        child.cancel()
        await anyio.sleep(1)
        whole: Any = step_of(run, "each")
        assert (whole.work.open, whole.done(), run.done()) == ({}, False, False)
        getattr(run, how)()
        await run.wait()
    assert step_of(run, "each").state is (CANCELLED if how == "cancel" else FINISHED)
    assert anyio.current_time() == (1.5 if how == "cancel" else 2.5)


@pytest.mark.parametrize("how", ["cancel", "timeout", "suspend"])
async def test_no_cut_counts_once_too_many_items_have_failed(how: str) -> None:
    """Its others unwind, and it has failed."""

    def cut(run: Any) -> None:
        assert step_of(run, "each").work.is_closed
        if how == "suspend":
            run.suspend()
            run.resume()
        else:
            getattr(step_of(run, "each"), how)()

    run = await ended(mapped("sorts"), [{"bad": 1}, {"stubborn": 1}], cut)
    assert (step_of(run, "each").state, seconds(run)) == (FAILED, 3)
    [error] = run.errors["each"].exceptions
    assert str(error) == "item 0, attempt 1"


async def test_a_limit_that_is_reached_while_others_unwind_is_told_beside_the_failure() -> None:
    """The task goes on as one that is late, and its error is kept."""
    run = await ended(mapped("sorts", {"timeout": 2}), [{"bad": 1}, {"stubborn": 1}])
    assert (step_of(run, "each").state, seconds(run)) == (TIMEOUT, 3)
    assert [str(error) for error in run.errors["each"].exceptions] == ["item 0, attempt 1"]


async def test_an_item_that_ends_its_task_from_within() -> None:
    """By a cancellation: it goes on until it next waits, and the task is over after it."""
    async with tukio.Engine() as engine:
        told = listen(engine)
        run: Any = await engine.start(mapped("ends_all"), {"list": [{}, {}, {}]})
    ends = ["task-cancel each[0]", "task-cancel each", "workflow-end"]
    assert kinds(told) == ["workflow-begin", "task-begin each", "task-begin each[0]", *ends]
    assert step_of(run, "each").state is CANCELLED


async def test_those_who_wait_for_its_last_item_are_told_first() -> None:
    """Then comes its own end, and then that of the run."""
    told: list[str] = []

    def tell(step: Any) -> None:
        told.append(step.template.uid)

    def wait(run: Any) -> None:
        whole: Any = step_of(run, "each")
        whole.add_done_callback(tell)
        for item in whole.work.open:
            item.add_done_callback(tell)

    await ended(mapped("page"), [{"takes": 1}, {"takes": 2}], wait, after=0.5)
    assert told == ["each[0]", "each[1]", "each"]


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_those_who_wait_for_items_that_never_begin_again_are_told_first(how: str) -> None:
    """Its own end comes after them, and that of the run last."""
    told: list[str] = []

    def cut(run: Any) -> None:
        whole: Any = step_of(run, "each")
        for step in (whole, *whole.work.open):
            step.add_done_callback(lambda step: told.append(step.template.uid))
        getattr(whole, how)()

    await ended(back_off(), [{"bad": 1}] * 3, cut)
    assert (sorted(told[:3]), told[3]) == (["each[0]", "each[1]", "each[2]"], "each")


HOWS: dict[str, Callable[[Any], object]] = {
    "cancel": lambda run: step_of(run, "each").cancel(),
    "timeout": lambda run: step_of(run, "each").timeout(),
    "cancel the run": lambda run: run.cancel(),
    "suspend and resume": lambda run: (run.suspend(), run.resume()),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("where", ["handled", "failed", "late"])
async def test_the_text_of_an_error_cuts_it_as_it_ends(where: str, how: str) -> None:
    """It has one end all the same, and what would have followed."""
    cuts: list[Any] = []

    def cut() -> None:
        # Not as its items end.
        if cuts and not step_of(cuts[0], "each").work.open:
            HOWS[how](cuts.pop())

    CUTS[:] = [cut]
    keys: dict[str, Any] = {"handled": {"on_error": {"to": ["end"]}}, "late": {"timeout": 2}}
    async with tukio.Engine() as engine:
        told = listen(engine)
        template = mapped("texts", keys.get(where))
        items = [{"kind": "base"}] if where == "failed" else [{}, {"stubborn": 1}]
        run: Any = await engine.start(template, {"list": items})
        await anyio.sleep(0.5)
        cuts.append(run)
        logging.getLogger("tukio").addHandler(ASKING)
        try:
            await run.wait()
        finally:
            logging.getLogger("tukio").removeHandler(ASKING)
            CUTS.clear()
    assert cuts == []
    ends = [one for one in kinds(told) if one.endswith(" each") and "begin" not in one]
    assert ends == ["task-timeout each" if where == "late" else "task-error each"]
    assert len(run.errors["each"].exceptions) == 1


@pytest.mark.parametrize("what", ["function", "workflow"])
@pytest.mark.parametrize("first", ["cancel", "suspend"])
async def test_an_item_that_was_cancelled_stays_so_when_the_run_is_suspended(
    what: str, first: str
) -> None:
    """It counts as one that went wrong, and is not run again."""
    inner = {"id": "inner", "tasks": [{"id": "x", "name": "page_of"}]}
    keys: dict[str, Any] = {"workflow": inner} if what == "workflow" else {"name": "page_of"}
    words = {"id": "each", **keys, "map": {"over": "$.list", "tolerate": 1}}
    async with tukio.Engine() as engine:
        told = listen(engine)
        run: Any = await engine.start({"id": "outer", "tasks": [words]}, {"list": [{}, {}]})
        await anyio.sleep(0.5)
        [item, _] = step_of(run, "each").work.open
        if first == "cancel":
            assert item.cancel() is True
            run.suspend()
        else:
            run.suspend()
            await anyio.sleep(0.25)
            assert item.cancel() is True
        await anyio.sleep(1)
        run.resume()
    of_item = [one for one in kinds(told) if one.endswith("each[0]")]
    # One that was interrupted before is called off when it is its turn again.
    begun = ["task-begin each[0]"] * (1 + (what == "function" and first == "suspend"))
    assert of_item == [*begun, "task-cancel each[0]"]
    assert step_of(run, "each").state is FINISHED
    assert step_of(run, "each").work.items.cancelled == {0}


class Asking(logging.Handler):
    """Asks errors for their texts, as most handlers do."""

    def emit(self, record: logging.LogRecord) -> None:
        """Ask."""
        if record.exc_info and record.exc_info[1] is not None:
            leaves = getattr(record.exc_info[1], "exceptions", ())
            str(leaves[0] if leaves else record.exc_info[1])


ASKING = Asking()

CUTS: list[Callable[[], object]] = []
"""What the text of an error does."""


class Texts(ValueError):
    """An error whose text cuts something."""

    def __str__(self) -> str:
        for cut in CUTS:
            cut()
        return "a text"


class BaseTexts(BaseException):
    """The same, for what is no `Exception`."""

    __str__ = Texts.__str__


async def works(event: tukio.Event) -> None:
    """Take a second; a stubborn item takes ten, and two more when it is cut."""
    if "stubborn" not in event.data:
        await anyio.sleep(1)
        return
    try:
        await anyio.sleep(10)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)


@pytest.fixture(autouse=True)
def more_steps(task: Tasks) -> None:
    """Register what only these tests run."""

    @task
    async def page_of(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def texts(event: tukio.Event) -> None:
        await works(event)
        raise BaseTexts if "kind" in event.data else Texts

    @task
    async def ends_all(event: tukio.Event) -> None:
        me: Any = tukio.current_task()
        assert me.parent.cancel() is True
        assert not me.parent.done()
        await anyio.lowlevel.checkpoint()

    @task
    async def sorts(event: tukio.Event) -> None:
        me: Any = tukio.current_task()
        await works(event)
        msg = f"item {me.index}, attempt {me.attempt}"
        raise ValueError(msg)
