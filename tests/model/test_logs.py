"""Logs neither leak nor forge, and what logging raises holds up nobody.

What is logged is found in the source, so that a message that is added is held by this, too.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, strategies as st

import tukio
from support import leaks
from support.flow import flow
from support.hostile import NASTY
from tukio._events import subscription
from tukio._model.display import LONGEST_LOGGED, logged
from tukio._model.logs import Log
from tukio._run import driver as driver_module
from tukio._run.watchdog import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from support.flow import Tasks

ROOT = Path(tukio.__file__).parent
METHODS = {"debug", "info", "warning", "error", "exception"}
LONGEST = 1000
"""The largest number of characters of a message: some constant words, and a few names."""

SECRET = "4111-1111"  # noqa: S105 - the data of an event

# The source


def logs_of(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a logger in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in {"log", "logger", "logging"}:
                yield node


SOURCES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text())
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "_model" / "logs.py"
}
CALLS = [(name, call) for name, tree in SOURCES.items() for call in logs_of(tree)]
MESSAGES = {call.args[0].value for _, call in CALLS if isinstance(call.args[0], ast.Constant)}


@pytest.mark.parametrize("module", SOURCES)
def test_only_one_module_imports_logging(module: str) -> None:
    """All others log through it."""
    found: set[str | None] = set()
    for node in ast.walk(SOURCES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    assert "logging" not in found


def test_each_message_is_a_constant_on_one_line() -> None:
    """What varies is an argument, and so goes through `logged`; none is shown by its `repr`."""
    assert len(CALLS) > 10
    for module, call in CALLS:
        assert isinstance(call.func, ast.Attribute)
        assert call.func.attr in METHODS, module
        [message, *_] = call.args
        assert isinstance(message, ast.Constant), (module, ast.unparse(call))
        assert isinstance(message.value, str)
        assert message.value.isprintable()
        assert "%r" not in message.value
        assert {keyword.arg for keyword in call.keywords} <= {"exc_info", "extra", "stack"}


def test_each_logger_of_the_package_is_a_log() -> None:
    """Whoever logs in a module has it under the name that the search looks for."""
    using = {module for module, _ in CALLS}
    made = {
        module
        for module, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Log"
    }
    assert using == made


# What is shown


class Liar(str):
    """A text whose methods say what they like."""

    __slots__ = ()

    def __str__(self) -> str:
        return SECRET

    def __len__(self) -> int:
        return 1

    def isprintable(self) -> bool:
        """Say so, always."""
        return True


class Fails:
    """Cannot be shown, nor asked for its class."""

    def __repr__(self) -> str:
        raise asyncio.CancelledError

    __str__ = __repr__

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise asyncio.CancelledError

    def __getattr__(self, name: str) -> Any:
        raise asyncio.CancelledError


class Tells:
    """Shows an event wherever it is shown."""

    def __repr__(self) -> str:
        return f"Tells({SECRET}\n)"

    __str__ = __repr__

    def handle(self, event: tukio.Event) -> None:
        """Fail."""
        raise ValueError

    def __call__(self, event: tukio.Event) -> None:
        """Fail."""
        raise ValueError


def ring() -> Any:
    """Return a partial that is a part of itself."""
    part: Any = functools.partial(print)
    part.__setstate__((part, (), {}, {}))
    return part


HOSTILE: dict[str, Callable[[], Any]] = {
    **NASTY,
    "liar": lambda: Liar("a\nb"),
    "fails": Fails,
    "tells": Tells,
    "method": lambda: Tells().handle,
    "partial": lambda: functools.partial(Tells().handle, tukio.Event({"card": SECRET})),
    "ring": ring,
    "class": lambda: type("a\nb", (), {}),
    "of a class": type("a\nb" * 1000, (), {}),
    "event": lambda: tukio.Event({"card": SECRET}),
    "error": lambda: ValueError(SECRET),
    "data": lambda: {"card": SECRET},
    "ansi": lambda: "\x1b[31mred",
    "bidi": lambda: "\u202eevil\u2028",
    "topics": lambda: ("a\n", "b" * 10**6, {"card": SECRET}) * 1000,
}


def holds(text: str, most: int) -> None:
    """Hold that a text is one short line, and tells nothing."""
    assert len(text) <= most
    assert text.isprintable()
    assert SECRET not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_is_logged_is_one_short_line(name: str) -> None:
    """Not even what is made to do harm shows data, breaks the line or raises."""
    shown = logged(HOSTILE[name]())
    holds(str(shown), LONGEST_LOGGED)


@given(st.text(max_size=300) | st.text(st.characters(), max_size=300))
def test_any_text_is_logged_on_one_line(text: str) -> None:
    """As it is, if it is short and can be printed."""
    shown = str(logged(text))
    holds(shown, LONGEST_LOGGED)
    if text.isprintable() and len(text) <= LONGEST_LOGGED:
        assert shown == text


# Every place that logs

PLACES: dict[str, Callable[[str, Tasks, pytest.MonkeyPatch], Awaitable[None]]] = {}
"""The message -> what leads to it; given a hostile text for each id and topic."""


def leads_to(message: str) -> Callable[[Any], Any]:
    """Add what leads to a message."""
    assert message in MESSAGES

    def add(function: Any) -> Any:
        PLACES[message] = function
        return function

    return add


def named(text: str, name: str, **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one task, with ids that mean harm."""
    tasks = [{"id": text, "name": name}]
    document = {"id": text, "tasks": tasks, "graph": {text: []}, **fields}
    return tukio.WorkflowTemplate.from_dict(document)


async def started(engine: tukio.Engine, text: str, name: str, **fields: Any) -> Any:
    """Return a run whose own id means harm, too."""
    run: Any = await engine.run_once(named(text, name, **fields), {"card": SECRET})
    run._run._uid = text
    return run


@leads_to("handler %s failed on an event of %s")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    async with tukio.Engine() as engine:
        for handler in (Tells().handle, functools.partial(Tells().handle), Tells()):
            engine.broker.register(handler, text)
        await engine.data_received({"card": SECRET}, text)


async def dawdle(event: tukio.Event) -> None:
    """Take longer than any handler may."""
    await anyio.sleep(10**4)


dawdle.__qualname__ = f"dawdle\n{'x' * 10**6}"


@leads_to("handler %s is too slow: new events are dropped")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subscription, "QUEUE_SIZE", 1)
    async with tukio.Engine(cleanup_timeout=1) as engine:
        engine.broker.register(dawdle, text)
        for _ in range(3):
            await engine.data_received({"card": SECRET}, text)


@leads_to("handler %s was cut short: %d %s lost")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    async with tukio.Engine(cleanup_timeout=1) as engine:
        engine.broker.register(dawdle, text)
        await engine.data_received({"card": SECRET}, text)


@leads_to("async handler %s failed")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    async def fail(event: tukio.Event) -> None:
        raise ValueError

    fail.__qualname__ = text
    async with tukio.Engine() as engine:
        engine.broker.register(fail, text)
        await engine.data_received({"card": SECRET}, text)


@leads_to("a queue is full (%d events): the oldest are dropped")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    async with tukio.Engine() as engine, engine.subscribe(text, buffer=1):
        for _ in range(3):
            await engine.data_received({"card": SECRET}, text)


@leads_to("an alarm failed")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError

    async with tukio.Engine() as engine:
        backend = engine._binding.bound()
        backend.alarms.at(backend.time() + 1, fail)
        await anyio.sleep(2)


@leads_to("workflow %s failed")
@leads_to("task '%s' of workflow %s failed")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def fail(event: tukio.Event) -> None:
        raise ValueError

    async with tukio.Engine() as engine:
        await started(engine, text, "fail", on_error="abort")


@leads_to("task '%s' was skipped: %s")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def skip(event: tukio.Event) -> None:
        raise tukio.SkipTask(text)

    async with tukio.Engine() as engine:
        await started(engine, text, "skip")


@leads_to("cannot start a run of <%s uid=%s>")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    class Chooses:
        def select(self, topic: str | None) -> list[Any]:
            kind = type(text.encode(errors="replace").decode(), (), {"uid": text})
            return [kind(), Tells(), {"card": SECRET}]

    async with tukio.Engine(selector=Chooses()) as engine:
        assert await engine.data_received({"card": SECRET}, text) == []


@leads_to("event '%s' of a run was not told")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def told(event: tukio.Event) -> None:
        pass

    def fail(*args: Any) -> None:
        raise ValueError

    async with tukio.Engine() as engine, engine.subscribe(tukio.EXEC_TOPIC):
        run = await started(engine, text, "told")
        patch.setattr(type(engine.broker), "emit_exec_event", fail)
        run._run.emit(text, {"card": SECRET})
        patch.undo()


@leads_to("copy() of a %s %s: its items go on in a plain dict")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    def copy(self: Any) -> Any:
        raise ValueError(SECRET)

    kind = type(text.encode(errors="replace").decode(), (dict,), {"copy": copy})
    assert tukio.Event(kind(card=SECRET)).data == {"card": SECRET}


@leads_to("a %s has no id: its `uid` failed")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    class unnamed:  # noqa: N801 - it is registered under this name
        def __init__(self, config: Any = None) -> None:
            pass

        @property
        def uid(self) -> str:
            raise ValueError

        async def execute(self, event: tukio.Event) -> None:
            current: Any = tukio.current_task()
            assert current.uid

    unnamed.__qualname__ = unnamed.__name__ = text.encode(errors="replace").decode()
    async with tukio.Engine() as engine:
        await started(engine, text, "unnamed")


@leads_to("cannot resume workflow %s: it is not suspended")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def nothing(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        run = await started(engine, text, "nothing")
        assert not run.resume()


@leads_to("task '%s' of workflow %s is still running %.1f s after it was cancelled")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def stuck(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3 * PATIENCE)

    async with tukio.Engine() as engine:
        run = await started(engine, text, "stuck")
        await anyio.sleep(1)
        run.cancel()


@leads_to("workflow %s cannot go on")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    class Run:
        uid = text
        template = named(text, "join")

        def stop(self, *args: Any) -> None:
            pass

        remove_driver = stop

    run: Any = Run()
    # Else it would count as a fault of the engine.
    patch.setattr(leaks, "CANNOT_GO_ON", None)
    await driver_module._break_down(run, run, ValueError())


@leads_to("holder of task '%s' takes no queue")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    class proud:  # noqa: N801 - it is registered under this name
        __slots__ = ()

        def __init__(self, config: Any = None) -> None:
            pass

        async def execute(self, event: tukio.Event) -> None:
            pass

    async with tukio.Engine() as engine:
        await started(engine, text, "proud")


@leads_to("a done callback of task '%s' failed")
@leads_to("report() of task '%s' failed")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    class reporter(tukio.TaskHolder):  # noqa: N801 - it is registered under this name
        async def execute(self, event: tukio.Event) -> None:
            current: Any = tukio.current_task()
            current.add_done_callback(lambda _: [].pop())
            await anyio.sleep(1)

        def report(self) -> Any:
            raise ValueError

    async with tukio.Engine() as engine:
        run = await started(engine, text, "reporter")
        await anyio.sleep(0.5)
        run.report()


@leads_to("task '%s' tells of a run that is over")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def quick(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        run = await started(engine, text, "quick")
        await run.wait()
        for step in run.tasks:
            step.dispatch_progress({})


TEXTS = ["x\nCRITICAL root: forged", "\x1b[2J\u202e\u2028\ud800\r", "y" * 5000]


def test_every_message_of_the_package_is_led_to() -> None:
    """A message that is added brings what leads to it."""
    assert PLACES.keys() == MESSAGES


@pytest.mark.parametrize("text", TEXTS, ids=["line", "terminal", "long"])
@pytest.mark.parametrize("message", PLACES)
async def test_no_place_that_logs_leaks_or_forges(
    message: str,
    text: str,
    task: Tasks,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the ids, topics and names are: one short line, without data; so are the fields."""
    caplog.set_level(logging.DEBUG, "tukio")
    await PLACES[message](text, task, monkeypatch)
    records = [record for record in caplog.records if record.name.startswith("tukio")]
    assert message in {record.msg for record in records}
    for record in records:
        assert record.msg in MESSAGES
        holds(record.getMessage(), LONGEST)
        for name in ("tukio_run", "tukio_template", "tukio_task"):
            holds(str(getattr(record, name, "")), LONGEST_LOGGED)
        assert record.funcName not in METHODS


# What logging raises

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
