"""What follows from the failure of a task whose template says so: `on_error` of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, execution, flow, kinds, listen, states, step_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Seen = dict[str, Any]


def does(data: dict[str, Any]) -> Any:
    """Do in a task what the data says."""
    if "chooses" in data:
        run = tukio.current_workflow()
        assert run is not None
        run.set_next_tasks(data["chooses"])
    if "fails" in data:
        raise OSError(data["fails"])
    if "error" in data:
        raise data["error"]
    return data.get("returns", {"shipped": True})


@pytest.fixture
def seen(task: Tasks) -> Seen:
    """Register what is run; give what `ask`, `after` and `end` were given."""
    found: Seen = {}

    @task
    async def first(event: tukio.Event) -> dict[str, Any]:
        return {"order": 7, **event.data}

    @task
    async def ship(event: tukio.Event) -> Any:
        await anyio.sleep(event.data.get("takes", 0))
        return does(event.data)

    @task
    async def ask(event: tukio.Event) -> dict[str, Any]:
        found["ask"] = event.data
        await anyio.sleep(1)
        return {"asked": True}

    @task
    async def after(event: tukio.Event) -> dict[str, Any]:
        found["after"] = event.data
        return event.data

    @task
    async def end(event: tukio.Event) -> dict[str, Any]:
        found["end"] = (anyio.current_time(), event.data)
        return event.data

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(50)

    return found


GRAPH = {"first": ["ship"], "ship": ["ask", "after"], "ask": ["end"], "after": ["end"]}


def shop(
    says: Any, graph: Mapping[str, list[str]] | None = None, **fields: Any
) -> tukio.WorkflowTemplate:
    """Return a workflow in which `ship` may fail, with a join behind all that it leads to."""
    said = {key: fields.pop(key) for key in ("retry", "timeout", "on_timeout") if key in fields}
    template = flow(graph or GRAPH, **fields)
    by_id = {task.uid: task for task in template.tasks}
    by_id["ship"].on_error = says
    for key, value in said.items():
        setattr(by_id["ship"], key, value)
    if "end" in by_id:
        by_id["end"].join = "all"
    return template


async def ended(template: tukio.WorkflowTemplate, **data: Any) -> tukio.Workflow:
    """Run a workflow to its end."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, data)
        await run.wait()
    return run


# A handler


async def test_a_handler_is_led_to_only_by_the_error(seen: Seen) -> None:
    """It gets the inputs and the error; nothing is raised to whoever waits."""
    error = OSError("no van")
    run = await ended(shop({"to": ["ask"]}), error=error)
    told = {"task": "ship", "type": "OSError", "message": "no van", "attempts": 1}
    assert seen["ask"] == {"order": 7, "error": told}
    assert "after" not in seen
    assert states(run) == {
        "first": "finished",
        "ship": "exception",
        "ask": "finished",
        "after": None,
        "end": "finished",
    }
    assert (run.ok, run.errors, run.unhandled) == (True, {"ship": error}, {})
    await run.wait(check=True)
    assert execution(run, "ship")["handled"] is True
    assert (run.status, run.output) == ("finished", {"end": {"asked": True}})


async def test_a_handler_is_not_led_to_without_an_error(seen: Seen) -> None:
    """What is behind it, and behind the others, does not wait for it."""
    run = await ended(shop({"to": ["ask"]}))
    assert "ask" not in seen
    assert seen["after"] == {"shipped": True}
    assert run.output == {"end": {"shipped": True}}
    assert execution(run, "ship")["chosen"] == ["after"]


async def test_the_join_behind_begins_when_the_other_cannot_come(seen: Seen) -> None:
    """At the end of the handler, not when something else times out."""
    start = anyio.current_time()
    await ended(shop({"to": ["ask"]}), error=OSError())
    assert seen["end"] == (start + 1, {"asked": True})


@pytest.mark.parametrize("join", ["all", "settled", 1, 2])
@pytest.mark.parametrize("fails", [True, False])
async def test_all_joins_behind_task_and_handler(seen: Seen, join: Any, fails: bool) -> None:
    """One of both comes, and that is enough."""
    graph = {"first": ["ship"], "ship": ["ask", "end"], "ask": ["end"]}
    template = shop({"to": ["ask"]}, graph)
    template.tasks[-1].join = join
    run = await ended(template, **({"error": OSError()} if fails else {}))
    assert seen["end"][1] == ({"asked": True} if fails else {"shipped": True})
    assert run.ok


@pytest.mark.parametrize("fails", [True, False])
async def test_the_task_join_behind_task_and_handler(seen: Seen, fails: bool) -> None:
    """It ends as soon as the other cannot come."""
    graph = {"first": ["ship"], "ship": ["ask", "after"], "ask": ["both"], "after": ["both"]}
    template = shop({"to": ["ask"]}, graph, names={"both": "join"}, limits={"both": 20})
    template.tasks[-1].config = {"wait_for": 2}
    start = anyio.current_time()
    run = await ended(template, **({"error": OSError()} if fails else {}))
    assert anyio.current_time() == start + (1 if fails else 0)
    assert run.ok
    assert set(run.output) == {"both"}


async def test_a_task_may_still_choose(seen: Seen) -> None:
    """Also its handler; its choice counts for as long as it does not fail."""
    run = await ended(shop({"to": ["ask"]}), chooses=["ask"])
    assert seen["ask"] == {"shipped": True}
    assert run.ok
    seen.clear()
    await ended(shop({"to": ["ask"]}), chooses=["after"], error=OSError())
    assert list(seen) == ["ask", "end"]


async def test_no_handler_at_all(seen: Seen) -> None:
    """Its branch stops, and that is provided for."""
    run = await ended(shop({"to": []}), error=OSError())
    assert (run.ok, seen) == (True, {})


# An output


async def test_an_output_in_its_place(seen: Seen) -> None:
    """A copy of its own each time; the state tells of the failure all the same."""
    output = {"sent": [1]}
    template = shop({"output": output})
    first = await ended(template, error=OSError())
    assert seen["after"] == {"sent": [1]}
    seen["after"]["sent"].append(2)
    second = await ended(template, error=OSError())
    assert seen["after"] == {"sent": [1]}
    assert output == {"sent": [1]}
    for run in (first, second):
        assert run.ok
        assert step_of(run, "ship").state is tukio.FutureState.exception
        assert execution(run, "ship")["outputs"]["sent"][0] == 1


async def test_an_output_at_the_end_of_a_run(seen: Seen) -> None:
    """It is what came of the run."""
    run = await ended(shop({"output": {"x": 1}}, {"first": ["ship"]}), error=OSError())
    assert run.output == {"ship": {"x": 1}}


async def test_it_goes_on_where_the_task_has_chosen_to(seen: Seen) -> None:
    """The output stands for what it would have returned."""
    await ended(shop({"output": {"x": 1}}), chooses=["after"], error=OSError())
    assert "ask" not in seen
    assert seen["after"] == {"x": 1}


async def test_a_result_that_cannot_be_passed_on_counts(seen: Seen) -> None:
    """That is a failure like any other."""
    run = await ended(shop({"output": {"x": 1}}), returns=5)
    assert type(run.errors["ship"]).__name__ == "InvalidResult"
    assert run.ok
    assert seen["after"] == {"x": 1}


async def test_an_error_with_outputs(seen: Seen) -> None:
    """The error keeps them; the successors receive what the template says."""
    error = tukio.TukioTaskError({"half": True})
    run = await ended(shop({"to": ["ask"]}), error=error)
    assert run.errors == {"ship": error}
    assert seen["ask"]["error"]["type"] == "TukioTaskError"


# The words


@pytest.mark.parametrize("says", ["continue", "abort"])
async def test_stop_and_abort_whatever_the_template_says(seen: Seen, says: str) -> None:
    """The word of the task counts."""
    graph = {"first": ["ship", "slow"]}
    stopped = await ended(shop("stop", graph, on_error=says), error=OSError())
    assert states(stopped)["slow"] == "finished"
    aborted = await ended(shop("abort", graph, on_error=says), error=OSError())
    assert states(aborted)["slow"] == "cancelled"
    assert (stopped.status, aborted.status) == ("flawed", "failed")


async def test_a_handled_error_does_not_abort(seen: Seen) -> None:
    """And is not among what a run has failed with."""
    run = await ended(shop({"to": ["ask"]}, on_error="abort"), error=OSError())
    assert run.status == "finished"


async def test_what_a_run_has_failed_with(seen: Seen, task: Tasks) -> None:
    """Not what was handled before."""

    @task
    async def bad(event: tukio.Event) -> None:
        raise KeyError(event.data["sent"])

    template = shop({"output": {"sent": 3}}, {"first": ["ship"], "ship": ["bad"]}, on_error="abort")
    run = await ended(template, error=OSError())
    assert set(run.errors) == {"ship", "bad"}
    with pytest.raises(tukio.WorkflowFailed) as failed:
        await run.wait(check=True)
    assert [type(one) for one in failed.value.exceptions] == [KeyError]


# Retry, limits, cancellation


async def test_retry_comes_first(seen: Seen) -> None:
    """The handler is told how often it was tried."""
    template = shop({"to": ["ask"]}, retry={"attempts": 3, "jitter": "none"})
    run = await ended(template, error=OSError())
    assert seen["ask"]["error"]["attempts"] == 3
    assert run.ok


@pytest.mark.parametrize(
    ("says", "handled"), [("fail", True), ("retry", True), ("continue", False), (None, False)]
)
async def test_a_limit(seen: Seen, says: str | None, handled: bool) -> None:
    """It gets here if the template calls it a failure."""
    retry = {"attempts": 2, "jitter": "none"}
    template = shop({"to": ["ask"]}, timeout=2, on_timeout=says, retry=retry)
    run = await ended(template, takes=9)
    assert ("ask" in seen) is handled
    assert ("after" in seen) is not handled
    if handled:
        assert seen["ask"]["error"]["type"] == "TaskTimedOut"
        assert seen["ask"]["error"]["attempts"] == (2 if says == "retry" else 1)
        assert run.ok


async def test_cancelled_is_not_failed(seen: Seen) -> None:
    """The branch stops."""
    async with tukio.Engine() as engine:
        run = await engine.start(shop({"to": ["ask"]}), {"takes": 9})
        await anyio.sleep(1)
        step_of(run, "ship").cancel()
        await run.wait()
    assert seen == {}
    assert not run.ok


async def test_a_skipped_task_goes_on_to_the_others(seen: Seen) -> None:
    """It has not failed."""
    run = await ended(shop({"to": ["ask"]}), error=tukio.SkipTask("nothing to do"))
    assert "ask" not in seen
    assert "after" in seen
    assert run.ok


async def test_what_fails_beside_it_is_not_handled(seen: Seen, task: Tasks) -> None:
    """That of a clean-up stays, without the other; a report tells of both."""

    @task
    class Worse:
        def __init__(self, config: object) -> None: ...

        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(9)

        async def teardown(self) -> None:
            raise KeyError("clean-up")

    template = shop({"to": ["ask"]}, names={"ship": "Worse"}, timeout=1, on_timeout="fail")
    run = await ended(template)
    assert isinstance(run.errors["ship"], BaseExceptionGroup)
    assert {uid: type(one) for uid, one in run.unhandled.items()} == {"ship": KeyError}
    assert (run.ok, seen["ask"]["error"]["type"]) == (False, "TaskTimedOut")
    async with tukio.Engine() as engine:
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        rescued = await engine.rescue(template, report)
        await rescued.wait()
    assert not rescued.ok
    assert set(rescued.unhandled) == {"ship"}


# What is told


async def test_events_say_it(seen: Seen) -> None:
    """Also those that are made up from the state."""
    error = OSError()
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(shop({"to": ["ask"]}), {"error": error})
        await run.wait()
        told = [content for kind, _, content in story if kind == "task-error"]
        assert told == [{"exception": error, "handled": True}]
        past = [event.data["content"] async for event in run.events()]
        assert {"exception": error, "handled": True} in past
    assert kinds(story)[-1] == "workflow-end"


# Rescue


@pytest.mark.parametrize("on_error", [{"to": ["ask"]}, {"output": {"x": 1}}])
async def test_a_rescue_leads_there_again(seen: Seen, on_error: Any) -> None:
    """Through JSON, at each point."""
    template = shop(on_error, on_error="abort")
    reports: list[str] = []
    async with tukio.Engine() as engine:

        def note(_: object) -> None:
            reports.append(tukio.report_to_json(run.report()))

        engine.broker.register(note, tukio.EXEC_TOPIC)
        run = await engine.start(template, {"fails": "always"})
        await run.wait()
        engine.broker.unregister(note, tukio.EXEC_TOPIC)
        wanted = states(run)
        assert wanted["ship"] == "exception"
        for report in reports:
            as_was = tukio.report_from_json(report)
            if as_was["exec"]["start"] is None:
                continue
            rescued = await engine.rescue(template, as_was)
            await rescued.wait()
            assert states(rescued) == wanted
            assert (rescued.ok, rescued.unhandled) == (True, {})
            assert execution(rescued, "ship")["handled"] is True


async def test_again_leaves_it_alone(seen: Seen) -> None:
    """It did not go wrong, as its template provides for that."""
    run = await ended(shop({"output": {"x": 1}}), error=OSError())
    with pytest.raises(ValueError, match="nothing went wrong"):
        tukio.again(run.report())


async def test_a_rescue_by_a_template_that_provides_for_nothing_any_more(seen: Seen) -> None:
    """The run has gone on from the error before, and goes on from there."""
    template = shop({"to": ["ask"]}, on_error="abort")
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"fails": "always"})
        await anyio.sleep(0.5)
        report = run.report()
        await run.wait()
        rescued = await engine.rescue(shop(None, on_error="abort"), report)
        await rescued.wait()
    assert states(rescued) == states(run)
    assert rescued.ok
