"""langgraph: nodes over a shared state, in supersteps; the two branches merge by a reducer."""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

from benchmarks.contenders.steps import peer_works
from benchmarks.shapes import README

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DISTRIBUTIONS = ("langgraph",)


class State(TypedDict):
    """What the nodes share; both branches add to it in the same superstep."""

    value: Annotated[int, operator.add]


def make(wait: Callable[[], Awaitable[None]]) -> Any:
    """Return what runs the DAG of the README once."""

    async def node(state: State) -> dict[str, int]:
        del state
        await wait()
        return {"value": 1}

    builder = StateGraph(State)
    for uid in README:
        builder.add_node(uid, node)
    builder.add_edge(START, "f1")
    for uid, followers in README.items():
        for follower in followers or [END]:
            builder.add_edge(uid, follower)
    graph = builder.compile()

    async def run_once() -> Any:
        return await graph.ainvoke({"value": 0})

    return run_once


WORKS = peer_works(make, expected={"value": 6})
