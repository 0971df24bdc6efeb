"""`deadline=` of a start: an instant by which the run ends, whoever runs it until then."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, NoReturn

import anyio
import pytest

import tukio
from support.flow import Tasks, execution, flow, kinds, listen, step_of
from support.gallery import register_tasks, simple
from support.keeping import KeepingEngine
from tukio._model.facts import RunStarted
from tukio.testing import act_everywhere, cancel_everywhere

HOW = r"datetime\.now\(UTC\) \+ timedelta\(hours=1\)"
TIMEOUT = tukio.FutureState.timeout


@pytest.fixture
def seen(task: Tasks) -> list[Any]:
    """Register `nap`, which sleeps as told, and `flaky`; they note their deadlines."""
    found: list[Any] = []

    @task
    async def nap(event: tukio.Event) -> None:
        found.append(tukio.current_task().deadline)
        await anyio.sleep(event.data.get("takes", 0))

    @task
    async def flaky(event: tukio.Event) -> None:
        found.append(tukio.current_task().deadline)
        await anyio.sleep(1)
        raise OSError

    return found


def now(engine: tukio.Engine, later: float = 0.0) -> datetime:
    """Return the time by the clock of an engine, or some seconds later."""
    return engine._binding.bound().wall_time(anyio.current_time() + later)


async def start(engine: tukio.Engine, how: str, deadline: datetime | None, **fields: Any) -> Any:
    """Start a run of 9 seconds by one of the three verbs."""
    template, data = flow("nap", **fields), {"takes": 9}
    if how == "start":
        return await engine.start(template, data, deadline=deadline)
    if how == "run_once":
        return await engine.run_once(template, data, deadline=deadline)
    await engine.load(template)
    return await engine.trigger(template.uid, data, deadline=deadline)


every_verb = pytest.mark.parametrize("how", ["start", "run_once", "trigger"])

# What ends the run


@every_verb
async def test_the_run_ends_at_its_deadline(seen: list[Any], how: str) -> None:
    """As if it had reached its limit."""
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        at = now(engine, 5)
        run = await start(engine, how, at)
        assert await run.wait() is TIMEOUT
        assert anyio.current_time() - begun == pytest.approx(5, abs=1e-5)
    assert seen == [at]
    assert run.appointment == at
    assert run.appointment.tzinfo is UTC
    assert run.report()["exec"]["appointment"] == at
    assert (run.status, run.timed_out, run.ok) == ("timeout", True, False)
    with pytest.raises(tukio.WorkflowTimedOut):
        await run.wait(check=True)


@every_verb
@pytest.mark.parametrize(("limit", "later", "ends"), [(3, 5, 3), (5, 3, 3), (20, 30, 9)])
async def test_the_earlier_of_limit_and_deadline_counts(
    seen: list[Any], how: str, limit: float, later: float, ends: float
) -> None:
    """Neither, if the run is over before."""
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        first = now(engine, min(limit, later))
        run = await start(engine, how, now(engine, later), timeout=limit)
        await run.wait()
        assert anyio.current_time() - begun == pytest.approx(ends, abs=1e-5)
        assert (run.status == "timeout") is (ends < 9)
    assert seen == [first]


@every_verb
async def test_after_its_deadline_nothing_begins(seen: list[Any], how: str) -> None:
    """The run is over at once."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        begun = anyio.current_time()
        run = await start(engine, how, now(engine, -1))
        assert await run.wait() is TIMEOUT
        assert anyio.current_time() == begun
    assert (seen, kinds(story)) == ([], ["workflow-end"])


@every_verb
@pytest.mark.parametrize("act", ["suspend", "resume", "cancel"])
async def test_whatever_is_done_to_it_nothing_begins(seen: list[Any], how: str, act: str) -> None:
    """Not even the run, whose begin is told by nobody."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await start(engine, how, now(engine, -1))
        assert getattr(run, act)() is (act == "cancel")
        assert await run.wait() is TIMEOUT
    assert (seen, kinds(story)) == ([], ["workflow-end"])


async def test_it_covers_the_time_in_which_the_run_waits(seen: list[Any]) -> None:
    """For its turn, to be resumed, and for its next attempt."""
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        suspended = await start(engine, "start", now(engine, 3))
        await anyio.sleep(1)
        suspended.suspend()
        assert await suspended.wait() is TIMEOUT
        assert anyio.current_time() - begun == pytest.approx(3, abs=1e-5)
    async with tukio.Engine() as engine:
        begun = anyio.current_time()
        template = flow("flaky")
        template.tasks[0].retry = {"initial": 60, "jitter": "none"}
        retried = await engine.start(template, {}, deadline=now(engine, 5))
        assert await retried.wait() is TIMEOUT
        assert anyio.current_time() - begun == pytest.approx(5, abs=1e-5)


async def test_it_ends_a_run_that_never_had_its_turn(task: Tasks) -> None:
    """It waits for another to be cleaned up after; what comes next has its turn all the same."""

    @task
    class slow(tukio.TaskHolder):  # noqa: N801 - the name of a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(60)

        async def teardown(self) -> None:
            await anyio.sleep(4)

    template = flow("slow", policy="abort-running")
    async with tukio.Engine() as engine:
        first = await engine.start(template, {})
        await anyio.sleep(1)
        begun = anyio.current_time()
        second = await engine.start(template, {}, deadline=now(engine, 2))
        assert second.status == "queued"
        assert await second.wait() is TIMEOUT
        assert anyio.current_time() - begun == pytest.approx(2, abs=1e-5)
        assert await first.wait() is tukio.FutureState.cancelled
        assert anyio.current_time() - begun == 4
        assert execution(second, "slow") is None
        third = await engine.start(template, {}, deadline=now(engine, 2))
        assert await third.wait() is TIMEOUT


async def test_no_deadline_is_none(seen: list[Any]) -> None:
    """Of the run and of its tasks; the report has no key for it."""
    async with tukio.Engine() as engine:
        run = await start(engine, "start", None)
        await run.wait()
    assert (seen, run.appointment) == ([None], None)
    assert "appointment" not in run.report()["exec"]
    assert run._run.ledger is None


async def test_a_start_that_is_known_has_the_deadline_of_the_first(seen: list[Any]) -> None:
    """It may be reckoned from the time of each message."""
    async with tukio.Engine() as engine:
        template = flow("nap")
        at = now(engine, 5)
        run = await engine.start(template, {"takes": 9}, id="one", deadline=at)
        again = await engine.start(template, {"takes": 9}, id="one", deadline=now(engine, 7))
        assert again is run
        assert run.appointment == at
        await run.wait()


# Which one a task is told


async def test_a_task_is_told_the_earliest_of_all(seen: list[Any]) -> None:
    """Its own limit, that of all its attempts, that of its run, and the end of a grace."""
    async with tukio.Engine() as engine:
        template = flow("nap", limits={"nap": 4}, timeout=6)
        at = now(engine)
        run = await engine.start(template, {"takes": 3}, deadline=now(engine, 8))
        await anyio.sleep(1)
        step = step_of(run, "nap")
        later = [(step.deadline - at).total_seconds()]
        await engine.stop(grace=1.5)
        later.append((step.deadline - at).total_seconds())
    assert later == pytest.approx([4, 2.5], abs=1e-5)


async def test_what_all_attempts_may_take_is_a_limit(seen: list[Any]) -> None:
    """Counted from the first; between two of them, there is that of the run alone."""
    async with tukio.Engine() as engine:
        template = flow("flaky")
        template.tasks[0].retry = {"attempts": 2, "within": 9, "initial": 2, "jitter": "none"}
        at = now(engine)
        run = await engine.start(template, {}, deadline=now(engine, 20))
        await anyio.sleep(2)
        assert step_of(run, "flaky").deadline == run.appointment
        await run.wait()
    assert [(one - at).total_seconds() for one in seen] == pytest.approx([9, 9], abs=1e-5)


async def test_a_limit_beyond_the_calendar_is_as_good_as_none(seen: list[Any]) -> None:
    """It can be said, and never comes."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("nap", timeout=1e300), {})
        await run.wait(check=True)
        run = await engine.start(flow("nap", timeout=math.inf), {})
        await run.wait(check=True)
    assert seen == [None, None]


# Rescue


@pytest.mark.parametrize("through_json", [False, True])
@pytest.mark.parametrize("limit", [None, 10])
async def test_downtime_is_time(seen: list[Any], through_json: bool, limit: float | None) -> None:
    """The instant stays what it is, whatever becomes of the limit."""
    template = flow("nap", timeout=limit)
    async with tukio.Engine() as engine:
        at = now(engine, 8)
        begun = anyio.current_time()
        run = await engine.start(template, {"takes": 9}, deadline=at)
        await anyio.sleep(1)
        report: Any = run.report()
        run.cancel()
    if through_json:
        report = tukio.report_from_json(tukio.report_to_json(report))
    await anyio.sleep(4)
    async with tukio.Engine() as engine:
        again: Any = await engine.rescue(template, report)
        assert await again.wait() is TIMEOUT
        assert anyio.current_time() - begun == pytest.approx(8, abs=1e-5)
    assert again.appointment == at
    assert again.report()["exec"]["appointment"] == at
    assert seen == [at, at]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_run_that_is_rescued_too_late_ends_at_once(seen: list[Any], waits: bool) -> None:
    """Nothing of it begins again, nor is what waits waited for; its report can be rescued on."""
    template = flow("flaky" if waits else "nap")
    template.tasks[0].retry = {"initial": 60, "jitter": "none"}
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"takes": 9}, deadline=now(engine, 8))
        await anyio.sleep(2)
        report = run.report()
        run.cancel()
    await anyio.sleep(10)
    for _ in range(2):
        async with tukio.Engine() as engine:
            begun = anyio.current_time()
            again: Any = await engine.rescue(template, report)
            assert await again.wait() is TIMEOUT
            assert anyio.current_time() == begun
            report = again.report()
    assert len(seen) == 1


async def test_a_run_made_from_another_has_no_deadline(seen: list[Any]) -> None:
    """Its appointment was that of the other one."""
    async with tukio.Engine() as engine:
        template = flow("nap")
        run = await engine.start(template, {"takes": 9}, deadline=now(engine, 1))
        await run.wait()
        fresh = tukio.again(run.report(), ["nap"])
        other: Any = await engine.rescue(template, fresh)
        assert other.appointment is None
        await other.wait(check=True)


async def test_a_fact_tells_of_it(seen: list[Any]) -> None:
    """Whoever keeps the facts of a run has it from the start on."""
    async with KeepingEngine() as engine:
        at = now(engine, 5)
        run: Any = await engine.start(flow("nap"), {}, deadline=at)
        await run.wait()
        begun = engine.facts_of(run)[0]
        other: Any = await engine.start(flow("nap"), {})
        await other.wait()
        assert isinstance(begun, RunStarted)
        assert begun.appointment == at
        assert engine.facts_of(other)[0] == RunStarted(
            other.uid, other.report()["exec"]["start"], {}
        )


# Everywhere


@pytest.mark.parametrize("later", [-1, 2.5, 60])
async def test_g3_a_run_with_a_deadline_may_be_cancelled_anywhere(
    task: Tasks, later: float
) -> None:
    """Whichever comes first, it is over then, and the guarantees hold."""
    register_tasks(task)
    template = simple("a b c", "a=slow b=flaky c=slow")
    template.tasks[1].retry = {"jitter": "none"}

    async def make_run(engine: tukio.Engine) -> Any:
        return await engine.run_once(template, {"in": 0}, deadline=now(engine, later))

    def act(run: tukio.Workflow) -> None:
        if run.suspend():
            run.resume()

    assert await cancel_everywhere(make_run) > 0
    assert await act_everywhere(make_run, act) > 0


@pytest.mark.backends("asyncio", "uvloop")
@pytest.mark.parametrize("later", [-1, 5])
async def test_a_loose_run_has_a_deadline_too(seen: list[Any], later: float) -> None:
    """Each of its runs is a root of its own."""
    engine = tukio.Engine()
    begun = anyio.current_time()
    run = await start(engine, "run_once", now(engine, later))
    assert await run.wait() is TIMEOUT
    assert anyio.current_time() - begun == pytest.approx(max(later, 0), abs=1e-5)
    assert len(seen) == (later > 0)
    await engine.stop()


async def test_a_template_that_is_triggered_has_a_limit_and_the_run_a_deadline(
    seen: list[Any],
) -> None:
    """Other runs of the same template have none."""
    async with tukio.Engine() as engine:
        template = await engine.load(flow("nap", topics=["red"]))
        first = await engine.trigger(template.uid, {"takes": 3}, deadline=now(engine, 1))
        [second] = await engine.data_received({"takes": 3}, "red")
    assert [first.status, second.status] == ["timeout", "finished"]
    assert second.appointment is None


@pytest.mark.parametrize("spoilt", ["soon", 5, [], "9999-12-31T00:00:00+00:00"])
async def test_a_report_with_a_spoilt_appointment_is_refused(seen: list[Any], spoilt: Any) -> None:
    """Before anything starts."""
    template = flow("nap")
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"takes": 9}, deadline=now(engine, 60))
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
        report["exec"]["appointment"] = spoilt
        with pytest.raises(tukio.RescueError):
            await engine.rescue(template, report)
    assert len(seen) == 1


# What is refused


class Zone(tzinfo):
    """A time zone of a user's own, which raises."""

    def utcoffset(self, when: object) -> NoReturn:
        """Raise."""
        raise ZeroDivisionError

    dst = tzname = utcoffset

    def __repr__(self) -> str:
        return "Zone()"


class Moment(datetime):
    """A kind of datetime that raises."""

    def __sub__(self, other: Any) -> NoReturn:
        raise ZeroDivisionError


@every_verb
@pytest.mark.parametrize(
    ("deadline", "kind", "words"),
    [
        (datetime(2026, 1, 1), ValueError, HOW),  # noqa: DTZ001 - it is refused
        (5, TypeError, HOW),
        ("2026-01-01T00:00:00Z", TypeError, HOW),
        (date(2026, 1, 1), TypeError, HOW),
        (timedelta(hours=1), TypeError, HOW),
        (
            datetime(2026, 1, 1, tzinfo=Zone()),
            ValueError,
            "beyond the clock of a run - .* leave it",
        ),
        (datetime.max.replace(tzinfo=UTC), ValueError, "beyond the clock of a run - .* leave it"),
        (datetime.min.replace(tzinfo=UTC), ValueError, "beyond the clock of a run - .* leave it"),
        (
            datetime.min.replace(tzinfo=timezone(timedelta(hours=9))),
            ValueError,
            "beyond the clock of a run",
        ),
    ],
    ids=repr,
)
async def test_what_is_no_deadline_is_refused_with_the_way_out(
    seen: list[Any], how: str, deadline: Any, kind: type[Exception], words: str
) -> None:
    """Nothing was started."""
    async with tukio.Engine() as engine:
        with pytest.raises(kind, match=words):
            await start(engine, how, deadline)
        assert engine.instances == []
    assert seen == []


async def test_any_time_zone_and_any_kind_of_datetime_will_do(seen: list[Any]) -> None:
    """What is kept is plain, and UTC."""
    async with tukio.Engine() as engine:
        at = now(engine, 5).astimezone(timezone(timedelta(hours=-7)))
        odd = Moment.fromtimestamp(at.timestamp(), at.tzinfo)
        run = await start(engine, "start", odd)
        assert await run.wait() is TIMEOUT
    assert (type(run.appointment), run.appointment.tzinfo) == (datetime, UTC)
    assert run.appointment == at
