"""G10: reports are data: snapshots that share nothing with the run, and taking one does nothing."""

from __future__ import annotations

import asyncio
import logging
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio._model.report_json import report_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished


def containers(data: Any) -> Iterator[Any]:
    """Yield all dicts, lists and sets in some data, from the outside in."""
    if isinstance(data, dict | list | set):
        yield data
    parts = data.values() if isinstance(data, dict) else data
    if isinstance(data, dict | list | tuple):
        for part in parts:
            yield from containers(part)


def spoil(report: dict[str, Any]) -> None:
    """Change a report everywhere."""
    for container in list(containers(report)):
        if isinstance(container, dict):
            container["spoilt"] = True
        elif isinstance(container, list):
            container.append("spoilt")
        else:
            container.add("spoilt")


@pytest.fixture
def kept(task: Tasks) -> dict[str, Any]:
    """Register `deep`, which keeps its hands on all data that goes through it, for 10 s."""
    hands: dict[str, Any] = {}

    @task
    class deep(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            uid = tukio.current_task().template.uid
            hands[f"{uid} in"] = event.data
            hands[f"{uid} config"] = self.config
            hands[f"{uid} report"] = {"seen": [{"n": 1}]}
            hands[f"{uid} out"] = output = {"list": [{1}, ({"n": 1},)], "of": {"what": uid}}
            if uid == "last":
                await anyio.sleep(10)
            return output

        def report(self) -> Any:
            return hands[f"{self.config['name']} report"]

    return hands


def deep_flow() -> tukio.WorkflowTemplate:
    """Return a template with data in every place that can have some."""
    return flow(
        "first last",
        tasks=[
            {
                "id": uid,
                "name": "deep",
                "config": {"name": uid, "x": [{"y": 1}]},
                "topics": ["t"],
                "mine": {"z": [1]},
            }
            for uid in ("first", "last")
        ],
        topics=["t"],
        meta={"m": [1]},
        more={"l": [{"k": 1}]},
    )


async def test_g10_what_the_run_does_later_does_not_change_a_report(kept: dict[str, Any]) -> None:
    """At no depth: a task may go on to change what it was given, returned or reported (B37)."""
    data = {"in": [{"deep": [1]}]}
    template = deep_flow()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, data)
        await anyio.sleep(1)
        report = run.report()
        before = deepcopy(report)
        for container in (*list(containers(kept)), *list(containers(data))):
            if isinstance(container, dict):
                container["later"] = True
            elif isinstance(container, list):
                container.append("later")
        template.tasks[0].config["x"].append("later")
        template.tasks[0].extra["mine"]["z"].append("later")
        template.meta["m"].append("later")
        template.extra["more"]["l"].append("later")
        assert template.topics is not None
        template.topics.append("later")
        assert report == before
        await run.wait()

    assert report == before


async def test_g10_what_is_done_to_a_report_does_not_change_the_run(kept: dict[str, Any]) -> None:
    """Nor its template: reports are handed to whoever asks (B37)."""
    template = deep_flow()
    described = template.as_dict()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": [{"deep": [1]}]})
        await anyio.sleep(1)
        first, hands = run.report(), deepcopy(kept)
        spoil(run.report())
        assert kept == hands
        assert run.report() == first
        assert template.as_dict() == described
        await run.wait()

    assert run.outputs["last"] == {"list": [{1}, ({"n": 1},)], "of": {"what": "last"}}


async def test_g10_a_report_is_of_what_ran(task: Tasks) -> None:
    """Not of what the template has become; all that may become of it is tried elsewhere."""

    @task
    async def work(event: tukio.Event) -> None:
        await anyio.sleep(1)

    template = flow("a b", names={"a": "work", "b": "work"}, timeout=9)
    document = template.as_dict()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(0.5)
        template.uid, template.timeout = "other", 1
        template.delete(template.tasks[1])
        template.add(tukio.TaskTemplate("work", uid="gained"))
        assert await run.wait() is FINISHED
    report = run.report()

    assert {key: report[key] for key in document} == {**document, "tasks": report["tasks"]}
    assert [task["id"] for task in report["tasks"]] == ["a", "b"]


async def test_g10_executions_are_snapshots_too(kept: dict[str, Any]) -> None:
    """So are those of one task, `as_dict` and `report`."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(deep_flow(), {"in": [{"deep": [1]}]})
        await run.wait()
    step = next(iter(run.tasks))
    before, described = step.report(), step.as_dict()
    spoil(step.report())
    spoil(step.as_dict())

    assert step.report() == before
    assert step.as_dict() == described


async def test_g10_a_rescued_run_shares_nothing_with_the_report(kept: dict[str, Any]) -> None:
    """The report is the caller's, before and after."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(deep_flow(), {"in": [{"deep": [1]}]})
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
    before = deepcopy(report)
    async with tukio.Engine() as engine:
        run = await engine.rescue(deep_flow(), report)
        assert report == before
        spoil(report)
        await run.wait()
    first, last = (entry["exec"] for entry in run.report()["tasks"])

    assert first == before["tasks"][0]["exec"]
    assert (
        last["inputs"] == first["outputs"] == {"list": [{1}, ({"n": 1},)], "of": {"what": "first"}}
    )
    spoil(run.report())
    assert run.report()["tasks"][0]["exec"] == first


async def test_g10_reports_taken_while_running_change_nothing(task: Tasks) -> None:
    """A thousand of them: the same story, in the same time, as without."""

    @task
    class work(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            me = tukio.current_task()
            assert me.uid == self.uid
            # Not all at once: trio would wake them in any order.
            await anyio.sleep(2 if me.template.uid == "c" else 1)
            await anyio.lowlevel.checkpoint()
            return {**event.data, me.template.uid: 1}

    template = flow(
        {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["e"]},
        tasks=[
            {"id": uid, "name": "work"}
            if uid != "d"
            else {"id": "d", "name": "join", "config": {"wait_for": 2, "collect": "all"}}
            for uid in "abcde"
        ],
        timeout=60,
    )

    async def story_of(reports: int) -> tuple[Any, ...]:
        taken = 0
        start = anyio.current_time()
        async with tukio.Engine() as engine:
            story = listen(engine)
            run: Any = await engine.run_once(template, {"in": 0})

            def look(event: tukio.Event | None = None) -> None:
                nonlocal taken
                for _ in range(reports):
                    report_to_json(run.report())
                    repr((run.errors, run.outputs, run.tasks, run.state, run, run.timed_out))
                    for step in run.tasks:
                        repr((step, step.as_dict(), step.inputs, step.outputs, step.source))
                        assert step.exception() is None
                        assert step.done() == (step.state is FINISHED)
                    taken += 1

            look()
            engine.broker.register(look, tukio.EXEC_TOPIC)
            await run.wait()
            look()
        assert taken == reports * (len(story) + 2)
        told = [entry for entry in story if entry[0] != "task-progress"]
        return kinds(story), told, run.outputs, run.state, anyio.current_time() - start

    quiet = await story_of(0)
    assert len(quiet[0]) * 70 > 1000
    assert await story_of(70) == quiet
    assert quiet[-1] == 4


async def test_g10_a_step_has_one_id_before_and_after_a_look(task: Tasks) -> None:
    """A report shows the id of a step in the queue; its holder, made later, has the same."""
    seen: list[tuple[str, str]] = []

    @task
    class holder(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            seen.append((self.uid, tukio.current_task().uid))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("holder"), {})
        known = run.report()["tasks"][0]["exec"]["id"]
        await run.wait()

    assert seen == [(known, known)]


class Ends(BaseException):
    """Is no `Exception`."""


class Broken(Exception):
    """Cannot even be shown."""

    def __str__(self) -> str:
        raise LookupError


@pytest.mark.parametrize("error", [ValueError("why"), Broken(), Ends(), asyncio.CancelledError()])
async def test_g10_a_holder_whose_report_fails_harms_nobody(
    task: Tasks, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """In 1.1.2 the run ended with that error as soon as someone looked at it (B36)."""

    @task
    class bad(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> dict[str, int]:
            await anyio.sleep(2)
            return {"n": 1}

        def report(self) -> None:
            raise error

    @task
    async def after(event: tukio.Event) -> None:
        await anyio.sleep(2)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("bad after", topics=["t"]), {"in": 0})
        for _ in range(4):
            await anyio.sleep(0.9)
            first = run.report()["tasks"][0]["exec"]
            assert first["reporting"] is None
        await run.wait()

    assert run.state is FINISHED
    assert run.errors == {}
    assert run.outputs == {"bad": {"n": 1}, "after": None}
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in records] == ["report() of task 'bad' failed"] * 4


async def test_g10_a_holder_whose_attributes_fail_harms_nobody(task: Tasks) -> None:
    """Those that a report looks at are the user's code, whatever they raise, and must be texts."""
    errors = {"report": 0, "uid": 0}

    @task
    class bad:  # noqa: N801 - named like a task
        def __init__(self, config: Any) -> None: ...

        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(1)

        @property
        def report(self) -> Any:
            errors["report"] += 1
            raise asyncio.CancelledError

        @property
        def uid(self) -> str:
            errors["uid"] += 1
            raise Ends

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("bad"), {})
        await anyio.sleep(0.5)
        first = run.report()["tasks"][0]["exec"]
        assert await run.wait() is FINISHED
        last = run.report()["tasks"][0]["exec"]

    assert errors == {"report": 2, "uid": 1}
    assert first["reporting"] is last["reporting"] is None
    assert first["id"] == last["id"]
    assert run.errors == {}


async def test_g10_an_error_that_cannot_be_shown_does_not_break_the_report(task: Tasks) -> None:
    """The report says as much as can be said."""

    @task
    async def bad(event: tukio.Event) -> None:
        raise Broken

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("bad"), {})
        await run.wait()

    assert run.report()["tasks"][0]["exec"]["error"] == {
        "type": "Broken",
        "message": "<a Broken that cannot be shown>",
    }


async def test_g10_data_that_contains_itself_can_be_reported(task: Tasks) -> None:
    """Only its text has no end."""

    @task
    async def knot(event: tukio.Event) -> dict[str, Any]:
        data: dict[str, Any] = {"list": []}
        data["list"].append(data["list"])
        return data

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("knot"), {})
        await run.wait()
    report = run.report()
    outputs = report["tasks"][0]["exec"]["outputs"]

    assert outputs["list"][0] is outputs["list"]
    with pytest.raises(RecursionError):
        report_to_json(report)
