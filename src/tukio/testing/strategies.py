"""Random workflows, and random actions on them, for tests with Hypothesis.

Owns:   the probabilities. An example takes few draws, so that there can be many examples. A failure
        shrinks to a small example: a chain of actors that end at once, and no actions.
Knows:  the behaviours of actors, and the actions of `play`. All examples are plain data.

    from hypothesis import given
    from tukio.testing import actors, play, run
    from tukio.testing.strategies import histories, workflow_templates

    @given(template=workflow_templates(), history=histories())
    def test_the_guarantees_hold(template, history):
        with actors():
            run(play, template, history)

Durations are whole seconds, and the instants of a history lie between whole seconds. So an action
never comes at the same instant as an event of a run, unless a suspension has shifted the events.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hypothesis import strategies as st

from .actors import ACTOR, MAY_GO_ON, PROMPT_ACTOR, WAITS
from .children import CHILDREN
from .endings import AFTER_FAILURES, CLOSINGS, after_failure, closed
from .maps import MAPS
from .playing import EDITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from .playing import Action

Data: TypeAlias = dict[str, Any]
Graph: TypeAlias = dict[str, list[str]]

TOPICS = ("red", "blue")
"""The topics that workflows and tasks listen to."""

FAULTS: tuple[Data, ...] = (
    *({"ends": how} for how in ("none", "event", "text")),
    *({"ends": how} for how in ("skip", "task error", "timeout error", "error")),
    *({"when_cut": how} for how in ("dict", "none", "text", "skip", "task error", "error")),
    *({"shields": seconds} for seconds in (1, 2, 4, 12)),
    *({"swallows": times} for times in (1, 3)),
    *({"teardown": how} for how in ("dict", "error")),
    *({"cleans": seconds} for seconds in (1, 2, 3, 7)),
    {"nests": [1, 2, 1], "nested": "error"},
    {"cancels": True},
    {"starts": "error"},
)
DEEDS: tuple[Data, ...] = (
    *({"turns": turns} for turns in (1, 3)),
    *({"nests": naps} for naps in ([1], [2, 1], [3, 3])),
    *({"awaits": number} for number in (1, 1, 2)),
    {"beats": True},
    *({"chooses": places} for places in ([], [0], [0], [1], [0, 2])),
)

# How long an actor sleeps, and what it says of being mapped: in one draw, for the same reason as
# `_manners`. Of more than 128 values Hypothesis draws the first ones more often.
_seconds: SearchStrategy[tuple[int, Data]] = st.sampled_from(
    [
        *((seconds, Data()) for seconds in (0, 1, 2, 3, 5, 9, 9, 0) for _ in range(10)),
        *((seconds, mapped) for seconds in (0, 1, 2, 3, 5, 9) for mapped in MAPS),
    ]
)
_deeds: SearchStrategy[list[Data]] = st.lists(st.sampled_from(DEEDS + FAULTS), max_size=4)
LIMITS: tuple[Data, ...] = (
    *({} for _ in range(12)),
    *({"timeout": limit} for limit in (1, 2, 4, 7) for _ in range(2)),
    *({"timeout": limit, "on_timeout": "fail"} for limit in (1, 2, 4, 7)),
    *({"timeout": limit, "on_timeout": "continue"} for limit in (1, 2, 4, 7)),
    *({"idle_timeout": limit} for limit in (1, 2, 4)),
    {"idle_timeout": 2, "on_timeout": "fail"},
    {"idle_timeout": 3, "timeout": 5, "on_timeout": "continue"},
    {"idle_timeout": 2, "on_timeout": "retry", "retry": {"attempts": 2, "jitter": "none"}},
    *({"retry": {"attempts": 2, "jitter": "none", "initial": wait}} for wait in (0, 1, 3)),
    {"retry": {"attempts": 3, "jitter": "none"}, "timeout": 4},
    {"retry": {"attempts": 3, "jitter": "none"}, "timeout": 2, "on_timeout": "retry"},
    {"retry": {"attempts": 3, "jitter": "none", "retry_if": MAY_GO_ON}},
    {"retry": {"jitter": "none", "retry_if": MAY_GO_ON}, "timeout": 2, "on_timeout": "retry"},
    *({"retry": {"attempts": None, "jitter": "none", "within": most}} for most in (1.25, 5.75)),
    {"retry": {"jitter": "none", "within": 3.25}, "timeout": 2, "on_timeout": "retry"},
    {"timeout": 0, "idle_timeout": 0, "retry": {"attempts": 1}},
)

# No limit comes at the instant of another one, or of an action.
_defaults: SearchStrategy[Data | None] = st.sampled_from(
    [
        *(None,) * 6,
        {"timeout": 4},
        {"timeout": 2, "on_timeout": "fail"},
        {"idle_timeout": 3, "on_timeout": "continue"},
        {"retry": {"attempts": 2, "jitter": "none"}},
        {"timeout": 3, "on_timeout": "retry", "retry": {"attempts": 2, "jitter": "none"}},
    ]
)

_BESIDE_WORKFLOW = frozenset({"id", "join", "collect", "map"})

# Whether an actor never waits if it can help it, and what it says of its limit: in one draw, so
# that a task without more to it is five draws. So many Hypothesis leaves out together. What the
# task is in place of an actor is in the same draw.
_manners: SearchStrategy[tuple[bool, Data]] = st.sampled_from(
    [
        *((is_prompt, limits) for is_prompt in (False, True) for limits in LIMITS),
        *((False, child) for child in CHILDREN),
    ]
)
_run_limits: SearchStrategy[int | None] = st.sampled_from([None, None, None, 3, 6, 12])
_on_error: SearchStrategy[str | None] = st.sampled_from([None, None, None, "abort"])
# For all tasks in one draw, so that a failure shrinks.
_after_failures: SearchStrategy[tuple[str, int] | None] = st.sampled_from(AFTER_FAILURES)
_closings: SearchStrategy[Data] = st.sampled_from(CLOSINGS)
_collects: SearchStrategy[str | None] = st.sampled_from([None, None, "merge", "all"])
_task_topics: SearchStrategy[list[str] | None] = st.sampled_from([["red"], [*TOPICS], None, []])
_topics: SearchStrategy[list[str] | None] = st.sampled_from([[], [], [], ["red"], None])
_policies: SearchStrategy[str] = st.sampled_from(
    ["start-new", "skip", "skip-until-unlock", "abort-running"]
)
_ways: SearchStrategy[str] = st.sampled_from(["chain", "chain", "fan", "any", "any", "any"])
_flags: SearchStrategy[bool] = st.booleans()
_aborts: SearchStrategy[bool] = st.sampled_from([False, False, False, True])


class Tasks(Protocol):
    """Draws the template of a task with given parents; `task_templates` is one."""

    def __call__(self, uid: str, *, parents: Sequence[str]) -> SearchStrategy[Data]:
        """Return the strategy for the task with an id and some parents."""
        ...


@st.composite
def dags(draw: DrawFn, *, max_tasks: int = 6) -> Graph:
    """Draw a graph with one root: task id -> ids of its successors.

    The graphs are chains, wide graphs, diamonds, shortcuts and anything else, declared from the
    root on or towards it. They shrink to a short chain.

    Args:
        draw: Given by Hypothesis.
        max_tasks: The largest number of tasks.
    """
    return _graph(draw, dict(_places(draw, max_tasks)))


def faults() -> SearchStrategy[Data]:
    """Draw a fault of a task, as a part of an actor's behaviour.

    The actor ends in another way, swallows or shields its cancellation, has a teardown that fails
    or takes too long, or a task group that fails, and so on.
    """
    return st.sampled_from(FAULTS).map(dict)


@st.composite
def task_templates(draw: DrawFn, uid: str = "a", *, parents: Sequence[str] = ()) -> Data:
    """Draw an actor in its dict form; for several parents perhaps a join, of either kind.

    Some actors are mapped over `$.items`. They pass on what they were given, so start the run with
    a list: `play(template, history, {"items": [1, 2, 3]})`.

    Args:
        draw: Given by Hypothesis.
        uid: The id of the task.
        parents: The ids of the tasks that lead to this one.
    """
    if len(parents) > 1 and draw(_below(3)):
        task: Data = {"id": uid, "name": "join", "config": _join(draw, parents)}
    else:
        config, mapped = _behaviour(draw)
        task = {"id": uid, "name": ACTOR, "config": config, **mapped}
        if "awaits" in config:
            task["topics"] = draw(_task_topics)
        if len(parents) > 1 and draw(_flags):
            task |= _fan_in(draw, len(parents))
    is_prompt, limits = draw(_manners)
    if "workflow" in limits and task["name"] == ACTOR:
        task = {key: value for key, value in task.items() if key in _BESIDE_WORKFLOW}
        return deepcopy(task | limits)
    limits = {key: value for key, value in limits.items() if key != "workflow"}
    if is_prompt and task["name"] == ACTOR and WAITS.isdisjoint(task["config"]):
        task["name"] = PROMPT_ACTOR
    return task | limits


@st.composite
def workflow_templates(draw: DrawFn, *, max_tasks: int = 6, tasks: Tasks = task_templates) -> Data:
    """Draw a template in its dict form.

    Args:
        draw: Given by Hypothesis.
        max_tasks: The largest number of tasks.
        tasks: Draws each task; pass a function of your own for random workflows of your own tasks.
    """
    parents: dict[str, list[str]] = {}
    drawn: dict[str, Data] = {}
    # Each task is drawn right after its parents, because Hypothesis shrinks a failure by leaving
    # out a contiguous part of the draws.
    for uid, ups in _places(draw, max_tasks):
        parents[uid] = ups
        drawn[uid] = draw(tasks(uid, parents=ups))
    graph = _graph(draw, parents)
    # Tasks of the user's own are undone by none of these.
    are_actors = tasks is task_templates
    after = draw(_after_failures) if are_actors else None
    closing = draw(_closings) if are_actors else {}
    template: Data = {
        "id": "random",
        "policy": draw(_policies),
        "topics": draw(_topics),
        "tasks": [
            drawn[uid] | after_failure(after, place, uid, graph[uid])
            for place, uid in enumerate(graph)
        ],
        "graph": graph,
    }
    if limit := draw(_run_limits):
        template["timeout"] = limit
    if on_error := draw(_on_error):
        template["on_error"] = on_error
    if defaults := draw(_defaults):
        template["defaults"] = defaults
    return closed(template, closing)


@st.composite
def histories(draw: DrawFn, *, max_actions: int = 4) -> list[Action]:
    """Draw actions on a workflow with their instants, for `play`; they fit any workflow.

    Args:
        draw: Given by Hypothesis.
        max_actions: The largest number of actions; to suspend and resume counts as one.
    """
    history: list[Action] = []
    for number, (deed, detail) in draw(_actions(max_actions)):
        at = number and number - 0.5
        if deed == "pause":
            history += [(at, "suspend", None), (at + detail, "resume", None)]
        else:
            history.append((at, deed, detail))
    return sorted(history, key=lambda action: action[0])


@cache
def _actions(most: int) -> SearchStrategy[list[tuple[int, tuple[str, Any]]]]:
    """Draw actions with the numbers of their instants; "pause" is to suspend and resume."""
    some: list[tuple[str, Any]] = [("suspend", None), ("resume", None), ("cancel", None)]
    some += [("pause", seconds) for seconds in (0, 1, 4, 9)]
    some += [("timeout", None), ("stop", None), ("stop", 3)]
    some += [("cancel task", place) for place in range(4)]
    some += [("event", topic) for topic in (*TOPICS, *TOPICS, "red", "red")]
    some += [("trigger", None), ("trigger", None), ("trigger", 3.625), ("trigger", -1)]
    some += [("report", None)]
    some += [("handler error", how) for how in ("sync", "async", "odd")]
    some += [("callback error", how) for how in ("sync", "odd")]
    some += [("edit", name) for name in EDITS]
    return st.lists(st.tuples(_below(12), st.sampled_from(some)), max_size=most)


def _places(draw: DrawFn, most: int) -> Iterator[tuple[str, list[str]]]:
    """Draw the ids of tasks one by one, each with the ids of its parents."""
    ids: list[str] = []
    # Not by drawing the number of tasks first, and with as many draws for each task: so Hypothesis
    # can leave any task out of a failure, and the others stay as they are.
    while not ids or (draw(_below(5)) and len(ids) < most):
        match draw(_ways):
            case "chain":
                parents = ids[-1:]
            case "fan":
                parents = ids[:1]
            case _:
                places = {draw(_below(most)) for _ in range(1 + draw(_below(4)))}
                parents = [uid for place, uid in enumerate(ids) if place in places] or ids[-1:]
        ids.append(_id(len(ids)))
        yield ids[-1], parents


def _graph(draw: DrawFn, parents: dict[str, list[str]]) -> Graph:
    """Draw the order in which tasks are declared, and the order of each task's successors."""
    graph = {uid: [down for down, ups in parents.items() if uid in ups] for uid in parents}
    for successors in graph.values():
        if len(successors) > 1 and draw(_flags):
            successors.reverse()
    return dict(reversed(graph.items())) if len(graph) > 1 and draw(_flags) else graph


def _behaviour(draw: DrawFn) -> tuple[Data, Data]:
    """Draw the config of an actor, and what it says of being mapped."""
    duration, mapped = draw(_seconds)
    config: Data = {"seconds": duration} if duration else {}
    for deed in draw(_deeds):
        config |= deed
    return config, deepcopy(mapped)


def _join(draw: DrawFn, parents: Sequence[str]) -> Data:
    """Draw the config of a join; it shrinks to a join that waits for all of its parents."""
    number = draw(_below(len(parents) + 2 ** len(parents) - 1))
    more = number - len(parents) + 1
    config: Data = {"wait_for": len(parents) - number if more < 1 else _some_of(parents, more)}
    if how := draw(_collects):
        config["collect"] = how
    return config


def _fan_in(draw: DrawFn, parents: int) -> Data:
    """Draw the keys by which a task waits for parents; they shrink to `all`."""
    number = draw(_below(parents + 3))
    join: Data = {"join": ["all", "settled", "first", *range(1, parents + 1)][number]}
    if join["join"] != "first" and (how := draw(_collects)):
        join["collect"] = how
    return join


def _id(number: int) -> str:
    """Return "a", "b" and so on; after "z" comes "a1"."""
    rounds, letter = divmod(number, 26)
    return "abcdefghijklmnopqrstuvwxyz"[letter] + (str(rounds) if rounds else "")


@cache
def _below(number: int) -> SearchStrategy[int]:
    """Draw a number from zero on, below another; cached, because making a strategy takes long."""
    return st.integers(0, number - 1)


def _some_of(values: Sequence[str], mask: int) -> list[str]:
    """Return the values whose bits in a mask are set."""
    return [value for place, value in enumerate(values) if mask >> place & 1]
