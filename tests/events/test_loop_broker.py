"""A handler of the loop's broker that an entered engine does not serve is named."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support.flow import flow
from tukio.broker import get_broker

if TYPE_CHECKING:
    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")


def hears(event: tukio.Event) -> None:
    """Hear something."""


def hears_too(event: tukio.Event) -> None:
    """Hear something."""


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was told of handlers."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "tukio.broker" and record.levelno == logging.WARNING
    ]


async def test_f1_a_handler_that_was_registered_before_the_block_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As code of 1.x does it, which then hears nothing; once, and with what to do instead."""
    get_broker().register(hears, tukio.EXEC_TOPIC)
    for _ in range(2):
        async with tukio.Engine():
            pass
    [text] = told(caplog)
    assert f"{hears.__module__}.hears listens to the broker of the event loop" in text
    assert "engine.broker.register(...)" in text


@pytest.mark.parametrize("entered", [False, True])
async def test_f1_so_is_one_that_is_registered_while_an_engine_is_entered(
    caplog: pytest.LogCaptureFixture, *, entered: bool
) -> None:
    """From outside of its block, or by the loop: within, `get_broker()` is the engine's own."""
    loop = asyncio.get_running_loop()
    async with tukio.Engine() as engine:
        assert get_broker() is engine.broker
        get_broker().register(hears, "a")
        assert told(caplog) == []
        if entered:
            get_broker(loop).register(hears, "a")
            get_broker(loop).register(hears_too, "b")
    if not entered:
        get_broker(loop).register(hears, "a")
    assert len(told(caplog)) == entered


async def test_f1_handlers_that_hear_of_a_loose_engine_are_not_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They may be meant for that one."""
    loose = tukio.Engine()
    await loose.data_received({}, "a")
    loose.broker.register(hears, "a")
    async with tukio.Engine():
        get_broker(asyncio.get_running_loop()).register(hears_too, "b")
    await loose.stop()
    assert told(caplog) == []


async def test_f1_handlers_that_hear_of_a_workflow_without_an_engine_are_not_named(
    caplog: pytest.LogCaptureFixture, task: Tasks
) -> None:
    """As of a loose engine."""

    @task
    async def quick(event: tukio.Event) -> None:
        pass

    run: Any = tukio.Workflow(flow("quick"))
    get_broker().register(hears, "a")
    async with tukio.Engine():
        pass
    run.run({})
    await run.wait()
    assert told(caplog) == []


async def test_f1_a_handler_that_was_unregistered_is_not_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is none that would wait in vain."""
    get_broker().register(hears, "a")
    get_broker().unregister(hears, "a")
    async with tukio.Engine():
        pass
    assert told(caplog) == []


async def test_an_engine_that_could_not_be_entered_counts_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is left of it."""
    task: Any = asyncio.current_task()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with tukio.Engine():
            await asyncio.sleep(1)
    task.uncancel()
    get_broker().register(hears, "a")
    assert told(caplog) == []
