"""A service written for tukio 1.x, which runs as it is: holders, topics, a database, suspension.

Nothing here is from 2.0 but the registration, which is undone after each test.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tukio import EXEC_TOPIC, Engine, Workflow, WorkflowTemplate, get_broker
from tukio.task import TaskHolder
from tukio.testing import registered
from tukio.utils import FutureState
from tukio.workflow import WorkflowExecState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tukio import Event

pytestmark = pytest.mark.backends("asyncio", "uvloop")


class Contact(TaskHolder):
    """Sends the message of its config to a client, and waits for the answer."""

    async def execute(self, event: Event) -> dict[str, Any]:
        """Return the data with the answer."""
        self.task: Any = asyncio.current_task()
        self.client = event.data["client"]
        self.state = "waiting"
        self.task.dispatch_progress({"sent": self.config["message"]}, "contact-progress")
        assert self.queue is not None
        while True:
            answer = await self.queue.get()
            if answer.data["from"] == self.client:
                self.state = "answered"
                return {**event.data, "answer": answer.data["text"]}

    def report(self) -> dict[str, Any]:
        """Return what the report of the workflow is to have."""
        return {"client": self.client, "state": self.state}

    def teardown(self) -> dict[str, Any]:
        """Tell why there is no answer."""
        self.state = "nobody there" if self.task.timed_out else "given up"
        return {"client": self.client, "answer": None}


class Choose(TaskHolder):
    """Leads to the task that its config names for the answer."""

    async def execute(self, event: Event) -> None:
        """Pass the data on."""
        chosen = self.config["rules"].get(event.data["answer"], self.config["else"])
        workflow = Workflow.current_workflow()
        assert workflow is not None
        workflow.set_next_tasks([chosen])


async def file(event: Event) -> None:
    """File what comes to it."""


@pytest.fixture(autouse=True)
def tasks() -> Iterator[None]:
    """Register the tasks; 1.x has `@register("contact", "execute")` above the class."""
    with registered(contact=(Contact, "execute"), choose=(Choose, "execute"), file=file):
        yield


SURVEY = {
    "id": "survey",
    "policy": "start-new",
    "topics": ["clients"],
    "tasks": [
        {
            "id": "contact",
            "name": "contact",
            "config": {"message": "Do you like it?"},
            "topics": ["answers"],
            "timeout": 60,
        },
        {"id": "choose", "name": "choose", "config": {"rules": {"yes": "order"}, "else": "close"}},
        {"id": "order", "name": "file"},
        {"id": "close", "name": "file"},
    ],
    "graph": {"contact": ["choose"], "choose": ["order", "close"]},
}


class Database:
    """Holds the templates in place of the engine; each is made from its row at each event."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = {row["id"]: row for row in rows}

    async def get(self, template_id: str) -> WorkflowTemplate | None:
        """Return the template with an id, if there is one."""
        await asyncio.sleep(0.01)
        row = self.rows.get(template_id)
        return None if row is None else WorkflowTemplate.from_dict(row)

    async def select(self, topic: str | None = None) -> list[WorkflowTemplate]:
        """Return the templates that data of a topic trigger."""
        await asyncio.sleep(0.01)
        rows = [row for row in self.rows.values() if topic in row["topics"]]
        return [WorkflowTemplate.from_dict(row) for row in rows]


class Service:
    """An engine, and a history of what it has done."""

    def __init__(self) -> None:
        self.engine = Engine(selector=Database(SURVEY), loop=asyncio.get_running_loop())
        self.told: list[str] = []
        self.history: dict[str, Any] = {}
        get_broker().register(self.record, topic=EXEC_TOPIC)

    def record(self, event: Event) -> None:
        """Keep what happened, and the report of a run that is over."""
        kind, source = event.data["type"], event.source
        assert source is not None
        self.told.append(f"{kind} {source.task_template_id or ''}".strip())
        if kind in {WorkflowExecState.END.value, WorkflowExecState.ERROR.value}:
            [run] = [run for run in self.engine.instances if run.uid == source.workflow_exec_id]
            self.history[run.uid] = run.report()

    async def survey(self, client: str) -> Workflow:
        """Start a survey, as a message of a client does."""
        [run] = await self.engine.data_received({"client": client}, "clients")
        return run

    async def answer(self, client: str, text: str) -> None:
        """Hand on an answer to whoever waits for it."""
        await self.engine.data_received({"from": client, "text": text}, "answers")


def of(report: Any, task_id: str) -> Any:
    """Return what a report has about a task."""
    [task] = [task for task in report["tasks"] if task["id"] == task_id]
    return task["exec"]


async def test_an_answer_chooses_the_way() -> None:
    """Of two clients that are asked at once, each has an answer of its own."""
    service = Service()
    ada, bob = await service.survey("ada"), await service.survey("bob")
    await asyncio.sleep(1)
    await service.answer("bob", "yes")
    await service.answer("ada", "no")
    await asyncio.wait([ada, bob])  # type: ignore[type-var]  # a future, on asyncio
    await service.engine.stop()
    reports = [service.history[run.uid] for run in (ada, bob)]
    assert [of(report, "order") is None for report in reports] == [True, False]
    assert [of(report, "close") is None for report in reports] == [False, True]
    assert of(reports[1], "contact")["reporting"] == {"client": "bob", "state": "answered"}
    assert of(reports[1], "order")["inputs"] == {"client": "bob", "answer": "yes"}


async def test_nobody_answers() -> None:
    """After a minute `teardown` has the word, and what it returns goes on."""
    service = Service()
    run = await service.survey("ada")
    await asyncio.wait([run])  # type: ignore[type-var]  # a future, on asyncio
    assert asyncio.get_running_loop().time() == pytest.approx(60.01)
    contact = of(service.history[run.uid], "contact")
    assert contact["state"] == "timeout"
    assert contact["reporting"] == {"client": "ada", "state": "nobody there"}
    assert of(service.history[run.uid], "close")["inputs"] == {"client": "ada", "answer": None}
    await service.engine.stop()


async def test_a_survey_is_suspended() -> None:
    """It asks again when it is resumed: a task that was not over is run anew."""
    service = Service()
    run = await service.survey("ada")
    await asyncio.sleep(1)
    run.suspend()
    await asyncio.sleep(3600)
    assert run.report()["exec"]["state"] == FutureState.suspended.value
    await service.answer("ada", "too early")
    run.resume()
    await asyncio.sleep(1)
    await service.answer("ada", "yes")
    service.engine.stop()
    await service.engine
    assert service.told == [
        "workflow-begin",
        "task-begin contact",
        "contact-progress contact",
        "workflow-suspend",
        "task-begin contact",
        "workflow-resume",
        "contact-progress contact",
        "task-end contact",
        "task-begin choose",
        "task-end choose",
        "task-begin order",
        "task-end order",
        "workflow-end",
    ]


async def test_the_end_of_the_service() -> None:
    """It takes no new surveys, feeds those that run, and waits for them."""
    service = Service()
    run = await service.survey("ada")
    await asyncio.sleep(1)
    service.engine.stop()
    assert not await service.engine.data_received({"client": "bob"}, "clients")
    assert not await service.engine.trigger("survey", {"client": "bob"})
    await service.answer("ada", "yes")
    await service.engine
    assert run.state is FutureState.finished
    assert len(service.history) == 1
