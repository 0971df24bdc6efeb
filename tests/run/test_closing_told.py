"""What is told of a run that closes: events, reports, and how a rescue goes on from these."""

from __future__ import annotations

import anyio
import pytest

import tukio
from support.closing import Story, ended, order, register
from support.flow import Tasks, flow, kinds, listen
from tukio.errors import RescueError


@pytest.fixture
def story(task: Tasks) -> Story:
    """Register what is run; give what happens there."""
    return register(task)


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


async def test_what_was_at_work_when_the_process_died_is_undone(story: Story) -> None:
    """Also if the run is cut before it is run again: it has begun, in the process before."""
    template = flow("book slow")
    template.tasks[1].compensate = {"name": "undo", "begun": True}
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(2)
        report = run.report()
        run.cancel()
    story.clear()
    async with tukio.Engine() as engine:
        rescued = await engine.rescue(template, report)
        rescued.cancel()
        await anyio.sleep(1)
        report = rescued.report()
        await rescued.wait()
        again = await engine.rescue(template, report)
        await again.wait()
    assert [uid for _, uid, _ in story] == ["slow.compensate"] * 2


async def test_what_waits_to_be_tried_again_is_undone(story: Story) -> None:
    """It has begun, and has failed; so has one that a resume has made due again."""
    template = flow("book ship")
    template.tasks[1].compensate = {"name": "undo", "begun": True}
    template.tasks[1].retry = {"attempts": 3, "initial": 50, "jitter": "none"}
    await ended(template, lambda run: run.cancel())
    assert [uid for _, uid, _ in story] == ["book", "ship", "ship.compensate"]
    story.clear()
    template = flow("book slow")
    template.tasks[1].compensate = {"name": "undo", "begun": True}
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(2)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        run.cancel()
    assert [uid for _, uid, _ in story] == ["book", "slow cut", "slow.compensate"]


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


async def test_a_closing_that_was_spoilt(story: Story) -> None:
    """What was not to be done there is done anew; what is no list of tasks is refused."""
    template = order("slow")
    run = await ended(template, lambda run: run.cancel())
    report = run.report()
    with pytest.raises(RescueError, match="it is not a whole report"):
        tukio.again(report | {"closing": [{"undoes": 5, "exec": {"start": 5}}]})
    for task in report["closing"]:
        task["exec"] = None
    story.clear()
    async with tukio.Engine() as engine:
        rescued = await engine.rescue(template, report)
        await rescued.wait()
    assert [uid for _, uid, _ in story] == ["slow", "tell"]
