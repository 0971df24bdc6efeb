"""What the comparison draws from: templates of actors and joins, and what is done to their runs.

Owns:   how likely what is. Few draws make an example, so that many are made, and what is left of
        a failure is small: plain actors, in a row, to which nothing is done.
Knows:  the behaviours.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from .parts import Data, Order

IDS = "abcdef"
CHOOSES = {"chooses": True}
TWISTS: list[Data] = [
    *[{"ends": how} for how in ("none", "event", "text", "skip", "task error", "error")],
    *[{"turns": turns} for turns in (1, 3)],
    *[{"when_cut": how} for how in ("dict", "none", "text", "skip", "task error", "error")],
    *[{"shields": shields} for shields in (1, 2, 4)],
    *[{"teardown": how} for how in ("dict", "error")],
    *[{"cleans": cleans} for cleans in (1, 2, 3, 7)],
    CHOOSES,
    CHOOSES,
]

seconds: SearchStrategy[int] = st.sampled_from([0, 1, 2, 3, 5, 9, 9, 0])
twists: SearchStrategy[list[Data]] = st.lists(st.sampled_from(TWISTS), max_size=4)
limits: SearchStrategy[int | None] = st.sampled_from([None, None, None, 1, 2, 4, 7])
run_limits: SearchStrategy[int | None] = st.sampled_from([None, None, None, 3, 6, 12])
collects: SearchStrategy[str | None] = st.sampled_from([None, None, "merge", "all"])
flags: SearchStrategy[bool] = st.booleans()


@cache
def below(number: int) -> SearchStrategy[int]:
    """Draw a number from zero on; made once, as that is what takes time."""
    return st.integers(0, number - 1)


def some_of(values: list[str], mask: int) -> list[str]:
    """Return the values whose bits are set."""
    return [value for place, value in enumerate(values) if mask >> place & 1]


def actor(draw: DrawFn, successors: list[str]) -> Data:
    """Draw a behaviour."""
    config: Data = {}
    if duration := draw(seconds):
        config["seconds"] = duration
    for twist in draw(twists):
        config |= twist
    if config.pop("chooses", None) and successors:
        config["chooses"] = some_of(successors, draw(below(2 ** len(successors))))
    return config


def join(draw: DrawFn, parents: list[str]) -> Data:
    """Draw the config of a join; it shrinks to one that waits for all of its parents."""
    number = draw(below(len(parents) + 2 ** len(parents) - 1))
    more = number - len(parents) + 1
    config: Data = {"wait_for": len(parents) - number if more < 1 else some_of(parents, more)}
    if how := draw(collects):
        config["collect"] = how
    return config


@st.composite
def templates(draw: DrawFn) -> Data:
    """Draw a template with one root, in its dict form."""
    ids = IDS[: 1 + draw(below(len(IDS)))]
    parents = {uid: [ids[0]] for uid in ids[1:2]}
    for place, uid in enumerate(ids[2:], 2):
        parents[uid] = some_of(list(ids[:place]), 1 + draw(below(2**place - 1)))
    graph = {uid: [down for down, ups in parents.items() if uid in ups] for uid in ids}
    tasks: list[Data] = []
    for uid, downs in graph.items():
        if len(downs) > 1 and draw(flags):
            downs.reverse()
        ups = parents.get(uid, [])
        is_join = len(ups) > 1 and draw(flags)
        config = join(draw, ups) if is_join else actor(draw, downs)
        tasks.append({"id": uid, "name": "join" if is_join else "actor", "config": config})
        if limit := draw(limits):
            tasks[-1]["timeout"] = limit
    template: Data = {"id": "flow", "policy": "start-new", "tasks": tasks, "graph": graph}
    if limit := draw(run_limits):
        template["timeout"] = limit
    if draw(below(4)) == 3:
        template["on_error"] = "abort"
    return template


@cache
def orders(ids: str) -> SearchStrategy[list[tuple[int, tuple[str, Any]]]]:
    """Draw numbers of instants, and what is done then; "pause" is to suspend and resume."""
    some: list[tuple[str, Any]] = [("suspend", None), ("resume", None), ("cancel", None)]
    some += [("pause", pause) for pause in (0, 1, 4, 9)] * 2
    some += [("timeout", None), ("stop", None), ("stop", 3)]
    some += [("cancel task", uid) for uid in ids]
    return st.lists(st.tuples(below(12), st.sampled_from(some)), max_size=4)


@st.composite
def cases(draw: DrawFn) -> tuple[Data, list[Order]]:
    """Draw a template, and what is done to its run: between the instants of its tasks.

    Unless it is resumed, which shifts these.
    """
    template = draw(templates())
    timeline: list[Order] = []
    for number, (name, detail) in draw(orders("".join(template["graph"]))):
        at = number and number - 0.5
        if name == "pause":
            timeline += [(at, "suspend", None), (at + detail, "resume", None)]
        else:
            timeline.append((at, name, detail))
    return template, sorted(timeline, key=lambda order: order[0])
