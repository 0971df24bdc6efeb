"""A workflow and its tests, as someone writes them who uses tukio; `test_suite.py` runs them.

Their `conftest.py` asks for the plugin: `pytest_plugins = ["tukio.testing.plugin"]`.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import tukio
from tukio.testing import (
    Timeline,
    cancel_everywhere,
    fail_everywhere,
    registered,
    rescue_everywhere,
)

WEEK = 7 * 24 * 3600

TRIAL = {
    "id": "trial",
    "policy": "start-new",
    "tasks": [
        {"id": "welcome", "name": "trial.mail", "config": {"text": "Welcome"}},
        {"id": "week", "name": "trial.week"},
        {"id": "charge", "name": "trial.charge", "timeout": 30},
        {"id": "receipt", "name": "trial.mail", "config": {"text": "Thank you"}},
    ],
    "graph": {"welcome": ["week"], "week": ["charge"], "charge": ["receipt"]},
}


class Mail(tukio.TaskHolder):
    """Sends the text of its config."""

    async def execute(self, event: tukio.Event) -> None:
        """Take a second."""
        await anyio.sleep(1)


async def week(event: tukio.Event) -> None:
    """Let a week go by."""
    await anyio.sleep(WEEK)


async def charge(event: tukio.Event) -> dict[str, Any]:
    """Stand for what the program does in earnest."""
    raise RuntimeError("no test may come here")


async def charged(event: tukio.Event) -> dict[str, Any]:
    """Take the place of `charge`."""
    await anyio.sleep(2)
    return {**event.data, "paid": 9}


async def never_answers(event: tukio.Event) -> None:
    """Take the place of `charge`, as a bank does that is down."""
    await anyio.sleep_forever()


pytestmark = pytest.mark.virtual_time

TASKS: dict[str, Any] = {"trial.mail": Mail, "trial.week": week, "trial.charge": charge}
trial_tasks = registered(TASKS)
paid = registered({"trial.charge": charged})


async def start(engine: tukio.Engine) -> tukio.Workflow:
    """Start a trial."""
    return await engine.start(TRIAL, {"client": "Ada"})


@trial_tasks
@paid
async def test_a_week_later_the_client_is_charged() -> None:
    """It takes a millisecond, and has to the second what a week has."""
    async with tukio.Engine() as engine:
        trial = await start(engine)
        await trial.wait(check=True)
    assert trial.outputs["charge"] == {"client": "Ada", "paid": 9}
    assert anyio.current_time() == 1 + WEEK + 2 + 1


@trial_tasks
@paid
async def test_who_cancels_in_time_is_not_charged() -> None:
    """On the last day, too."""
    async with tukio.Engine() as engine:
        trial = await start(engine)
        await anyio.sleep(WEEK)
        trial.cancel("the client has left")
        with pytest.raises(tukio.WorkflowCancelled, match="the client has left"):
            await trial.wait(check=True)
    assert "charge" not in trial.outputs


@trial_tasks
@registered({"trial.charge": never_answers})
async def test_a_bank_that_is_down_is_told() -> None:
    """After half a minute; nobody has paid."""
    async with tukio.Engine() as engine:
        trial = await start(engine)
        with pytest.raises(tukio.WorkflowFailed) as failure:
            await trial.wait(check=True)
    assert str(failure.value.exceptions[0]) == "task 'charge' has reached its time limit of 30 s"
    assert "paid" not in trial.outputs["charge"]


@trial_tasks
@paid
async def test_wherever_it_is_cut_nobody_gets_a_receipt_for_nothing() -> None:
    """Cancelled, or failing, at each of its points; nothing is left behind."""

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        if "task-begin receipt" in timeline.kinds():
            assert run.outputs["charge"]["paid"] == 9

    assert await cancel_everywhere(start, check) == 18
    assert await fail_everywhere(start, check) == 8


@trial_tasks
@paid
async def test_wherever_it_crashes_it_goes_on() -> None:
    """From its report, with the outcome of one that was left alone."""
    assert await rescue_everywhere(start) == 10


@pytest.mark.virtual_time(seeds=10)
@trial_tasks
@paid
async def test_many_trials_do_not_meet() -> None:
    """In ten orders of what is ready at the same time."""
    clients = ["Ada", "Bob", "Cyd"]
    async with tukio.Engine() as engine:
        trials = [await engine.start(TRIAL, {"client": client}) for client in clients]
    assert [trial.outputs["charge"]["client"] for trial in trials] == clients
