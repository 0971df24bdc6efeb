"""The processes of tasks: what they are given, what ends them, and that none is left.

On the real clock, as processes do not live in virtual time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

import tukio
from support import process_tasks as tasks
from support.real_time import LIMIT, run, until
from tukio.flow import flow
from tukio.testing import run as run_in_virtual_time
from tukio.testing.clock import BACKENDS

every_backend = pytest.mark.parametrize("backend", BACKENDS)


def children() -> set[int]:
    """Return the children of this process."""
    found: set[int] = set()
    for thread in Path(f"/proc/{os.getpid()}/task").iterdir():
        # It may end meanwhile; its children are those of another one then.
        with suppress(FileNotFoundError):
            found.update(map(int, (thread / "children").read_text().split()))
    return found


# Signals


@every_backend
def test_an_idle_process_does_not_mind_ctrl_c(backend: str) -> None:
    """A terminal sends it to all processes; each call has its own result all the same."""

    async def main() -> None:
        pid = (await flow("x", tasks.upper).run())["pid"]
        for text in ("a", "b"):
            os.kill(pid, signal.SIGINT)
            await anyio.sleep(0.02)
            found = await flow("x", tasks.upper).run({"text": text})
            assert found == {"text": text.upper(), "pid": pid}
        # Nor does it cut a call: what becomes of that is decided where the engine is.
        found = await flow("x", tasks.signalled).run({"text": "SIGINT"})
        assert found == {"text": "SIGINT", "pid": pid}

    run(backend, main)


@every_backend
def test_an_idle_process_that_has_died_is_not_asked(backend: str) -> None:
    """The next call has another one."""

    async def main() -> None:
        pid = (await flow("x", tasks.interruptible).run())["pid"]
        os.kill(pid, signal.SIGINT)
        await until(lambda: pid not in children() or is_dead(pid))
        found = await flow("x", tasks.upper).run({"text": "a"})
        assert found["text"] == "A"
        assert found["pid"] != pid

    run(backend, main)


def is_dead(pid: int) -> bool:
    """Return whether a child of this process waits to be buried."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


# What it is given


@every_backend
def test_what_it_starts_has_no_part_in_the_answer(
    backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Input is empty, and what is printed goes to the standard error."""

    async def main() -> None:
        assert (await flow("x", tasks.prints).run({"text": "hello"}))["text"] == ""

    run(backend, main)
    assert capfd.readouterr() == ("", "hello\nhello\n")


@every_backend
def test_a_child_that_returns_as_well_does_not_answer(backend: str) -> None:
    """What counts is what the process itself returns."""

    async def main() -> None:
        for _ in range(2):
            assert (await flow("x", tasks.forks).run())["text"] == "parent"

    run(backend, main)


@every_backend
@pytest.mark.parametrize("how", ["dies", "is killed"])
def test_a_child_that_is_left_behind_does_not_hold_up_the_task(
    backend: str, how: str, tmp_path: Path
) -> None:
    """It lives on, and the task is over."""
    file = tmp_path / "pids"

    async def main() -> None:
        async with tukio.Engine(registry=tasks.OWN) as engine:
            data = {"text": how, "seconds": LIMIT, "file": str(file)}
            it = await engine.start(flow("x", tasks.leaves_a_child), data)
            await until(lambda: file.exists() and file.read_text())
            if how == "is killed":
                it.cancel()
            await it.wait()
        os.kill(int(file.read_text().split()[1]), signal.SIGKILL)
        if how == "dies":
            assert getattr(it.errors["leaves_a_child"], "exit_code", None) == 5

    run(backend, main)


# Its end


@every_backend
@pytest.mark.parametrize("cut", ["by a limit", "by the engine"])
def test_none_is_left_of_steps_that_are_cut_while_theirs_starts(backend: str, cut: str) -> None:
    """At whatever moment."""
    before = children()

    async def main() -> None:
        if cut == "by a limit":
            for n in range(5):
                limited = tasks.upper.of(timeout=0.002 + 0.02 * n)
                with pytest.raises(tukio.WorkflowFailed):
                    await flow("x", limited).run({"seconds": LIMIT})
        else:
            async with tukio.Engine(registry=tasks.OWN) as engine:
                for _ in range(4):
                    await engine.start(flow("x", tasks.upper), {"seconds": LIMIT})
                await anyio.sleep(0.03)
                await engine.stop(force=True)
        assert children() == before

    run(backend, main)


@every_backend
def test_they_end_with_the_event_loop(backend: str) -> None:
    """Idle until then, they are there for the next call, of any engine."""
    before = children()

    async def main() -> None:
        pids = {(await flow("x", tasks.upper).run())["pid"] for _ in range(3)}
        assert children() - before == pids
        assert len(pids) == 1

    run(backend, main)
    assert children() == before


@every_backend
def test_one_that_was_idle_for_long_is_ended(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the next call is over."""

    async def main() -> None:
        before = children()
        async with tukio.Engine(registry=tasks.OWN) as engine:
            runs = [await engine.start(flow("x", tasks.upper), {"seconds": 0.3}) for _ in range(2)]
            for it in runs:
                await it.wait(check=True)
        assert len(children() - before) == 2
        monkeypatch.setattr("tukio.flow.processes.MOST_IDLE", 0.05)
        await anyio.sleep(0.1)
        await flow("x", tasks.upper).run()
        assert len(children() - before) == 1

    run(backend, main)


@every_backend
def test_virtual_time_waits_for_one(backend: str) -> None:
    """Its limit is in virtual time, which stands still meanwhile."""

    async def main() -> None:
        found = await flow("x", tasks.upper.of(timeout=0.01)).run({"text": "a", "seconds": 0.1})
        assert found["text"] == "A"

    run_in_virtual_time(main, backend=backend)


# The main module


TASKS = """
from dataclasses import dataclass
from tukio.flow import flow, task
{imports}

@dataclass
class Job:
    n: int

@task(process=True)
def square(job: Job) -> Job:
    return Job({power})
"""

START = """
import anyio
print(anyio.run(flow("x", square).run, Job(7)))
"""

GUARDED = '\nif __name__ == "__main__":' + START.replace("\n", "\n    ")


def of_program(*command: str, folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Execute a program, and return what it has printed."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_main_module_may_be_one_of_a_package(tmp_path: Path) -> None:
    """It is imported by its name, so it may import its neighbours."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").touch()
    (tmp_path / "package/powers.py").write_text("two = 2")
    text = TASKS.format(imports="from .powers import two", power="job.n ** two") + GUARDED
    for name in ("program", "__main__"):
        (tmp_path / f"package/{name}.py").write_text(text)
    for name in ("package.program", "package"):
        done = of_program("-m", name, folder=tmp_path)
        assert (done.stdout, done.stderr) == ("{'n': 49}\n", "")


def test_what_is_no_file_is_refused_as_main_module(tmp_path: Path) -> None:
    """When the task is made; a task of another module is none the worse."""
    text = TASKS.format(imports="", power="job.n ** 2")
    (tmp_path / "others.py").write_text(text)
    for command, given in ((("-c", text), ""), ((), text)):
        done = of_program(*command, folder=tmp_path, given=given)
        assert (
            "a process cannot find __main__.square, for the main module is no file" in done.stderr
        )
    done = of_program("-c", "from others import *" + START, folder=tmp_path)
    assert (done.stdout, done.stderr) == ("{'n': 49}\n", "")


def test_a_main_module_that_starts_itself_is_told_so(tmp_path: Path) -> None:
    """It would start processes without end."""
    (tmp_path / "program.py").write_text(TASKS.format(imports="", power="job.n ** 2") + START)
    done = of_program("program.py", folder=tmp_path)
    assert done.returncode == 1
    assert "put what starts anything below if __name__ == '__main__'" in done.stderr
