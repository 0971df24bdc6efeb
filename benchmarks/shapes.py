"""The graphs that every contender runs: task id -> ids of its successors, in order."""

from __future__ import annotations

Graph = dict[str, list[str]]

README: Graph = {
    "f1": ["f2"],
    "f2": ["f3", "f4"],
    "f3": ["f5"],
    "f4": ["f6"],
    "f5": [],
    "f6": [],
}

PARKED = ("f3", "f4")
"""The tasks of `README` that wait, in the works that look at workflows in flight."""

JOIN = "join"
"""Id of the last task of `fan_out`."""


def chain(size: int) -> Graph:
    """Return `size` tasks, one after the other."""
    ids = [f"t{number}" for number in range(size)]
    return {uid: ids[at + 1 : at + 2] for at, uid in enumerate(ids)}


def fan_out(size: int) -> Graph:
    """Return a root, `size` tasks side by side, and one task that waits for all of them."""
    ids = [f"t{number}" for number in range(size)]
    return {"root": ids, **{uid: [JOIN] for uid in ids}, JOIN: []}


def branches(size: int) -> Graph:
    """Return a root, and `size` tasks side by side that nothing waits for."""
    ids = [f"t{number}" for number in range(size)]
    return {"root": ids, **{uid: [] for uid in ids}}


def count_parents(graph: Graph) -> dict[str, int]:
    """Return how many tasks lead to each task."""
    counts = dict.fromkeys(graph, 0)
    for successors in graph.values():
        for uid in successors:
            counts[uid] += 1
    return counts


def root(graph: Graph) -> str:
    """Return the first task that no other leads to."""
    return next(uid for uid, count in count_parents(graph).items() if not count)
