"""Reports that tukio 1.1.2 wrote go on here.

They are recorded from it; a recording has a word in place of each time.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tukio

if TYPE_CHECKING:
    from support.flow import Tasks

RECORDINGS = Path(__file__).parent.parent / "recorded" / "recordings"
BEGUN = datetime(2019, 11, 29, 9, tzinfo=UTC)


def with_times(report: Any) -> Any:
    """Return a report with a time in place of each word, the later the further down."""
    executions = [report["exec"], *(task["exec"] for task in report["tasks"] if task["exec"])]
    for number, execution in enumerate(executions):
        for key in ("start", "end"):
            if execution[key] is not None:
                execution[key] = BEGUN + timedelta(seconds=number)
    return report


def recorded(name: str) -> Any:
    """Return the report that a scenario took while its run was not over."""
    [report] = json.loads((RECORDINGS / f"{name}.json").read_text())["notes"]["report"]
    return with_times(report)


@pytest.mark.parametrize("through_json", [False, True])
@pytest.mark.parametrize("name", ["ends_report_while_running", "ends_suspended_report"])
async def test_a_report_of_1_1_2_is_rescued(name: str, through_json: bool, task: Tasks) -> None:
    """What was over then is not run again; what was at work is, with the data that it had."""
    ran: dict[str, Any] = {}

    @task
    async def add(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        ran[uid] = dict(event.data)
        return {**event.data, uid: "done"}

    tukio.register("Pause")(add)
    report = recorded(name)
    template = tukio.WorkflowTemplate.from_dict(report)
    if through_json:
        report = tukio.report_from_json(tukio.report_to_json(report))
    try:
        async with tukio.Engine() as engine:
            run = await engine.rescue(template, report)
            await run.wait(check=True)
    finally:
        tukio.TaskRegistry.remove("Pause")

    assert "a" not in ran
    assert ran["b"] == {"start": 0, "a": "done"}
    assert run.ok
    assert run.uid == report["exec"]["id"]
