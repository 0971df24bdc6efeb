"""What properties draw from: graphs, template documents that are sound, and those that are not.

Owns:   the shapes of random input; a property says what must hold for all of it.
Knows:  the dict form of templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tukio._model.policy import ErrorPolicy, OverrunPolicy

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

Graph = dict[str, list[str]]

NAMES = tuple("abcdef")

# Whole numbers that no float can hold are legal JSON, and so are NaN and Infinity to Python.
numbers: SearchStrategy[float] = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 10**400, -(10**400)])
)

scalars: SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=4))

json_values: SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
"""Anything that JSON can carry."""


@st.composite
def graphs(draw: DrawFn, *, rooted: bool = False) -> Graph:
    """Draw an acyclic graph: node -> its successors; the declared order is any order.

    Args:
        draw: Given by Hypothesis.
        rooted: Whether there must be exactly one node without predecessor, hence one node at least.
    """
    nodes = draw(st.permutations(NAMES[: draw(st.integers(int(rooted), len(NAMES)))]))
    # An edge goes only from an earlier to a later node: no cycle.
    upstream: dict[str, list[str]] = {
        node: draw(st.lists(st.sampled_from(nodes[:place]), unique=True, min_size=int(rooted)))
        for place, node in enumerate(nodes)
        if place
    }
    graph: Graph = {
        node: draw(st.permutations([down for down, ups in upstream.items() if node in ups]))
        for node in draw(st.permutations(nodes))
    }
    return graph


extras: SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.text(max_size=8).map("x-{}".format), json_values, max_size=2
)
"""Keys of the user's own."""

limits = st.none() | st.integers(0, 10**6) | st.floats(0, 1e6)
topics = st.none() | st.lists(st.text(max_size=4), max_size=3)


@st.composite
def sound_tasks(draw: DrawFn, uid: str) -> dict[str, Any]:
    """Draw a task in its complete dict form."""
    task = {
        "name": draw(st.text(max_size=4)),
        "id": uid,
        "config": draw(st.dictionaries(st.text(max_size=4), json_values, max_size=2)),
        "timeout": draw(limits),
        "topics": draw(topics),
    }
    return task | draw(extras)


@st.composite
def sound_documents(draw: DrawFn) -> dict[str, Any]:
    """Draw a template document as `as_dict` would write it."""
    graph = draw(graphs())
    document: dict[str, Any] = {
        "id": draw(st.text(min_size=1, max_size=4)),
        "policy": draw(st.sampled_from([policy.value for policy in OverrunPolicy])),
        "topics": draw(topics),
        "timeout": draw(limits),
        "schema": draw(st.integers(1, 9)),
        "tasks": [draw(sound_tasks(uid)) for uid in graph],
        "graph": graph,
    }
    optional = {
        "title": draw(st.none() | st.text(max_size=4)),
        "meta": draw(json_values),
        "on_error": draw(st.sampled_from([None, ErrorPolicy.ABORT.value])),
    }
    document |= {key: value for key, value in optional.items() if value is not None}
    return document | draw(extras)


def _mostly(sound: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Draw from a strategy, and now and then anything at all."""
    return st.integers(0, 19).flatmap(lambda n: json_values if n == 7 else sound)


def _fields(**fields: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Draw a document in which each field may be missing."""
    return st.fixed_dictionaries({}, optional=dict(fields))


# Few ids, so that they often meet; some look like the paths of a report, or like nothing.
_ids = st.sampled_from(["a", "b", "c", "d", "tasks[0]", "tasks[1]", ""])
_limits = _mostly(limits) | _mostly(limits) | numbers
_topics = _mostly(st.none() | st.lists(_mostly(st.text(max_size=4)), max_size=2))
_schemas = st.none() | st.integers()

_tasks = _fields(config=json_values, timeout=_limits, topics=_topics).flatmap(
    lambda task: _mostly(st.just({"name": "x"} | task))
)

_headers = _fields(
    id=_mostly(st.text(max_size=4)),
    policy=_mostly(st.sampled_from([policy.value for policy in OverrunPolicy])),
    on_error=_mostly(st.sampled_from([policy.value for policy in ErrorPolicy])),
    topics=_topics,
    timeout=_limits,
    schema=_mostly(_schemas),
    title=_mostly(st.text(max_size=4)),
    meta=json_values,
)


@st.composite
def _loose_documents(draw: DrawFn) -> dict[str, Any]:
    """Draw a document that looks like a template, and whose parts may not fit together."""
    ids = draw(st.lists(_ids, max_size=5, unique=draw(st.integers(0, 3)) > 0))
    tasks = [draw(_tasks) for _ in ids]
    for task, uid in zip(tasks, ids, strict=True):
        if isinstance(task, dict) and draw(st.integers(0, 7)) != 3:
            task["id"] = draw(_mostly(st.just(uid)))
    graph: dict[Any, Any] = {}
    for place, uid in enumerate(ids):
        # Mostly forwards, so that there is not always a cycle.
        stray = [draw(_ids)] if draw(st.integers(0, 7)) == 3 else []
        if downs := ids[place + 1 :] + stray:
            graph[uid] = draw(_mostly(st.lists(_mostly(st.sampled_from(downs)), max_size=3)))
    parts = {"tasks": draw(_mostly(st.just(tasks))), "graph": draw(_mostly(st.just(graph)))}
    missing = draw(st.sampled_from([None] * 8 + [*parts]))
    header: dict[str, Any] = draw(_headers)
    return header | {key: part for key, part in parts.items() if key != missing}


any_documents: SearchStrategy[Any] = _mostly(_loose_documents())
"""Documents that look like a template, more or less: nearly half of them are sound."""
