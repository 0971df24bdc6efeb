"""A nightly job, described by a file: it shows its progress, and leaves a report and an exit code.

The document is what `yaml.safe_load` or `json.load` returns. A shell would run it like this:

    sys.exit(anyio.run(nightly, document, "2026-03-01", print, path.write_text))
"""

from __future__ import annotations

import copy
from datetime import date
from typing import TYPE_CHECKING, Any

import anyio

import tukio
from tukio.task import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT: dict[str, Any] = {
    "id": "nightly",
    "title": "Orders of a day",
    "timeout": 3600,
    "on_error": "abort",
    "tasks": [
        {"id": "day", "name": "etl.day"},
        {"id": "orders", "name": "etl.extract", "config": {"table": "orders"}, "timeout": 600},
        {"id": "clients", "name": "etl.extract", "config": {"table": "clients"}, "timeout": 600},
        {"id": "sums", "name": "etl.sums", "join": "all"},
        {"id": "load", "name": "etl.load"},
    ],
    "graph": {
        "day": ["orders", "clients"],
        "orders": ["sums"],
        "clients": ["sums"],
        "sums": ["load"],
    },
}

TABLES: dict[str, list[dict[str, Any]]] = {
    "orders": [{"client": 1, "price": 30}, {"client": 2, "price": 5}, {"client": 1, "price": 7}],
    "clients": [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}],
}

OK, FAILED, FAULTY = range(3)
"""The exit codes."""

registry = Registry()


@registry.task("etl.day")
async def day(event: tukio.Event) -> dict[str, Any]:
    """Read the day."""
    return {"day": date.fromisoformat(event.data["day"])}


@registry.task("etl.extract")
class Extract(tukio.TaskHolder):
    """Reads a table, whose name is in the config of the task."""

    async def execute(self, event: tukio.Event) -> dict[str, Any]:
        """Take a minute for each row, and tell how far it has come."""
        table, rows = self.config["table"], list[dict[str, Any]]()
        for row in TABLES[table]:
            await anyio.sleep(60)
            rows.append(row)
            tukio.current_task().dispatch_progress({"rows": len(rows)})
        return {table: rows}


@registry.task("etl.sums")
async def sums(event: tukio.Event) -> dict[str, Any]:
    """Add up the orders of each client."""
    names = {client["id"]: client["name"] for client in event.data["clients"]}
    found = dict.fromkeys(names.values(), 0)
    for order in event.data["orders"]:
        found[names[order["client"]]] += order["price"]
    return {"sums": found}


@registry.task("etl.load")
async def load(event: tukio.Event) -> dict[str, int]:
    """Count what would go into a database."""
    return {"loaded": len(event.data["sums"])}


async def nightly(
    document: dict[str, Any],
    day: str,
    tell: Callable[[str], object],
    keep: Callable[[str], object],
) -> int:
    """Run the job, and return its exit code.

    Args:
        document: The template.
        day: The day, as in 2026-03-01.
        tell: Called with each line of progress.
        keep: Called with the report, a text, when the run is over.
    """
    try:
        async with tukio.Engine(registry=registry) as engine:
            run = await engine.start(document, {"day": day}, id=f"nightly-{day}")
            async for event in run.events():
                tell(line_of(event))
    except tukio.TemplateError as error:
        tell(str(error))
        return FAULTY
    keep(tukio.report_to_json(run.report()))
    return OK if run.ok else FAILED


def line_of(event: tukio.Event) -> str:
    """Return an event in one line."""
    assert event.source is not None
    who = event.source.task_template_id or event.source.workflow_template_id
    return f"{event.time:%H:%M} {who} {event.data['type']}"


async def done(document: dict[str, Any], day: str) -> tuple[int, list[str], list[str]]:
    """Run the job; return the exit code, what it has told, and the report if there is one."""
    told, kept = list[str](), list[str]()
    return await nightly(document, day, told.append, kept.append), told, kept


async def test_a_night_goes_well() -> None:
    """The report has what each task was given and has returned, dates too."""
    code, told, [text] = await done(DOCUMENT, "2026-03-01")
    assert code == OK
    assert anyio.current_time() == 3 * 60
    assert [line[6:] for line in told].count("orders task-progress") == 3
    assert [line[6:] for line in told[-2:]] == ["load task-end", "nightly workflow-end"]
    report = tukio.report_from_json(text)
    assert report["exec"]["id"] == "nightly-2026-03-01"
    steps = {task["id"]: task["exec"] for task in report["tasks"]}
    assert steps["orders"]["inputs"] == {"day": date(2026, 3, 1)}
    assert steps["sums"]["outputs"] == {"sums": {"Ada": 37, "Bob": 5}}
    assert steps["load"]["outputs"] == {"loaded": 2}


async def test_a_failure_is_an_exit_code() -> None:
    """What follows is not run, and what is beside it is cancelled; the report says what failed."""
    document = copy.deepcopy(DOCUMENT)
    document["tasks"][2]["config"]["table"] = "customers"
    code, told, [text] = await done(document, "2026-03-01")
    assert code == FAILED
    assert [line[6:] for line in told[-3:]] == [
        "clients task-error",
        "orders task-cancel",
        "nightly workflow-error",
    ]
    steps = {task["id"]: task["exec"] for task in tukio.report_from_json(text)["tasks"]}
    assert steps["clients"]["error"]["type"] == "KeyError"
    assert steps["sums"] is None


async def test_a_limit_is_an_exit_code() -> None:
    """A task that has reached its limit is followed all the same, here by one that misses rows."""
    document = copy.deepcopy(DOCUMENT)
    document["tasks"][1]["timeout"] = 90
    code, _, [text] = await done(document, "2026-03-01")
    assert code == FAILED
    steps = {task["id"]: task["exec"] for task in tukio.report_from_json(text)["tasks"]}
    assert steps["orders"]["state"] == "timeout"
    assert steps["sums"]["error"]["message"] == "'orders'"


async def test_a_template_with_faults_starts_nothing() -> None:
    """All of them are told, each with its place."""
    document = copy.deepcopy(DOCUMENT)
    document["tasks"][1]["timeout"] = "10 min"
    document["tasks"][4]["name"] = "etl.loads"
    document["graph"]["sums"] = ["loads"]
    code, [told], kept = await done(document, "2026-03-01")
    assert (code, kept) == (FAULTY, [])
    assert told.splitlines() == [
        "3 faults in the template:",
        (
            "  tasks[1].timeout: must be a number of seconds or null, not str '10 min';"
            " null or 0 is no limit"
        ),
        "  graph.sums[0]: unknown task 'loads'; did you mean 'load'?",
        "  tasks[4].name: no task is registered as 'etl.loads'; did you mean 'etl.load'?",
    ]
