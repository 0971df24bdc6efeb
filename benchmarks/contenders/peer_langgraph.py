"""langgraph: nodes over a shared state, in supersteps; the two branches merge by a reducer.

Items are sent to a node with `Send`, and a child is a compiled graph in the place of a node.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"

from __future__ import annotations

import asyncio
import functools
import operator
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, Send, TimeoutPolicy

from benchmarks.contenders.peer_policies import ATTEMPTS, DELAY, Failing, many, maps, waiting
from benchmarks.contenders.steps import Data, count, peer_works
from benchmarks.shapes import README

if TYPE_CHECKING:
    from benchmarks.contenders.peer_policies import Wait

DISTRIBUTIONS = ("langgraph",)


class State(TypedDict):
    """What the nodes share; both branches add to it in the same superstep."""

    value: Annotated[int, operator.add]


class Count(TypedDict):
    """What the nodes of a chain hand on."""

    value: int


class Items(TypedDict):
    """What is mapped over; the results come in the order of the items."""

    items: list[Data]
    results: Annotated[list[Data], operator.add]


def make(wait: Wait, **policy: Any) -> Any:
    """Return what runs the DAG of the README once, its nodes with a policy."""

    async def node(state: State) -> dict[str, int]:
        del state
        await wait()
        return {"value": 1}

    builder = StateGraph(State)
    for uid in README:
        builder.add_node(uid, node, **policy)
    builder.add_edge(START, "f1")
    for uid, followers in README.items():
        for follower in followers or [END]:
            builder.add_edge(uid, follower)
    graph = builder.compile()

    async def run_once() -> Any:
        return await graph.ainvoke({"value": 0})

    return run_once


def make_map(wait: Wait, at_once: int | None) -> Any:
    """Return what maps a node over items."""

    async def each(item: Data) -> dict[str, list[Data]]:
        await wait()
        return {"results": [count(item)]}

    builder = StateGraph(Items)
    builder.add_node("each", each)
    builder.add_conditional_edges(
        START, lambda state: [Send("each", item) for item in state["items"]], ["each"]
    )
    builder.add_edge("each", END)
    graph = builder.compile()
    config: Any = {} if at_once is None else {"max_concurrency": at_once}

    async def run_items(items: list[Data]) -> Any:
        found = await graph.ainvoke({"items": items}, config)
        return found["results"]

    return run_items


def chain_of(wait: Wait, middle: Any = None) -> Any:
    """Return a compiled chain of three nodes, of which the one in the middle may be a graph."""

    async def node(state: Count) -> dict[str, int]:
        await wait()
        return {"value": state["value"] + 1}

    builder = StateGraph(Count)
    for uid in "abc":
        builder.add_node(uid, middle if middle and uid == "b" else node)
    for uid, follower in (START, "a"), ("a", "b"), ("b", "c"), ("c", END):
        builder.add_edge(uid, follower)
    return builder.compile()


def child_of(wait: Wait) -> Any:
    """Return a compiled graph of one node."""

    async def only(state: Count) -> dict[str, int]:
        await wait()
        return {"value": state["value"] + 1}

    builder = StateGraph(Count)
    builder.add_node("only", only)
    builder.add_edge(START, "only")
    builder.add_edge("only", END)
    return builder.compile()


def make_chain(wait: Wait, *, has_child: bool) -> Any:
    """Return what runs the chain once, with a child or without."""
    graph = chain_of(wait, child_of(wait) if has_child else None)

    async def run_once() -> Any:
        return await graph.ainvoke({"value": 0})

    return run_once


def make_failing(failing: Failing) -> Any:
    """Return what starts a graph of one node that fails."""

    async def node(state: Count) -> dict[str, int]:
        del state
        failing.fail()
        return {}

    builder = StateGraph(Count)
    policy = RetryPolicy(DELAY, 1.0, DELAY, 2, jitter=False, retry_on=ConnectionError)
    builder.add_node("a", node, retry_policy=policy)
    builder.add_edge(START, "a")
    builder.add_edge("a", END)
    graph = builder.compile()
    return lambda: asyncio.create_task(graph.ainvoke({"value": 0}))


RETRY = {"retry_policy": RetryPolicy(max_attempts=ATTEMPTS, retry_on=OSError)}
SIGNS = {"timeout": TimeoutPolicy(idle_timeout=10.0)}
README_RUN = {"value": 6}
CHAIN_RUN = {"value": 3}

WORKS = {
    **peer_works(make, expected=README_RUN),
    **maps(make_map),
    "retry noop": many(functools.partial(make, **RETRY), README_RUN),
    "signs noop": many(functools.partial(make, **SIGNS), README_RUN),
    "child": many(functools.partial(make_chain, has_child=True), CHAIN_RUN),
    "no child": many(functools.partial(make_chain, has_child=False), CHAIN_RUN),
    "back-off": waiting(make_failing),
}
