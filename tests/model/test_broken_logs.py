"""What logging itself raises holds up nobody, unless it ends the program."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support.flow import flow
from tukio._model.guard import program_end
from tukio._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

ERRORS: dict[str, Callable[[], BaseException]] = {
    "error": ValueError,
    "cancelled": asyncio.CancelledError,
    "recursion": RecursionError,
    "exit of a generator": GeneratorExit,
    "another": type("Another", (BaseException,), {}),
    "group": lambda: BaseExceptionGroup("x", [asyncio.CancelledError()]),
}
ENDS: dict[str, Callable[[], BaseException]] = {
    "interrupt": KeyboardInterrupt,
    "exit": SystemExit,
    "group": lambda: BaseExceptionGroup("x", [ValueError(), SystemExit()]),
}


@pytest.fixture(params=["filter", "handler", "makeRecord", "isEnabledFor"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that makes one part of logging raise an error."""
    names = ("tukio.broker", "tukio.run", "tukio.engine", "tukio.tried")
    loggers = [logging.getLogger(name) for name in names]

    def fail_with(make: Callable[[], BaseException]) -> None:
        def fail(*args: Any, **kwargs: Any) -> Any:
            raise make()

        handler = logging.Handler()
        handler.handle = fail  # type: ignore[method-assign]
        for logger in loggers:
            match request.param:
                case "filter":
                    monkeypatch.setattr(logger, "filters", [fail])
                case "handler":
                    monkeypatch.setattr(logger, "handlers", [handler])
                case method:
                    monkeypatch.setattr(logger, method, fail)

    return fail_with


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
def test_what_logging_raises_is_counted(make: Any, broken: Any) -> None:
    """Whoever logs goes on."""
    log = Log("tukio.tried")
    broken(make)
    for _ in range(2):
        log.warning("%s", 1)
    assert log.lost == 2


@pytest.mark.parametrize("make", ENDS.values(), ids=ENDS)
def test_what_ends_the_program_ends_it_though_a_message_was_logged(make: Any, broken: Any) -> None:
    """It is not logging's own."""
    log = Log("tukio.tried")
    broken(make)
    with pytest.raises(type(make())):
        log.warning("%s", 1)


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
async def test_what_logging_raises_holds_up_nobody(task: Tasks, make: Any, broken: Any) -> None:
    """The run ends as it would, the other handlers get their events, and the block is left."""

    @task
    async def fail(event: tukio.Event) -> None:
        raise ValueError

    got: list[str] = []

    def fails(event: tukio.Event) -> None:
        raise ValueError

    async def fails_later(event: tukio.Event) -> None:
        raise ValueError

    async with tukio.Engine() as engine:
        for handler in (fails, fails_later):
            engine.broker.register(handler, tukio.EXEC_TOPIC)
        engine.broker.register(lambda event: got.append(event.data["type"]), tukio.EXEC_TOPIC)
        broken(make)
        run: Any = await engine.run_once(flow("fail", on_error="abort"), {})
        assert await run.wait() is tukio.FutureState.exception
        assert list(run.errors) == ["fail"]
    assert got == ["workflow-begin", "task-begin", "task-error", "workflow-error"]


def test_a_record_tells_who_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Where it is in the source, with the exception and the fields."""
    error = ValueError("x")
    try:
        raise error
    except ValueError:
        Log("tukio.tried").exception("%s of %d", "a\n", 3, extra={"tukio_run": "b\n"}, stack="c")
    [record] = caplog.records
    assert record.getMessage() == "a\\n of 3"
    assert record.funcName == "test_a_record_tells_who_logs"
    assert record.pathname == __file__
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert (record.stack_info, record.__dict__["tukio_run"]) == ("c", "b\\n")


@pytest.mark.parametrize("error", ERRORS)
def test_nobody_wants_what_a_broken_logger_cannot_tell_of(
    error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question about the level raises nothing, either."""
    log, made = Log("tukio.asked"), ERRORS[error]()

    def fail(level: int) -> bool:
        raise made

    monkeypatch.setattr(log, "known", {})
    assert log.tells(logging.ERROR)
    monkeypatch.setattr(logging.getLogger("tukio.asked"), "isEnabledFor", fail)
    assert not log.tells(logging.ERROR)


@pytest.mark.parametrize("ending", ENDS)
def test_a_broken_logger_may_end_the_program(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As anything of users may."""
    log, made = Log("tukio.asked"), ENDS[ending]()

    def fail(level: int) -> bool:
        raise made

    monkeypatch.setattr(log, "known", {})
    monkeypatch.setattr(logging.getLogger("tukio.asked"), "isEnabledFor", fail)
    with pytest.raises(BaseException) as caught:
        log.tells(logging.ERROR)
    assert program_end(caught.value) is not None
