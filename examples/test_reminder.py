"""Test a workflow that takes a week, in virtual time on every backend.

$ python -m pytest -q -p tukio.testing.plugin examples/test_reminder.py
......                                                                   [100%]
6 passed in 2.31s
"""

from __future__ import annotations

import anyio
import pytest

import tukio
from tukio.testing import cancel_everywhere

DAY = 24 * 3600
MAILS: list[str] = []


@tukio.register
async def remind(event: tukio.Event) -> None:
    """Write to somebody after three days, and again after a week."""
    for days in (3, 4):
        await anyio.sleep(days * DAY)
        MAILS.append(event.data["to"])


TEMPLATE = {"id": "reminder", "tasks": [{"id": "remind", "name": "remind", "timeout": 8 * DAY}]}


async def start(engine: tukio.Engine) -> tukio.Workflow:
    """Start the workflow."""
    return await engine.start(TEMPLATE, {"to": "ann@example.com"})


@pytest.mark.virtual_time
async def test_two_mails_are_written_within_a_week() -> None:
    """A day lasts as long as it takes to set the clock; times are compared with `==`."""
    MAILS.clear()
    async with tukio.Engine() as engine:
        run = await start(engine)
        await anyio.sleep(3.5 * DAY)
        assert MAILS == ["ann@example.com"]
        await run.wait(check=True)
    assert MAILS == ["ann@example.com"] * 2
    assert anyio.current_time() == 7 * DAY


@pytest.mark.virtual_time
async def test_it_can_be_cancelled_at_every_point() -> None:
    """At its begin, at each `await` of its task, and at each of its events."""
    assert await cancel_everywhere(start) > 0
