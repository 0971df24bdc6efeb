"""The engine does what the model says: any template, any behaviour, any history, any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, reject

from support.hurry import hurry
from support.maps import LIST, mapped_templates
from support.profiles import many
from tukio._run.watchdog import PATIENCE
from tukio.testing import play
from tukio.testing.clock import BACKENDS, is_available, run
from tukio.testing.strategies import histories, workflow_templates

from .launches import launches
from .observed import outcomes
from .timeline import Diverged

if TYPE_CHECKING:
    from tukio.testing import Action, Played

    from .launches import Launch
    from .parts import Data, Outcome

WAYS = 400
"""How many ways to tell a story are tried before it is left undecided."""
DATA: Data = {"in": 0, "items": LIST}
"""With what all runs start: a list for tasks that are mapped."""
HERE = [name for name in BACKENDS if is_available(name)]

# The policies are the engine's; here each trigger starts a run.
templates = workflow_templates().map(lambda template: template | {"policy": "start-new"})

mapped = mapped_templates().map(lambda template: template | {"policy": "start-new"})


def played(backend: str, template: Data, history: list[Action]) -> Played:
    """Play a template on a backend."""

    async def quickly() -> Played:
        hurry()
        return await play(template, history, DATA)

    return run(quickly, backend=backend)


def check(backend: str, template: Data, history: list[Action]) -> list[Outcome]:
    """Play a template, and make sure that each of its runs is one that the model has."""
    observed = played(backend, template, history)
    expected = launches(template, DATA, history)
    seen = outcomes(observed)
    assert len(seen) == len(expected)
    for launch, outcome in zip(expected, seen, strict=True):
        problem = difference(outcome, template, launch)
        assert problem is None, f"{problem}\n{backend} tells:\n{observed}"
    return seen


def difference(observed: Outcome, template: Data, launch: Launch) -> str | None:
    """Return where a run left what the model allows; None if it did not."""
    furthest, closest = -1, ""
    for tried, way in enumerate(launch.ways(template, observed.story), 1):
        if isinstance(way, Diverged):
            place, told = way.args
            if place > furthest:
                furthest, closest = place, f"the model tells {told}"
        elif way == observed and not wrongly_stuck(way, observed):
            return None
        else:
            furthest, closest = len(observed.story), fields(way, observed)
        if tried == WAYS:
            reject()
    return f"after event {furthest}: {closest}"


def wrongly_stuck(model: Outcome, engine: Outcome) -> set[str]:
    """Return the tasks that were named as stuck and should not, or should and were not (G6)."""
    must = {uid for uid, seconds in model.slow.items() if seconds > 2 * PATIENCE}
    may = {uid for uid, seconds in model.slow.items() if seconds >= PATIENCE}
    late = {uid for uid, seconds in engine.slow.items() if seconds > 2 * PATIENCE}
    return (must - engine.slow.keys()) | (engine.slow.keys() - may) | late


def fields(model: Outcome, engine: Outcome) -> str:
    """Return what two outcomes differ in."""
    names = ("state", "end", "errors", "outputs", "slow")
    pairs = [(name, getattr(model, name), getattr(engine, name)) for name in names]
    pairs += [(uid, model.tasks[uid], engine.tasks[uid]) for uid in model.tasks]
    return "\n".join(f"{what}: model {one}, engine {two}" for what, one, two in pairs if one != two)


@many(2000)
@given(template=templates, history=histories())
def test_every_backend_does_what_the_model_says(template: Data, history: list[Action]) -> None:
    """States, times, data, errors, joins and the order of all events.

    Where that is determined, the backends tell the same story, event by event.
    """
    stories = [check(backend, template, history) for backend in HERE]
    for launch, *seen in zip(launches(template, DATA, history), *stories, strict=True):
        way = next(launch.ways(template))
        assert not isinstance(way, Diverged)
        if not way.choices:
            assert all(outcome == way for outcome in seen)


@many(1000)
@given(template=mapped, history=histories())
def test_what_is_mapped_does_what_the_model_says(template: Data, history: list[Action]) -> None:
    """Likewise, where nearly all tasks are run for each item of a list."""
    for backend in HERE:
        check(backend, template, history)


def flow(graph: dict[str, list[str]], tasks: Data, **fields: Any) -> Data:
    """Return a template in its dict form; `limit` and `idle` in a behaviour are limits of the task.

    Those of the time that it takes, and of the time that it is silent.
    """
    described: list[Data] = []
    for uid in graph:
        config = dict(tasks.get(uid, {}))
        limit, idle = config.pop("limit", None), config.pop("idle", None)
        name = "join" if "wait_for" in config else "actor"
        described.append({"id": uid, "name": name, "config": config, "timeout": limit})
        if idle is not None:
            described[-1]["idle_timeout"] = idle
    return {"id": "flow", "policy": "start-new", "tasks": described, "graph": graph} | fields


PAIR = {"a": ["b"], "b": []}
FORK = {"a": ["b", "c"], "b": [], "c": []}
SHIELDS: Data = {"seconds": 9, "shields": 4}
LAST: Data = {"seconds": 3}
CLEANS: Data = {"seconds": 9, "cleans": 2, "limit": 2}

TIGHT: dict[str, tuple[Data, list[Action]]] = {
    "the run's limit passes during a teardown": (flow(PAIR, {"a": CLEANS}, timeout=3), []),
    "and nothing would follow it": (flow({"a": []}, {"a": CLEANS}, timeout=3), []),
    "the grace passes during a teardown": (flow(PAIR, {"a": CLEANS}), [(0.5, "stop", 2)]),
    "silent for too long, and then past the run's limit": (
        flow(
            {"a": []}, {"a": {"seconds": 9, "when_cut": "dict", "shields": 1, "idle": 2}}, timeout=3
        ),
        [],
    ),
    "past the run's limit, and silent only then": (
        flow(
            {"a": []}, {"a": {"seconds": 9, "when_cut": "dict", "shields": 4, "idle": 2}}, timeout=1
        ),
        [],
    ),
    "a cancellation comes after the run's limit": (
        flow(PAIR, {"a": SHIELDS}, timeout=3),
        [(4.5, "cancel", None)],
    ),
    "a suspension comes after the run's limit": (
        flow(PAIR, {"a": SHIELDS}, timeout=3),
        [(4.5, "suspend", None)],
    ),
    "the run's limit passes while one step is put off, another unwinds": (
        flow(FORK, {"b": {"seconds": 9}, "c": SHIELDS}, timeout=3),
        [(2.5, "suspend", None)],
    ),
    "a limit passes while a step unwinds from a suspension": (
        flow(PAIR, {"a": SHIELDS | {"limit": 2}}),
        [(1.5, "suspend", None), (9.5, "resume", None)],
    ),
    "a suspension comes while a step unwinds from its limit": (
        flow(PAIR, {"a": SHIELDS | {"limit": 1}}),
        [(2.5, "suspend", None), (9.5, "resume", None)],
    ),
    "a resume comes while a step unwinds": (
        flow(PAIR, {"a": SHIELDS}),
        [(0.5, "suspend", None), (2.5, "resume", None)],
    ),
    "a join has all that can come as the run is aborted": (
        flow(
            {"a": ["b", "e"], "b": ["c"], "c": ["d", "e"], "d": ["e"], "e": []},
            {"d": {"ends": "error"}, "e": {"wait_for": 3}},
            on_error="abort",
        ),
        [],
    ),
    "a join is called off before it is run again": (
        flow(
            {"a": ["b", "c"], "b": ["c"], "c": []},
            {"b": {"seconds": 9}, "c": {"wait_for": 2}},
        ),
        [(0.5, "suspend", None), (1.5, "resume", None), (1.5, "cancel task", 2)],
    ),
    "a suspension comes right after a resume with nothing to do": (
        flow({"a": []}, {"a": {"seconds": 1, "cleans": 1, "limit": 1}}),
        [(1.5, "suspend", None), (5.5, "resume", None), (5.5, "suspend", None)],
    ),
    "a run closes because of a child that is over": (
        {
            "id": "flow",
            "policy": "start-new",
            "on_error": "abort",
            "tasks": [
                {"id": "a", "name": "actor", "compensate": {"name": "actor", "config": LAST}},
                {
                    "id": "b",
                    "workflow": {
                        "on_error": "abort",
                        "tasks": [
                            {"id": "x", "name": "actor", "config": {"seconds": 1, "ends": "error"}}
                        ],
                    },
                },
                {"id": "c", "name": "actor", "config": SHIELDS},
            ],
            "graph": {"a": ["b", "c"], "b": [], "c": []},
            "closing_timeout": 4,
        },
        [],
    ),
    "a run closes whose child has unwound for a while": (
        {
            "id": "flow",
            "policy": "start-new",
            "tasks": [
                {"id": "a", "name": "actor", "compensate": {"name": "actor", "config": LAST}},
                {
                    "id": "b",
                    "workflow": {"tasks": [{"id": "x", "name": "actor", "config": SHIELDS}]},
                },
            ],
            "graph": {"a": ["b"], "b": []},
            "closing_timeout": 6,
        },
        [(0.5, "cancel", None)],
    ),
    "an item fails with an output and is undone": (
        {
            "id": "flow",
            "policy": "start-new",
            "on_error": "abort",
            "tasks": [
                {
                    "id": "a",
                    "name": "actor",
                    "config": {"seconds": 1, "ends": "task error"},
                    "map": {"over": "$.items"},
                    "compensate": {"name": "actor", "config": LAST, "begun": True},
                }
            ],
            "graph": {"a": []},
        },
        [],
    ),
    "a branch fails while all unwind": (
        flow(FORK, {"b": SHIELDS, "c": SHIELDS | {"when_cut": "error"}}, on_error="abort"),
        [(0.5, "cancel", None)],
    ),
}


@pytest.mark.parametrize(("template", "history"), TIGHT.values(), ids=TIGHT)
def test_a_tight_case_is_what_the_model_says(
    backend: str, template: Data, history: list[Action]
) -> None:
    """Two things that meet while a step takes its time to end: what came first counts."""
    check(backend, template, history)
