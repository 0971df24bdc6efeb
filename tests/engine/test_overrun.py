"""Overrun policies and the stop of an engine: which runs start, which end, and exactly when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks

    Log = list[tuple[float, str]]

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled
TIMEOUT, PENDING = tukio.FutureState.timeout, tukio.FutureState.pending


@pytest.fixture
def log(task: Tasks) -> Log:
    """Register `work`; return what its runs, each with a name `n`, do, and when.

    It takes 10 s, or as many as `takes`; and, if it is cut, as many as `unwinds`.
    """
    told: Log = []

    @task
    async def work(event: tukio.Event) -> None:
        name = event.data.get("n", "?")
        told.append((anyio.current_time(), f"{name} begins"))
        ending = "is cut"
        try:
            await anyio.sleep(event.data.get("takes", 10))
            ending = "ends"
        finally:
            with anyio.CancelScope(shield=True):
                if ending == "is cut" and "unwinds" in event.data:
                    await anyio.sleep(event.data["unwinds"])
            told.append((anyio.current_time(), f"{name} {ending}"))

    return told


async def loaded(engine: tukio.Engine, policy: str, **fields: Any) -> None:
    """Load a template of one `work` with a policy."""
    await engine.load(flow("work", policy=policy, **fields))


def why(refusal: Any) -> str:
    """Return the reason of a refusal."""
    assert not refusal
    reason: str = refusal.reason.name
    return reason


def states(runs: list[Any]) -> list[tukio.FutureState]:
    """Return how runs stand."""
    return [run.state for run in runs]


# skip, start-new ----------------------------------------------------------------------------------


async def test_skip_waits_for_the_very_end_of_the_run_before(log: Log) -> None:
    """One that is cancelled and still unwinds is in progress; at its end the next may start."""
    async with tukio.Engine() as engine:
        await loaded(engine, "skip")
        first: Any = await engine.trigger("flow", {"n": "a", "unwinds": 3})
        await anyio.sleep(2)
        first.cancel()
        await anyio.sleep(2)
        assert why(await engine.trigger("flow", {"n": "b"})) == "SKIPPED"
        assert await engine.data_received({"n": "b"}) == []
        await first.wait()
        assert await engine.trigger("flow", {"n": "c"})

    assert log == [(0, "a begins"), (5, "a is cut"), (5, "c begins"), (15, "c ends")]


async def test_skip_tells_the_templates_apart(log: Log) -> None:
    """Runs of another template do not count, those of `run_once` of the same one do."""
    async with tukio.Engine() as engine:
        await loaded(engine, "skip")
        await loaded(engine, "skip", id="other")
        assert await engine.run_once(flow("work", policy="skip"), {"n": "a"})
        assert await engine.run_once(flow("work", policy="skip"), {"n": "b"})
        assert [run.template.uid for run in await engine.data_received({"n": "c"})] == ["other"]

    assert sorted(what for _, what in log[:3]) == ["a begins", "b begins", "c begins"]


@pytest.mark.parametrize("policy", ["skip", "skip-until-unlock"])
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
async def test_a_suspended_run_counts_as_running(log: Log, policy: str, begun: bool) -> None:
    """Until it is over, data is skipped."""
    async with tukio.Engine() as engine:
        await loaded(engine, policy)
        run: Any = await engine.trigger("flow", {"n": "a"})
        if begun:
            await anyio.sleep(1)
        assert run.suspend()
        await anyio.sleep(50)
        assert why(await engine.trigger("flow", {"n": "b"})) == "SKIPPED"
        assert engine.instances == [run]
        run.resume()
        await run.wait()
        assert await engine.trigger("flow", {"n": "c"})

    assert [what for _, what in log[-3:]] == ["a ends", "c begins", "c ends"]


async def test_start_new_starts_beside_a_suspended_run(log: Log) -> None:
    """Each goes its own way."""
    async with tukio.Engine() as engine:
        await loaded(engine, "start-new")
        first: Any = await engine.trigger("flow", {"n": "a"})
        await anyio.sleep(1)
        first.suspend()
        await settle()
        second: Any = await engine.trigger("flow", {"n": "b"})
        assert await second.wait() is FINISHED
        first.resume()

    assert log == [
        *((0, "a begins"), (1, "a is cut")),
        *((1, "b begins"), (11, "b ends")),
        *((11, "a begins"), (21, "a ends")),
    ]


# skip-until-unlock --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "instant"),
    [("ends", 3), ("fails", 3), ("skips", 3), ("is cancelled", 3), ("times out", 5)],
)
async def test_a_run_is_unlocked_when_the_task_is_over(
    task: Tasks, then: str, instant: float
) -> None:
    """However the task ends; until then data is skipped, and the new run is locked again."""

    @task
    async def first(event: tukio.Event) -> None:
        tukio.current_workflow().unlock_when_task_done()
        await anyio.sleep(30 if then == "times out" else 3)
        if then == "fails":
            raise LookupError
        if then == "skips":
            raise tukio.SkipTask("first")
        if then == "is cancelled":
            tukio.current_task().cancel()
            await anyio.sleep(30)

    @task
    async def other(event: tukio.Event) -> None:
        await anyio.sleep(50)

    @task
    async def root(event: tukio.Event) -> None:
        pass

    graph = {"root": ["first", "other"]}
    async with tukio.Engine() as engine:
        await engine.load(flow(graph, limits={"first": 5}, policy="skip-until-unlock"))
        run: Any = await engine.trigger("flow", {})
        await anyio.sleep(instant - 0.5)
        assert run.lock.locked()
        assert why(await engine.trigger("flow", {})) == "SKIPPED"
        await anyio.sleep(1)
        assert not run.lock.locked()
        second: Any = await engine.trigger("flow", {})
        assert second.lock.locked()
        assert why(await engine.trigger("flow", {})) == "SKIPPED"
        assert engine.instances == [run, second]


async def test_one_locked_run_is_enough_to_skip(log: Log) -> None:
    """All of them must be unlocked, or over."""
    async with tukio.Engine() as engine:
        await loaded(engine, "skip-until-unlock")
        first: Any = await engine.trigger("flow", {"n": "a"})
        await anyio.sleep(1)
        first.unlock()
        second: Any = await engine.trigger("flow", {"n": "b"})
        assert second
        assert not await engine.trigger("flow", {"n": "c"})
        second.unlock()
        assert await engine.trigger("flow", {"n": "d"})

    begun = sorted(what for _, what in log if "begins" in what)
    assert begun == ["a begins", "b begins", "d begins"]


@pytest.mark.parametrize("unlocked", [[0], [1], [1, 0]])
async def test_whichever_runs_are_unlocked_one_that_is_not_is_enough_to_skip(
    log: Log, unlocked: list[int]
) -> None:
    """Several are locked together where they were started past the policy."""
    async with tukio.Engine() as engine:
        template = flow("work", policy="skip-until-unlock")
        await engine.load(template)
        runs: list[Any] = [await engine.run_once(template, {"n": n}) for n in "ab"]
        await anyio.sleep(1)
        for number in unlocked:
            runs[number].unlock()
        assert bool(await engine.trigger("flow", {"n": "c"})) == (len(unlocked) == len(runs))


async def test_an_unlock_outlives_a_suspension_and_a_cut_task_is_not_done(task: Tasks) -> None:
    """A task that is to be run again has not ended; what was unlocked stays so."""

    @task
    async def first(event: tukio.Event) -> None:
        tukio.current_workflow().unlock_when_task_done()
        await anyio.sleep(3)

    @task
    async def second(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        await engine.load(flow("first second", policy="skip-until-unlock"))
        run: Any = await engine.trigger("flow", {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(5)
        assert run.lock.locked()
        run.resume()
        await anyio.sleep(4)
        assert not run.lock.locked()
        run.suspend()
        await anyio.sleep(1)
        assert not run.lock.locked()
        assert await engine.trigger("flow", {})
        run.resume()


# abort-running ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unwinds", [0, 4])
@pytest.mark.parametrize("burst", [1, 2, 5])
async def test_a_burst_leaves_one_replacement_the_latest(
    log: Log, burst: int, unwinds: float
) -> None:
    """It starts at the instant in which the aborted run has unwound; the others never do."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        await loaded(engine, "abort-running")
        first: Any = await engine.trigger("flow", {"n": "a", "unwinds": unwinds})
        await anyio.sleep(1)
        others: list[Any] = [await engine.trigger("flow", {"n": n}) for n in range(burst)]
        assert engine.instances == [first, others[-1]]
        assert not others[-1].committed
        assert states(others) == [CANCELLED] * (burst - 1) + [PENDING]
        assert await others[-1].wait() is FINISHED

    last = burst - 1
    assert log == [
        *((0, "a begins"), (1 + unwinds, "a is cut")),
        *((1 + unwinds, f"{last} begins"), (11 + unwinds, f"{last} ends")),
    ]
    assert first.state is CANCELLED
    assert kinds(story).count("workflow-end") == burst + 1
    assert kinds(story).count("workflow-begin") == 2


async def test_a_replacement_waits_for_all_whom_it_replaces(log: Log) -> None:
    """Also for those started beside each other under another policy."""
    async with tukio.Engine() as engine:
        await loaded(engine, "start-new")
        for n, unwinds in (("a", 3), ("b", 6), ("c", 0)):
            await engine.trigger("flow", {"n": n, "unwinds": unwinds})
        await anyio.sleep(1)
        await loaded(engine, "abort-running")
        assert await engine.trigger("flow", {"n": "d"})

    assert log[3:] == [
        *((1, "c is cut"), (4, "a is cut"), (7, "b is cut")),
        *((7, "d begins"), (17, "d ends")),
    ]


async def test_bursts_while_the_aborted_run_unwinds(log: Log) -> None:
    """Those who come later take the place of the one who waits; nobody is aborted twice."""
    async with tukio.Engine() as engine:
        await loaded(engine, "abort-running")
        first: Any = await engine.trigger("flow", {"n": "a", "unwinds": 5})
        runs: list[Any] = []
        for n in "bcd":
            await anyio.sleep(1)
            runs.append(await engine.trigger("flow", {"n": n, "unwinds": 2}))
        await anyio.sleep(6)
        assert engine.instances == [runs[-1]]
        runs.append(await engine.trigger("flow", {"n": "e"}))

    assert log == [
        *((0, "a begins"), (6, "a is cut"), (6, "d begins")),
        *((11, "d is cut"), (11, "e begins"), (21, "e ends")),
    ]
    assert states([first, *runs]) == [CANCELLED] * 4 + [FINISHED]


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.parametrize("unwinds", [0, 3])
async def test_a_suspended_run_is_replaced(log: Log, begun: bool, unwinds: float) -> None:
    """At once if nothing of it is left to unwind."""
    async with tukio.Engine() as engine:
        await loaded(engine, "abort-running")
        first: Any = await engine.trigger("flow", {"n": "a", "unwinds": unwinds})
        if begun:
            await anyio.sleep(1)
        first.suspend()
        await engine.trigger("flow", {"n": "b"})
        assert await first.wait() is CANCELLED
        assert not first.resume()

    at = 1 + unwinds if begun else 0
    assert log[-2:] == [(at, "b begins"), (at + 10, "b ends")]
    assert log[:-2] == ([(0, "a begins"), (at, "a is cut")] if begun else [])


async def test_a_replacement_that_waits_is_neither_suspended_nor_resumed(log: Log) -> None:
    """It can be cancelled: then nothing takes the place of the aborted run."""
    async with tukio.Engine() as engine:
        await loaded(engine, "abort-running")
        await engine.trigger("flow", {"n": "a", "unwinds": 5})
        await anyio.sleep(1)
        heir: Any = await engine.trigger("flow", {"n": "b"})
        assert [heir.suspend(), heir.resume()] == [False, False]
        assert heir.cancel()
        assert heir.state is CANCELLED
        assert len(engine.instances) == 1
        await anyio.sleep(10)
        assert engine.instances == []
        assert await engine.trigger("flow", {"n": "c"})

    assert log == [(0, "a begins"), (6, "a is cut"), (11, "c begins"), (21, "c ends")]


async def test_a_task_may_trigger_its_own_replacement(task: Tasks) -> None:
    """It is cut at its next await; then the replacement starts."""
    told: list[str] = []

    @task
    async def work(event: tukio.Event) -> None:
        told.append(f"{event.data['n']} begins")
        if event.data["n"] < 2:
            assert await engine.trigger("flow", {"n": event.data["n"] + 1})
            await anyio.lowlevel.checkpoint()
        told.append(f"{event.data['n']} ends")

    async with tukio.Engine() as engine:
        await loaded(engine, "abort-running")
        run: Any = await engine.trigger("flow", {"n": 0})
        await settle()
        assert run.state is CANCELLED
        assert engine.instances == []

    assert told == ["0 begins", "1 begins", "2 begins", "2 ends"]


async def test_a_run_aborted_before_it_began_never_begins(log: Log) -> None:
    """A burst in one turn of the loop, on an engine with nothing to do."""
    async with tukio.Engine() as engine:
        await loaded(engine, "abort-running")
        runs: list[Any] = [await engine.trigger("flow", {"n": n}) for n in "abc"]
        await settle()
        assert states(runs) == [CANCELLED, CANCELLED, PENDING]

    assert log == [(0, "c begins"), (10, "c ends")]


async def test_a_replacement_has_a_time_limit_of_its_own(log: Log) -> None:
    """It counts from its start, not from when it was asked for."""
    async with tukio.Engine() as engine:
        await loaded(engine, "abort-running", timeout=7)
        await engine.trigger("flow", {"n": "a", "unwinds": 5})
        await anyio.sleep(1)
        heir: Any = await engine.trigger("flow", {"n": "b"})
        assert await heir.wait() is TIMEOUT

    assert log == [(0, "a begins"), (6, "a is cut"), (6, "b begins"), (13, "b is cut")]


# Stop ---------------------------------------------------------------------------------------------


async def replacing(engine: tukio.Engine, **fields: Any) -> tuple[Any, Any]:
    """Return a run aborted at 1 s, which unwinds until 6 s, and the one that replaces it."""
    await loaded(engine, "abort-running", **fields)
    first = await engine.trigger("flow", {"n": "a", "unwinds": 5})
    await anyio.sleep(1)
    return first, await engine.trigger("flow", {"n": "b"})


STOPS: list[tuple[dict[str, Any], tukio.FutureState, float, Log]] = [
    ({}, FINISHED, 16, [(6, "b begins"), (16, "b ends")]),
    ({"grace": 20}, FINISHED, 16, [(6, "b begins"), (16, "b ends")]),
    ({"grace": 9}, CANCELLED, 10, [(6, "b begins"), (10, "b is cut")]),
    ({"force": True}, CANCELLED, 6, []),
    ({"grace": 20, "force": True}, CANCELLED, 6, []),
]


@pytest.mark.parametrize(("how", "state", "instant", "story"), STOPS)
async def test_stop_while_a_replacement_waits(
    log: Log, how: dict[str, Any], state: tukio.FutureState, instant: float, story: Log
) -> None:
    """It is work accepted: it is done, unless the stop is by force or the grace is too short."""
    async with tukio.Engine() as engine:
        first, heir = await replacing(engine)
        await engine.stop(**how)
        assert anyio.current_time() == instant
        assert why(await engine.trigger("flow", {})) == "STOPPING"

    assert (first.state, heir.state) == (CANCELLED, state)
    assert log == [(0, "a begins"), (6, "a is cut"), *story]


async def test_a_replacement_does_not_start_after_the_grace(task: Tasks, log: Log) -> None:
    """Not even a first step that needs no time: what it waits for has taken too long to unwind."""

    @task
    async def quick(event: tukio.Event) -> None:
        log.append((anyio.current_time(), "quick begins"))

    async with tukio.Engine() as engine:
        await engine.load(flow("work", policy="abort-running"))
        await engine.trigger("flow", {"n": "a", "unwinds": 5})
        await anyio.sleep(1)
        await engine.load(flow("quick", policy="abort-running"))
        heir: Any = await engine.trigger("flow", {})
        await engine.stop(grace=2)
        assert anyio.current_time() == 6

    assert log == [(0, "a begins"), (6, "a is cut")]
    assert heir.state is CANCELLED


async def test_a_replacement_that_starts_within_the_grace_keeps_its_time_limit(log: Log) -> None:
    """Its limit comes before the end of the grace: it ends `timeout`, not `cancelled`."""
    async with tukio.Engine() as engine:
        _, heir = await replacing(engine, timeout=3)
        await engine.stop(grace=30)
        assert anyio.current_time() == 9

    assert log[-2:] == [(6, "b begins"), (9, "b is cut")]
    assert heir.state is TIMEOUT


@pytest.mark.parametrize(
    ("limit", "grace", "state", "instant"),
    [(5, 8, TIMEOUT, 5), (5, 2, CANCELLED, 3), (None, 2, CANCELLED, 3), (5, None, TIMEOUT, 5)],
)
async def test_the_limit_of_a_run_and_the_grace(
    log: Log, limit: float | None, grace: float | None, state: tukio.FutureState, instant: float
) -> None:
    """What comes first decides when and how a run ends."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("work", timeout=limit), {"n": "a"})
        await anyio.sleep(1)
        await engine.stop(grace=grace)
        assert anyio.current_time() == instant

    assert run.state is state


async def test_stop_with_grace_lets_runs_go_on_and_accepts_none(log: Log) -> None:
    """Each is cancelled at the end of the grace, in whichever state; none before."""
    async with tukio.Engine() as engine:
        await loaded(engine, "start-new")
        done: Any = await engine.trigger("flow", {"n": "a", "takes": 3})
        cut: Any = await engine.trigger("flow", {"n": "b", "takes": 30})
        slow: Any = await engine.trigger("flow", {"n": "c", "takes": 30, "unwinds": 4})
        suspended: Any = await engine.trigger("flow", {"n": "d"})
        await anyio.sleep(1)
        suspended.suspend()
        fresh: Any = await engine.trigger("flow", {"n": "e", "takes": 30})
        engine.stop(grace=6)
        assert await engine.data_received({"n": "f"}) == []
        assert why(await engine.run_once(flow("work"), {"n": "f"})) == "STOPPING"
        await anyio.sleep(5)
        runs = [done, cut, slow, suspended, fresh]
        assert states(runs) == [FINISHED, PENDING, PENDING, tukio.FutureState.suspended, PENDING]
        assert not engine.done()
        await engine
        assert anyio.current_time() == 11

    assert states(runs) == [FINISHED, *[CANCELLED] * 4]
    ended = {what: at for at, what in log if "cut" in what or "ends" in what}
    assert ended == {
        "a ends": 3,
        "d is cut": 1,
        "b is cut": 7,
        "e is cut": 7,
        "c is cut": 11,
    }
    assert [run._run.ended_at for run in runs] == [3, 7, 11, 7, 7]


FORCES: list[tuple[list[tuple[float, dict[str, Any]]], float]] = [
    ([(1, {}), (2, {"grace": 3})], 5),
    ([(1, {}), (2, {"force": True})], 2),
    ([(1, {"grace": 20}), (2, {"grace": 3})], 5),
    ([(1, {"grace": 20}), (2, {"force": True})], 2),
    ([(1, {"grace": 20}), (2, {"grace": 3}), (3, {"force": True})], 3),
    ([(1, {"grace": 3}), (2, {"grace": 20})], 4),
    ([(1, {"grace": 3}), (2, {})], 4),
    ([(1, {"force": True}), (1, {"force": True})], 1),
    ([(1, {"force": True}), (1, {})], 1),
    ([(1, {"grace": 0})], 1),
    ([(1, {})], 30),
]


@pytest.mark.parametrize(("stops", "instant"), FORCES)
@pytest.mark.parametrize("suspended", [False, True], ids=["at work", "suspended"])
async def test_stop_may_be_said_again_with_more_force(
    log: Log, stops: list[tuple[float, dict[str, Any]]], instant: float, suspended: bool
) -> None:
    """With less it changes nothing; a suspended run that nobody resumes waits for the force."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("work"), {"n": "a", "takes": 30})
        await anyio.sleep(0.5)
        if suspended:
            run.suspend()
        for at, how in stops:
            await anyio.sleep(at - anyio.current_time())
            assert engine.stop(**how) is engine
        with anyio.move_on_after(100):
            await engine
        forever = suspended and instant == 30
        assert engine.done() is not forever
        engine.stop(force=True)

    assert forever or run._run.ended_at == instant
    assert run.state is (FINISHED if instant == 30 and not suspended else CANCELLED)


async def test_a_suspended_run_may_be_resumed_while_the_engine_stops(log: Log) -> None:
    """It is a run in progress: it goes on, within the grace."""
    async with tukio.Engine() as engine:
        await loaded(engine, "start-new")
        runs: list[Any] = [await engine.trigger("flow", {"n": n}) for n in "ab"]
        await anyio.sleep(1)
        assert [run.suspend() for run in runs] == [True, True]
        engine.stop(grace=15)
        await anyio.sleep(2)
        assert runs[0].resume()
        await anyio.sleep(5)
        assert runs[1].resume()
        await engine
        assert anyio.current_time() == 16

    assert states(runs) == [FINISHED, CANCELLED]
    assert log[-2:] == [(13, "a ends"), (16, "b is cut")]
