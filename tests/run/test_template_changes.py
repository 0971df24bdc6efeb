"""A run is what it was started from, whatever becomes of its template meanwhile."""

from __future__ import annotations

import enum
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, strategies as st

import tukio
from support.flow import flow, states
from tukio._model.registry import Registry
from tukio.testing.clock import BACKENDS, is_available, run as run_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

FINISHED, FAILED = tukio.FutureState.finished, tukio.FutureState.exception


class Name(str, enum.Enum):  # noqa: UP042 - as many programs have them
    """Ids and names that are kinds of text."""

    QUICK = "quick"
    SLOW = "slow"


class Odd(str):
    """A text that is equal to nothing but itself."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@pytest.fixture
def steps(task: Tasks) -> None:
    """Register `quick`, `slow` (a second) and `fail` (after a second)."""

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        return {"q": 1}

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def fail(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise ValueError("fail")


def quick_slow(**fields: Any) -> tukio.WorkflowTemplate:
    """Return a template with data in every field."""
    given: dict[str, Any] = {"topics": ["t"], "timeout": 50, "meta": {"m": [1]}, "own": [1]}
    return flow(
        {"quick": ["slow"]},
        title="A",
        tasks=[
            {"id": uid, "name": uid, "config": {"n": [1]}, "mine": [1], "timeout": 9}
            for uid in ("quick", "slow")
        ],
        **(given | fields),
    )


def exchange_ids(template: tukio.WorkflowTemplate) -> None:
    """Give each of two tasks the id of the other."""
    first, second = template.tasks
    first.uid, second.uid = second.uid, first.uid


def exchange_tasks(template: tukio.WorkflowTemplate) -> None:
    """Put another task into the place of the second one: there are as many as before."""
    template.delete(template.tasks[1])
    template.add(tukio.TaskTemplate("quick", uid="gained"))


def other_graph() -> tukio.dag.DAG[tukio.TaskTemplate]:
    """Return a graph that has nothing to do with those of these tests."""
    return flow("slow quick").dag


CHANGES: dict[str, Callable[[tukio.WorkflowTemplate], object]] = {
    "the id": lambda template: setattr(template, "uid", "flow-v2"),
    "the title": lambda template: setattr(template, "title", "B"),
    "the limit": lambda template: setattr(template, "timeout", 0.1),
    "no limit": lambda template: setattr(template, "timeout", None),
    "a limit that is none": lambda template: setattr(template, "timeout", "soon"),
    "the policy": lambda template: setattr(template, "policy", tukio.OverrunPolicy.SKIP),
    "what errors do": lambda template: setattr(template, "on_error", tukio.ErrorPolicy.ABORT),
    "other topics": lambda template: setattr(template, "topics", ["u"]),
    "one more topic": lambda template: template.topics.append("u"),
    "other meta": lambda template: setattr(template, "meta", 5),
    "meta, in place": lambda template: template.meta["m"].append(2),
    "own keys, in place": lambda template: template.extra["own"].append(2),
    "the id of a task": lambda template: setattr(template.tasks[0], "uid", "other"),
    "ids that change places": exchange_ids,
    "the name of a task": lambda template: setattr(template.tasks[1], "name", "quick"),
    "the limit of a task": lambda template: setattr(template.tasks[1], "timeout", 0.1),
    "the config of a task": lambda template: setattr(template.tasks[1], "config", {}),
    "a config, in place": lambda template: template.tasks[1].config["n"].append(2),
    "own keys of a task": lambda template: template.tasks[1].extra["mine"].append(2),
    "the topics of a task": lambda template: setattr(template.tasks[1], "topics", None),
    "a task less": lambda template: template.delete(template.tasks[1]),
    "a task more": lambda template: template.add(tukio.TaskTemplate("quick", uid="more")),
    "tasks exchanged": exchange_tasks,
    "a link less": lambda template: template.unlink(template.tasks[0], template.tasks[1]),
    "another graph": lambda template: setattr(template, "dag", other_graph()),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@every_change
@pytest.mark.usefixtures("steps")
async def test_a_report_is_of_what_ran(change: Callable[[Any], object]) -> None:
    """Not of what the template has become, while the run is alive, and when it is over."""
    template = quick_slow()
    document = template.as_dict()
    async with tukio.Engine() as engine:
        await engine.load(template)
        [run] = await engine.data_received({}, "t")
        await anyio.sleep(0.5)
        before = run.report()
        change(template)
        report = run.report()
        assert report["exec"].pop("elapsed") == before["exec"].pop("elapsed")
        assert report == before
        assert await run.wait() is FINISHED
        assert engine.instances == []
    report = run.report()

    assert parts(report, document) == parts(document, document)
    assert states(run) == {"quick": "finished", "slow": "finished"}
    assert run.outputs == {"quick": {"q": 1}, "slow": None}
    assert run.template is template


@every_change
@pytest.mark.usefixtures("steps")
async def test_what_ran_is_rescued_or_refused(change: Callable[[Any], object]) -> None:
    """By the template that it ran; by what became of it, as that says, or not at all."""
    template = quick_slow()
    async with tukio.Engine() as engine:
        await engine.load(template)
        [run] = await engine.data_received({}, "t")
        await anyio.sleep(0.5)
        change(template)
        text = tukio.report_to_json(run.report())
        run.cancel()
        await run.wait()
        report = tukio.report_from_json(text)
        rescued: Any = await engine.rescue(quick_slow(), report)
        assert await rescued.wait() is FINISHED
        try:
            again = await engine.rescue(template, report)
        except (tukio.RescueError, tukio.TemplateError):
            return
        assert await again.wait() in (FINISHED, tukio.FutureState.timeout)
        assert states(again)["quick"] == "finished"


async def test_the_next_run_is_one_of_the_template_as_it_is_now(task: Tasks) -> None:
    """Also after a change in place, of data that was empty, in the hands of whoever made it."""
    seen: list[Any] = []

    @task
    class look(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            seen.append(self.config)

    config: dict[str, Any] = {"n": 1}
    template = tukio.WorkflowTemplate("flow", "start-new")
    made = tukio.TaskTemplate("look", "look", config=config)
    template.add(made)
    async with tukio.Engine() as engine:
        await engine.load(template)
        changes: list[Callable[[], object]] = [
            list,
            lambda: config.update(n=2),
            lambda: setattr(made, "config", {}),
            lambda: made.config.update(n=3),
            lambda: made.config.update(n=4),
        ]
        for change in changes:
            change()
            [run] = await engine.data_received({})
            await run.wait()
            assert run.report()["tasks"][0]["config"] == seen[-1]

    assert seen == [{"n": 1}, {"n": 2}, {}, {"n": 3}, {"n": 4}]


@pytest.mark.usefixtures("steps")
async def test_a_policy_for_errors_that_is_set_by_its_value_counts() -> None:
    """From the next run on; those that are alive go on with the one that they have."""
    template = flow("fail")
    async with tukio.Engine() as engine:
        await engine.load(template)
        [first] = await engine.data_received({})
        template.on_error = "abort"  # type: ignore[assignment]  # as users do
        [second] = await engine.data_received({})
        assert (await first.wait(), await second.wait()) == (FINISHED, FAILED)


@pytest.mark.usefixtures("steps")
async def test_a_template_may_get_another_id_while_its_runs_are_alive() -> None:
    """It is the way to load a second version; each table is left under the id it was entered by."""
    template = flow("slow")
    async with tukio.Engine() as engine:
        await engine.load(template)
        [first] = await engine.data_received({})
        await anyio.sleep(0.5)
        template.uid = "flow-v2"
        await engine.load(template)
        second: Any = await engine.trigger("flow-v2", {})
        assert first.report()["id"] == "flow"
        assert second.report()["id"] == "flow-v2"
        assert engine.instances == [first, second]
        assert await first.wait() is FINISHED
        assert engine.instances == [second]
        assert await second.wait() is FINISHED
        assert engine.instances == []


async def test_a_task_that_writes_into_its_template_changes_later_runs_alone(task: Tasks) -> None:
    """The template of a step is a copy: equal to the task, and of one mind with the report."""

    @task
    async def selfish(event: tukio.Event) -> None:
        own = tukio.current_task().template
        own.config["n"] = 2
        own.timeout = 7

    template = flow("a", tasks=[{"id": "a", "name": "selfish", "config": {"n": 1}}])
    async with tukio.Engine() as engine:
        for limit in (None, 7):
            run: Any = await engine.run_once(template, {})
            await run.wait()
            [shown] = run.report()["tasks"]
            assert (shown["config"], shown["timeout"]) == ({"n": 1}, limit)
            [step] = run.tasks
            assert step.template == template.tasks[0]
            assert template.dag.successors(step.template) == []


@pytest.mark.parametrize("kind", [Name, Odd])
async def test_ids_that_are_kinds_of_text_are_those_texts(
    steps: None, kind: Callable[[str], str]
) -> None:
    """What is accepted as an id goes through JSON and comes back as that id."""
    ids = [kind("quick"), kind("slow")]
    document = {
        "id": kind("slow"),
        "title": kind("slow"),
        "topics": [kind("slow")],
        "tasks": [{"id": uid, "name": str.__str__(uid)} for uid in ids],
        "graph": {ids[0]: [ids[1]]},
    }
    template = tukio.WorkflowTemplate.from_dict(document)
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(0.5)
        report = tukio.report_from_json(tukio.report_to_json(run.report()))
        run.cancel()
        await run.wait()
        rescued: Any = await engine.rescue(template, report)
        assert await rescued.wait() is FINISHED

    assert (report["id"], report["title"], report["topics"]) == ("slow", "slow", ["slow"])
    assert states(rescued) == {"quick": "finished", "slow": "finished"}
    assert {type(uid) for uid in (template.uid, *states(rescued))} == {str}


def test_two_ids_of_one_text_are_one_id() -> None:
    """Whatever their kinds say: else the report would not tell the two tasks apart."""
    tasks = [{"id": Odd("a"), "name": "a"}, {"id": Odd("a"), "name": "a"}]
    with pytest.raises(tukio.TemplateError, match="duplicate task id 'a'"):
        tukio.WorkflowTemplate.from_dict({"tasks": tasks})


async def test_a_run_has_a_template_when_nobody_else_has_it_any_more(steps: None) -> None:
    """An equal one, always the same, which may be changed like any other."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(quick_slow(), {})
        await run.wait()
        template = run.template
        assert template.as_dict() == quick_slow().as_dict()
        template.uid = "other"
        assert run.template is template
        assert run.report()["id"] == "flow"


def parts(report: dict[str, Any], like: dict[str, Any]) -> list[Any]:
    """Return what a report shows of the template, without the executions."""
    tasks = [{**task, "exec": None} for task in report["tasks"]]
    return [tasks, {key: report[key] for key in like if key != "tasks"}]


async def begun(
    engine: tukio.Engine, template: tukio.WorkflowTemplate, names: list[str]
) -> list[tuple[Any, dict[str, Any]]]:
    """Start a run after each change that can be made; return them, each with what it was to be."""
    runs: list[tuple[Any, dict[str, Any]]] = []
    for name in ["", *names]:
        # Some changes do not go together: then the template is as it was, or is refused.
        with suppress(tukio.TukioError, LookupError, TypeError, AttributeError, ValueError):
            if name:
                CHANGES[name](template)
            document = template.as_dict()
            runs.append((await engine.run_once(template, {}), document))
        await anyio.sleep(0.05)
    return runs


async def rescued(engine: tukio.Engine, template: tukio.WorkflowTemplate, report: Any) -> str:
    """Rescue a run, and say why it was refused; cancel it, if it was not."""
    try:
        run: Any = await engine.rescue(template, report)
    except (tukio.RescueError, tukio.TemplateError) as error:
        return str(error)
    run.cancel()
    await run.wait()
    return ""


@given(
    st.sampled_from([name for name in BACKENDS if is_available(name)]),
    st.lists(st.sampled_from(sorted(CHANGES)), max_size=6),
)
def test_however_a_template_changes_reports_and_rescue_stay_right(
    backend: str, names: list[str]
) -> None:
    """Change after change, with a run of each state of the template, all of them alive at once."""

    async def quick(event: tukio.Event) -> dict[str, Any]:
        return {"q": 1}

    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(1)

    registry = Registry()
    registry.register(quick, "quick")
    registry.register(slow, "slow")

    async def main() -> None:
        template = quick_slow(policy="start-new")
        async with tukio.Engine(registry=registry) as engine:
            runs = await begun(engine, template, names)
            for run, document in runs:
                report = run.report()
                assert parts(report, document) == parts(document, document)
                report = tukio.report_from_json(tukio.report_to_json(report))
                run.cancel()
                await run.wait()
                same = tukio.WorkflowTemplate.from_dict(document)
                assert "is used up" in (await rescued(engine, same, report) or "is used up")
                await rescued(engine, template, report)
            assert engine.instances == []

    run_on(main, backend=backend)
