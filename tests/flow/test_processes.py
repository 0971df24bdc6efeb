"""Tasks in processes: a process is killed when its step is cut.

On the real clock, as processes do not live in virtual time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import step_of
from support.process_tasks import (
    OWN,
    Done,
    Job,
    dies,
    fails,
    hidden,
    kept_elsewhere,
    moved,
    one_by_one,
    upper,
)
from support.real_time import LIMIT, run, until
from tukio.flow import flow, task
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tukio.flow import Task
    from tukio.task import Registry

every_backend = pytest.mark.parametrize("backend", BACKENDS)


def is_alive(pid: int) -> bool:
    """Return whether a process is there, and is not only waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@every_backend
def test_it_runs_in_a_process(backend: str) -> None:
    """With a record in, and a record out; also if the task goes by another name."""

    async def main() -> None:
        for made in (upper, moved, kept_elsewhere):
            found = await flow("x", made).run(Job("abc"))
            assert found["text"].upper() == "ABC"
            assert found["pid"] != os.getpid()

    run(backend, main)


@every_backend
def test_what_it_raises_is_its_error(backend: str) -> None:
    """And so is the end of its process."""

    async def main() -> None:
        for made, kind in ((fails, LookupError), (dies, Exception)):
            with pytest.raises(tukio.WorkflowFailed) as caught:
                await flow("x", made).run(Job("abc"))
            assert isinstance(caught.value.exceptions[0], kind)

    run(backend, main)


CUTS: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "the run is cancelled": (lambda it: it.cancel(), "cancelled", "cancelled"),
    "the task is cancelled": (lambda it: step_of(it, "upper").cancel(), "finished", "cancelled"),
    "the run reaches its limit": (lambda it: it.timeout(), "timeout", "cancelled"),
    "the task reaches its limit": (
        lambda it: step_of(it, "upper").timeout(),
        "finished",
        "timeout",
    ),
}


@every_backend
@pytest.mark.parametrize("cut", CUTS)
def test_it_is_killed_when_its_step_is_cut(backend: str, cut: str, tmp_path: Path) -> None:
    """Long before it would have ended."""
    act, ends, state = CUTS[cut]
    file = tmp_path / "pid"

    async def main() -> None:
        begun = time.monotonic()
        async with tukio.Engine(registry=OWN) as engine:
            it = await engine.start(flow("x", upper), {"seconds": LIMIT, "file": str(file)})
            await until(lambda: file.exists() and file.read_text())
            act(it)
            assert (await it.wait()).value == ends
        assert step_of(it, "upper").state.value == state
        assert not is_alive(int(file.read_text()))
        assert time.monotonic() - begun < LIMIT / 2

    run(backend, main)


@every_backend
def test_it_is_killed_at_its_limit(backend: str, tmp_path: Path) -> None:
    """In time."""
    file = tmp_path / "pid"

    async def main() -> None:
        await flow("x", upper).run()  # so that a process is there
        with pytest.raises(tukio.WorkflowFailed) as caught:
            limited = upper.of(timeout=1)
            await flow("x", limited).run({"seconds": LIMIT, "file": str(file)})
        assert isinstance(caught.value.exceptions[0], TimeoutError)
        assert not is_alive(int(file.read_text()))

    run(backend, main)


@every_backend
def test_it_is_killed_when_its_run_is_suspended_and_runs_again(
    backend: str, tmp_path: Path
) -> None:
    """As any step does."""
    file = tmp_path / "pid"

    async def main() -> None:
        async with tukio.Engine(registry=OWN) as engine:
            it = await engine.start(flow("x", upper), {"seconds": 0.5, "file": str(file)})
            await until(lambda: file.exists() and file.read_text())
            first = int(file.read_text())
            it.suspend()
            await until(lambda: not is_alive(first))
            it.resume()
            await it.wait(check=True)
        assert it.output["upper"]["pid"] != first

    run(backend, main)


@every_backend
def test_so_many_are_in_processes_at_once_as_its_limiter_lets(backend: str) -> None:
    """Here one, so all are in the same."""

    async def main() -> None:
        async with tukio.Engine(registry=OWN) as engine:
            runs = [await engine.start(flow("x", one_by_one), {"seconds": 0.02}) for _ in range(3)]
            for it in runs:
                await it.wait(check=True)
        assert len({it.output["one_by_one"]["pid"] for it in runs}) == 1

    run(backend, main)


# What a process cannot find


def local_task(own: Registry) -> Task[Any, Any, Any]:
    """Make a task of a function within a function."""

    @task(registry=own, process=True)
    def work(job: Job) -> Done:
        return Done(job.text, 0)

    return work


def local_type(own: Registry) -> Task[Any, Any, Any]:
    """Make a task that returns a record that is defined within a function."""

    class Local:
        pass

    def work(job: Job) -> None: ...

    work.__qualname__ = "work"
    work.__annotations__["return"] = Local
    return task(registry=own, process=True)(work)


@pytest.mark.parametrize("make", [local_task, local_type])
def test_it_is_said_when_it_is_registered(
    make: Callable[[Registry], object], own: Registry
) -> None:
    """With the place, and what to do; nothing is registered."""
    with pytest.raises(TypeError, match=r"a process cannot find .*<locals>.* - define it at the"):
        make(own)
    assert "work" not in own.tasks


def test_a_function_that_has_gone_is_an_error_of_the_task() -> None:
    """It was there when it was registered."""

    async def main() -> None:
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await flow("x", hidden).run(Job("abc"))
        [error] = caught.value.exceptions
        assert "a process finds no task at support.process_tasks._hidden - keep it" in str(error)

    anyio.run(main)


PROGRAM = """
import anyio
from dataclasses import dataclass
from tukio.flow import flow, task

@dataclass
class Job:
    n: int

@task(process=True)
def square(job: Job) -> Job:
    return Job(job.n ** 2)

if __name__ == "__main__":
    print(anyio.run(flow("x", square).run, Job(7), backend="{backend}"))
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_may_be_in_the_main_module(backend: str, tmp_path: Path) -> None:
    """Below the usual guard."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("{backend}", backend))
    result = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.stdout, result.stderr) == ("{'n': 49}\n", "")
