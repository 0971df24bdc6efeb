"""Nothing ends in silence: data that starts nothing, runs that come and go, engines that wait."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Collect what the engine tells, from INFO on."""
    caplog.set_level(logging.INFO, "tukio.engine")
    return caplog


@pytest.fixture
def slow(task: Tasks) -> None:
    """Register a task that takes ten seconds."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings so far, and forget all."""
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return found


@pytest.mark.usefixtures("slow")
async def test_f1_a_wrong_topic_is_named_with_the_right_one(told: Any) -> None:
    """A typing error in a topic, the commonest of all."""
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", topics=["urls"]))
        started = await engine.data_received({}, "ulrs")
    assert started == []
    assert started.refused == []
    [warning] = warnings(told)
    assert "nobody listens to topic ulrs" in warning
    assert "did you mean 'urls'?" in warning


async def test_f1_a_template_that_was_not_loaded_is_missed(told: Any) -> None:
    """The log says that none is there, and what data without a topic would take."""
    async with tukio.Engine() as engine:
        assert await engine.data_received({}, "urls") == []
        assert await engine.data_received({}) == []
    by_topic, without = warnings(told)
    assert "no loaded template has a topic" in by_topic
    assert "topics: null" in without


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("policy", ["skip", "skip-until-unlock"])
async def test_f1_data_that_a_policy_refuses_is_told(told: Any, policy: str) -> None:
    """What the data form does unless it is told otherwise; and what would help."""
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", topics=["urls"], policy=policy))
        [run] = await engine.data_received({"n": 1}, "urls")
        again = await engine.data_received({"n": 2}, "urls")
        assert again == []
        assert again.refused == [tukio.Refusal(tukio.Reason.SKIPPED, "flow")]
        run.cancel()
    [warning] = warnings(told)
    assert f"policy '{policy}' starts none while an earlier run is not over" in warning
    assert ("start-new" if policy == "skip" else "unlock") in warning


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("own", [policy.value for policy in tukio.OverrunPolicy])
@pytest.mark.parametrize("given", ["skip", "skip-until-unlock"])
async def test_a_policy_that_a_caller_gives_is_the_one_that_is_told(
    told: Any, own: str, given: str
) -> None:
    """Whatever that of the template is: it may be one that never refuses."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("slow", policy=own), {}, policy=given)
        with pytest.raises(tukio.NotStarted) as caught:
            await engine.start(flow("slow", policy=own), {}, policy=given)
        run.cancel()
    assert caught.value.reason is tukio.Reason.SKIPPED
    [warning] = warnings(told)
    assert f"policy '{given}' starts none while an earlier run is not over" in warning


@pytest.mark.usefixtures("slow")
async def test_f1_a_flood_of_data_is_told_of_at_powers_of_ten(told: Any) -> None:
    """Of each topic and template by itself."""
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", topics=["urls"], policy="skip"))
        [run] = await engine.data_received({}, "urls")
        for _ in range(110):
            await engine.data_received({}, "urls")
            await engine.data_received({}, "elsewhere")
        run.cancel()
    found = warnings(told)
    assert [text.partition(" so far")[0].split(", ")[-1] for text in found if "flow" in text] == [
        "1",
        "10",
        "100",
    ]
    assert len(found) == 6


async def test_f1_a_flood_of_topics_is_told_of_at_powers_of_ten_over_all(told: Any) -> None:
    """The first few are named each by itself, also later; the others take no memory."""
    async with tukio.Engine() as engine:
        for number in range(1_020):
            await engine.data_received({}, f"topic {number}")
        for _ in range(9):
            await engine.data_received({}, "topic 3")
        silence = engine._silence
    found = warnings(told)
    assert [text.partition(", and its data")[0] for text in found] == [
        *[f"nobody listens to topic topic {number}, 1 so far" for number in range(10)],
        "nobody listens to topic topic 10, 1 so far, of this and others beyond the first 10",
        "nobody listens to topic topic 19, 10 so far, of this and others beyond the first 10",
        "nobody listens to topic topic 109, 100 so far, of this and others beyond the first 10",
        "nobody listens to topic topic 1009, 1000 so far, of this and others beyond the first 10",
        "nobody listens to topic topic 3, 10 so far",
    ]
    assert len(silence._topics._each) == 10


@pytest.mark.usefixtures("slow")
async def test_f1_a_flood_of_templates_that_refuse_is_told_of_in_the_same_way(told: Any) -> None:
    """And topics beside them are told of all the same."""
    async with tukio.Engine() as engine:
        for number in range(30):
            await engine.load(flow("slow", id=f"flow {number}", topics=["t"], policy="skip"))
        for _ in range(2):
            await engine.data_received({}, "t")
        await engine.data_received({}, "elsewhere")
        engine.stop(force=True)
    found = warnings(told)
    assert len([text for text in found if "was not started, 1 so far:" in text]) == 10
    assert len([text for text in found if "was not started, 1 so far, of this" in text]) == 1
    assert len([text for text in found if "was not started, 10 so far, of this" in text]) == 1
    assert len([text for text in found if "elsewhere" in text]) == 1
    assert len(found) == 13


@pytest.mark.parametrize("listener", ["handler", "handler of all", "stream", "task"])
async def test_f1_who_listens_spares_the_warning(task: Tasks, told: Any, listener: str) -> None:
    """Data may be for others than templates."""

    @task
    async def hears(event: tukio.Event) -> Any:
        return await tukio.current_task().queue.get()

    async with tukio.Engine() as engine, engine.subscribe("other") as stream:
        if listener.startswith("handler"):
            engine.broker.register(print, "a" if listener == "handler" else None)
        elif listener == "task":
            template = flow("hears")
            template.tasks[0].topics = ["a"]
            await engine.run_once(template, {})
            await anyio.sleep(1)
        await engine.data_received({}, "other" if listener == "stream" else "a")
        del stream
    assert warnings(told) == []


async def test_a_run_that_could_not_be_made_is_a_refusal(told: Any) -> None:
    """A selector of the user's own may choose anything; the log has the reason."""

    class Odd:
        """Selects what is no template."""

        def select(self, topic: str | None) -> list[Any]:
            """Select it."""
            return [None]

    async with tukio.Engine(selector=Odd()) as engine:
        started = await engine.data_received({}, "a")
    [refusal] = started.refused
    assert refusal.reason is tukio.Reason.FAULTY
    assert not started


@pytest.mark.usefixtures("slow")
async def test_an_engine_that_stops_refuses(told: Any) -> None:
    """Each template that would have started is named."""
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", topics=["urls"]))
        engine.stop()
        started = await engine.data_received({}, "urls")
    assert started.refused == [tukio.Refusal(tukio.Reason.STOPPING, "flow")]
    assert warnings(told) == []


@pytest.mark.usefixtures("slow")
async def test_f9_runs_that_start_and_end_are_told_at_info(told: Any) -> None:
    """With their ids; what failed is a warning, as ever."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
        again: Any = await engine.rescue(flow("slow"), report)
        await again.wait()
    messages = [record.getMessage() for record in told.records if record.levelname == "INFO"]
    uid = f"run {run.uid} of workflow flow"
    assert messages == [
        f"{uid} starts",
        f"{uid} is over: cancelled",
        f"{uid} goes on",
        f"{uid} is over: finished",
    ]
    assert {record.tukio_run for record in told.records} == {run.uid}


async def test_leaving_tells_after_ten_seconds_whom_it_waits_for(task: Tasks, told: Any) -> None:
    """And only then: the run, and what is at work in it."""

    @task
    async def long(event: tukio.Event) -> None:
        await anyio.sleep(event.data["seconds"])

    for seconds, expected in ((9, 0), (11, 1)):
        async with tukio.Engine() as engine:
            runs: Any = [
                await engine.run_once(flow("long"), {"seconds": seconds}) for _ in "abcdefg"
            ]
        found = warnings(told)
        assert len(found) == expected
    assert "leaving the engine waits for runs, 7 in all" in found[0]
    assert f"flow {runs[0].uid} at long" in found[0]
    assert found[0].count("at long") == 3
    assert "engine.stop(grace=...)" in found[0]


@pytest.mark.usefixtures("slow")
async def test_leaving_without_a_run_sets_no_alarm(told: Any) -> None:
    """Nor is anything told if all is over before."""
    async with tukio.Engine() as engine:
        await engine.run_once(flow("slow"), {})
        await anyio.sleep(1)
    assert anyio.current_time() == 10
    async with tukio.Engine():
        pass
    assert warnings(told) == []
