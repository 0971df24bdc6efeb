"""What a task raises in its process, and what is told of a process that dies.

On the real clock, as processes do not live in virtual time.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support import process_tasks as tasks
from support.real_time import LIMIT, run
from tukio.errors import ProcessFailed
from tukio.flow import flow, worker
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from tukio.flow import Task

every_backend = pytest.mark.parametrize("backend", BACKENDS)

PLACE = "support.process_tasks"


async def error_of(made: Task[Any, Any, Any], text: str = "", **keys: Any) -> Any:
    """Run a task that fails, and return its error."""
    with pytest.raises(tukio.WorkflowFailed) as caught:
        await flow("x", made).run({"text": text, **keys})
    [error] = caught.value.exceptions
    return error


LOST = {
    "picky": "Picky: 7: the real reason",
    "forgetful": "Forgetful: the real reason",
    "held": "ValueError: the real reason",
    "exit": "SystemExit: 3",
    "interrupt": "KeyboardInterrupt: ",
    "closed": "GeneratorExit: by whom",
}


@every_backend
def test_what_cannot_be_raised_here_is_told_of(backend: str) -> None:
    """The task has failed, and nothing but the task; the process is there for the next call."""

    async def main() -> None:
        before = await flow("x", tasks.upper).run()
        for raised, reason in LOST.items():
            error = await error_of(tasks.raises, raised)
            assert type(error) is ProcessFailed
            assert error.args == (f"{PLACE}.raises", reason, None)
            [note] = error.__notes__
            assert note.startswith("In its process:\nTraceback")
            assert "    raise error" in note
        assert (await flow("x", tasks.upper).run())["pid"] == before["pid"]

    run(backend, main)


@every_backend
def test_what_can_be_raised_here_has_its_traceback(backend: str) -> None:
    """It is raised as it is, with a note; so a task may skip itself."""

    async def main() -> None:
        error = await error_of(tasks.raises, "lookup")
        assert repr(error) == "LookupError('the real reason')"
        [note] = error.__notes__
        assert "process_tasks.py" in note
        assert "worker.py" not in note
        async with tukio.Engine(registry=tasks.OWN) as engine:
            it = await engine.start(flow("x", tasks.raises), {"text": "skip"})
            await it.wait(check=True)
        [step] = it.tasks
        assert step.state is tukio.FutureState.skipped

    run(backend, main)


@every_backend
def test_what_it_returns_must_come_through(backend: str) -> None:
    """What cannot be pickled is an error of the task, and so is what cannot be unpickled."""

    async def main() -> None:
        assert "<lambda>" in str(await error_of(tasks.returns))
        error = await error_of(tasks.returns, "stuck")
        assert type(error) is ProcessFailed
        assert error.reason.startswith("what it has returned cannot be unpickled here: LookupError")

    run(backend, main)


@every_backend
def test_a_process_that_dies_is_named(backend: str) -> None:
    """With its exit code; the next call has another one."""

    async def main() -> None:
        for made, text, reason, code in (
            (tasks.dies, "", "the process has ended with exit code 3", 3),
            (tasks.signalled, "SIGKILL", "the process was killed by SIGKILL", -signal.SIGKILL),
            (tasks.closes_all, "", "the process has ended with exit code 1", 1),
        ):
            error = await error_of(made, text)
            assert type(error) is ProcessFailed
            assert error.args == (f"{PLACE}.{made.function.__name__}", reason, code)
        assert (await flow("x", tasks.upper).run({"text": "a"}))["text"] == "A"

    run(backend, main)


@every_backend
def test_a_process_that_has_closed_all_and_goes_on_is_killed(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would ever come of it."""
    monkeypatch.setattr("tukio.flow.processes.LAST_WAIT", 0.02)

    async def main() -> None:
        error = await error_of(tasks.closes_all, seconds=LIMIT)
        assert error.exit_code == -signal.SIGKILL

    run(backend, main)


@every_backend
def test_an_answer_that_nobody_asked_for_is_nobody_s(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is killed, or each call would get the result of the one before."""
    send = worker.send

    def one_before(pipe: Any, number: int, call: bytes) -> None:
        send(pipe, number - 1, call)

    async def main() -> None:
        before = (await flow("x", tasks.upper).run())["pid"]
        with monkeypatch.context() as patch:
            patch.setattr(worker, "send", one_before)
            error = await error_of(tasks.upper, "a")
        assert error.reason == "the process has answered what it was not asked"
        after = await flow("x", tasks.upper).run({"text": "b"})
        assert after["text"] == "B"
        assert after["pid"] != before

    run(backend, main)


@every_backend
def test_no_process_can_be_started(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the error of the task."""

    async def main() -> None:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        assert isinstance(await error_of(tasks.upper), FileNotFoundError)

    run(backend, main)
