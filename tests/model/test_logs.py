"""Logs neither leak nor forge.

What is logged is found in the source, so that a message that is added is held by this, too.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, strategies as st

import tukio
from support import lookouts
from support.hostile_texts import HOSTILE, SECRET, Tells
from support.log_calls import MESSAGES, METHODS
from support.pages import fields_of_messages
from tukio._events import subscription
from tukio._events.loop_broker import enter, loop_broker
from tukio._loop.roots import Roots
from tukio._model.display import LONGEST_LOGGED, logged
from tukio._run import driver as driver_module, holding
from tukio._run.watchdog import PATIENCE
from tukio.testing import faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

LONGEST = 1000
"""The largest number of characters of a message: some constant words, and a few names."""


# What is shown


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


def test_a_function_is_logged_by_its_name_however_often_it_is_wrapped() -> None:
    """Its arguments are data. What is a part of itself has no name but that of its class."""
    wrapped: Any = anyio.sleep
    for _ in range(3):
        wrapped = functools.partial(wrapped, SECRET)
        # Else the next one would take its place.
        wrapped.note = "mine"
    assert logged(wrapped) == f"{anyio.sleep.__module__}.sleep"
    wrapped.__setstate__((wrapped, (), {}, None))
    assert logged(wrapped) == "<a partial>"


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


def of(part: str) -> str:
    """Return the message with some words in it."""
    [message] = [text for text in map(str, MESSAGES) if part in text]
    return message


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


async def works(event: tukio.Event) -> None:
    """Do nothing."""


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


@leads_to(of("listens to the broker of the event loop"))
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    def hears(event: tukio.Event) -> None:
        pass

    hears.__qualname__ = text
    # On trio there is none; this one is of a loop that never runs.
    loop = asyncio.new_event_loop()
    enter(loop)
    broker = loop_broker(loop)
    patch.setattr(broker, "_check", lambda: None)
    broker.register(hears, text)
    loop.close()


@leads_to("handler %s was cut short: %d %s lost")
@leads_to("handler %s is too slow: new events are dropped")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subscription, "QUEUE_SIZE", 1)
    async with tukio.Engine(cleanup_timeout=1) as engine:
        engine.broker.register(dawdle, text)
        for _ in range(3):
            await engine.data_received({"card": SECRET}, text)


@leads_to("async handler %s failed")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    async def fail(event: tukio.Event) -> None:
        raise ValueError

    fail.__qualname__ = text
    async with tukio.Engine() as engine:
        engine.broker.register(fail, text)
        await engine.data_received({"card": SECRET}, text)


@leads_to(of("has left a cancel scope"))
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    async def leaves(event: tukio.Event) -> None:
        await anyio.lowlevel.cancel_shielded_checkpoint()
        anyio.CancelScope().__enter__()

    leaves.__qualname__ = text
    async with tukio.Engine() as engine:
        engine.broker.register(leaves, text)
        await engine.data_received({"card": SECRET}, text)


@leads_to(of("nobody listens to topic"))
@leads_to(of("data without a topic has started nothing"))
@leads_to(of("was not started"))
@leads_to("run %s of workflow %s %s")
@leads_to("run %s of workflow %s is over: %s")
@leads_to(of("leaving the engine waits"))
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def works(event: tukio.Event) -> None:
        await anyio.sleep(20)

    async with tukio.Engine() as engine:
        for topic in (text, None):
            await engine.data_received({"card": SECRET}, topic)
        await engine.load(named(text, "works", topics=[text]))
        for _ in range(2):
            await engine.data_received({"card": SECRET}, text)


@leads_to(of("is started by its own runs"))
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    tasks = [{"id": text, "name": "trigger", "config": {"template": text}}]
    async with tukio.Engine() as engine:
        await engine.load(named(text, "trigger", tasks=tasks, policy="start-new"))
        await engine.start(text, {"card": SECRET})
        await engine._instances.drained()


@leads_to("tap %s failed on '%s'")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    def tap(*args: Any) -> None:
        raise LookupError

    task(works)
    tap.__qualname__ = text
    async with tukio.Engine() as engine:
        engine.tap(tap)
        await started(engine, text, "works")


@leads_to(of("runs are cut short"))
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    task(works)
    async with tukio.Engine() as engine:
        run = await started(engine, text, "works")
        Roots(lambda function: function()).cut_short(run._run)


@leads_to("workflow %s, %s: %s - %s%s")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    task(works)
    tasks = [{"id": uid, "name": "works"} for uid in (text, "b", "c")]
    async with tukio.Engine() as engine:
        await engine.load({"id": text, "tasks": tasks, "graph": {text: ["b", "c"], "b": ["c"]}})


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


@leads_to("attempt %s of task '%s' of workflow %s failed, the next one begins in %.3f s")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def fails(event: tukio.Event) -> None:
        raise LookupError

    template = named(text, "fails")
    template.tasks[0].retry = {"attempts": 2}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()


@leads_to("task '%s' cannot be retried")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def fails(event: tukio.Event) -> None:
        raise LookupError

    def delay(*args: Any) -> None:
        raise ValueError

    patch.setattr(tukio.Retry, "delay", delay)
    template = named(text, "fails")
    template.tasks[0].retry = {"attempts": 2}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()


@leads_to("task '%s' of workflow %s was not begun")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    @task
    async def sleeps(event: tukio.Event) -> None:
        await anyio.sleep(2)

    template = named(text, "sleeps")
    template.finally_ = [{"name": "sleeps", "id": "first"}, {"name": "sleeps", "id": text + "!"}]
    template.closing_timeout = 1
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()


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


@leads_to(of("has held the event loop"))
@leads_to(of("has let go of the event loop"))
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    lookouts.hurry(patch)
    told = lookouts.Told(patch)

    def hears(event: tukio.Event) -> None:
        lookouts.hold_until(lambda: len(told.warnings) == 2)

    @task
    async def holds(event: tukio.Event) -> None:
        lookouts.hold_until(lambda: told.warnings)
        await lookouts.turns_until(lambda: told.ends)

    hears.__qualname__ = text
    async with tukio.Engine() as engine:
        run = await started(engine, text, "holds")
        await run.wait()
        engine.broker.register(hears, text)
        await engine.data_received({"card": SECRET}, text)


@leads_to(of("nobody looks any more"))
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise ValueError

    lookouts.hurry(patch)
    patch.setattr(holding.LOOKOUT, "_search", fail)
    async with tukio.Engine():
        await lookouts.turns_until(lambda: not lookouts.threads())


@leads_to("workflow %s cannot go on")
async def _(text: str, task: Tasks, patch: pytest.MonkeyPatch) -> None:
    class Run:
        uid = text
        template = named(text, "join")
        unclean = False

        def stop(self, *args: Any) -> None:
            pass

        remove_driver = stop

    run: Any = Run()
    # Else it would count as a fault of the engine.
    patch.setattr(faults, "CANNOT_GO_ON", None)
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


FIELDS = {"tukio_run", "tukio_template", "tukio_task"}
ON_THE_PAGE = fields_of_messages()

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
        found = {name for name in FIELDS if hasattr(record, name)}
        for name in found:
            holds(str(getattr(record, name)), LONGEST_LOGGED)
        always, perhaps = ON_THE_PAGE.get(record.msg, (found, found))
        assert always <= found <= perhaps, record.msg
        assert record.funcName not in METHODS
