"""Runs of a loose engine that the end of the program cuts short are told of, once for all."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support.flow import flow
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")


@pytest.fixture
def slow(task: Tasks) -> None:
    """Register a task that takes ten seconds."""

    @task
    async def slow(event: tukio.Event) -> None:
        await asyncio.sleep(10)


def program(backend: str, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Do what `asyncio.run` does, in virtual time."""
    with asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        return runner.run(main())


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was told of runs that are cut."""
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    return [one.getMessage() for one in warnings if "cut short" in one.getMessage()]


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("suspended", [(), (0,), (0, 1, 2, 3)], ids=["none", "one", "all"])
@pytest.mark.parametrize("seconds", [0, 1], ids=["due", "at work"])
def test_f17_runs_that_the_end_of_the_program_cuts_are_told_of(
    backend: str, seconds: float, suspended: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """How many, which, and what would help; wherever they are."""

    async def main() -> list[Any]:
        engine = tukio.Engine()
        runs: list[Any] = [await engine.run_once(flow("slow"), {}) for _ in range(4)]
        await asyncio.sleep(seconds)
        for number in suspended:
            runs[number].suspend()
        await asyncio.sleep(seconds)
        return runs

    runs = program(backend, main)
    [text] = told(caplog)
    assert "runs are cut short that nobody has waited for, 4 in all: flow " in text
    assert sum(run.uid in text for run in runs) == 3
    assert "'async with tukio.Engine()'" in text
    assert "await engine.stop()" in text
    assert {run.state for run in runs} == {tukio.FutureState.cancelled}


@pytest.mark.usefixtures("slow")
def test_f17_the_runs_of_all_engines_on_a_loop_are_told_of_in_one_line(
    backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also those of an engine that was told to stop, but not waited for."""

    async def main() -> None:
        for _ in range(2):
            engine = tukio.Engine()
            await engine.run_once(flow("slow"), {})
            engine.stop()

    program(backend, main)
    [text] = told(caplog)
    assert "2 in all" in text


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("way", ["waits", "stops", "cancels", "awaits the run", "structured"])
def test_f17_an_engine_that_was_ended_properly_says_nothing(
    backend: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asked for the end of its runs need not be told."""

    async def main() -> None:
        if way == "structured":
            async with tukio.Engine() as engine:
                await engine.run_once(flow("slow"), {})
            return
        engine = tukio.Engine()
        run: Any = await engine.run_once(flow("slow"), {})
        await asyncio.sleep(1)
        match way:
            case "waits":
                await engine.stop()
            case "stops":
                await engine.stop(force=True)
            case "cancels":
                run.cancel()
            case _:
                await run

    program(backend, main)
    assert told(caplog) == []


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("where", ["in the task", "in the loop"])
def test_f17_ctrl_c_tells_of_what_it_cuts_of_a_loose_engine_alone(
    backend: str, where: str, structured: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A block is left in good order, whatever ends the program."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def use(engine: tukio.Engine) -> None:
        await engine.run_once(flow("slow"), {})
        asyncio.get_running_loop().call_later(1 if where == "in the loop" else 5, interrupt)
        await asyncio.sleep(2)
        interrupt()

    async def main() -> None:
        if not structured:
            await use(tukio.Engine())
        async with tukio.Engine() as engine:
            await use(engine)

    with pytest.raises(KeyboardInterrupt):
        program(backend, main)
    assert len(told(caplog)) == (not structured)


@pytest.mark.usefixtures("slow")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_f17_runs_whose_loop_is_closed_are_told_of_when_that_is_collected(
    backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """There was no turn in which they could be cancelled."""
    loop = new_loop(backend)
    engine = tukio.Engine(loop=loop)
    run: Any = loop.run_until_complete(engine.run_once(flow("slow"), {}))
    uid = run.uid
    # While it is at work, anyio keeps it, and the loop with it, for ever.
    run.suspend()
    loop.run_until_complete(loop.settle())
    loop.close()
    assert told(caplog) == []
    del loop, engine, run
    gc.collect()
    [text] = told(caplog)
    assert f"1 in all: flow {uid}" in text


def test_f17_so_are_those_of_a_loop_that_is_never_collected() -> None:
    """At the end of the program, once."""
    script = (
        "import asyncio, tukio\n"
        "@tukio.register('slow')\n"
        "async def slow(event): await asyncio.sleep(10)\n"
        "tasks = [{'id': 'slow', 'name': 'slow'}]\n"
        "template = tukio.WorkflowTemplate.from_dict({'id': 'a', 'tasks': tasks, 'graph': {}})\n"
        "loop = asyncio.new_event_loop()\n"
        "engine = tukio.Engine(loop=loop)\n"
        "loop.run_until_complete(engine.run_once(template, {}))\n"
        "loop.run_until_complete(asyncio.sleep(0))\n"
        "loop.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stderr.count("runs are cut short that nobody has waited for, 1 in all: a ") == 1
