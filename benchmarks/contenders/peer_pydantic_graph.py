"""pydantic-graph: steps in a typed graph, made with its builder.

A run needs one end, so the two leaves are joined, as its guide on joins does. It has no retries,
no limit to how many items are at work, and no graph in the place of a step: a child is a step that
awaits the run of another graph.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

from benchmarks.contenders.peer_policies import many, maps
from benchmarks.contenders.steps import Data, count, peer_works

if TYPE_CHECKING:
    from benchmarks.contenders.peer_policies import Wait

DISTRIBUTIONS = ("pydantic-graph", "anyio")


def make(wait: Wait) -> Any:
    """Return what runs the DAG of the README once."""
    builder = GraphBuilder(input_type=dict, output_type=list)

    async def step(ctx: StepContext[None, None, Data]) -> Data:
        await wait()
        return count(ctx.inputs)

    f1, f2, f3, f4, f5, f6 = (builder.step(step, node_id=f"f{number}") for number in range(1, 7))
    ends = builder.join(reduce_list_append, initial_factory=list)
    builder.add(
        builder.edge_from(builder.start_node).to(f1),
        builder.edge_from(f1).to(f2),
        builder.edge_from(f2).to(f3, f4),
        builder.edge_from(f3).to(f5),
        builder.edge_from(f4).to(f6),
        builder.edge_from(f5, f6).to(ends),
        builder.edge_from(ends).to(builder.end_node),
    )
    graph = builder.build()

    async def run_once() -> Any:
        return await graph.run(inputs={"value": 0})

    return run_once


def make_map(wait: Wait, _: int | None) -> Any:
    """Return what maps a step over items."""
    builder = GraphBuilder(input_type=list, output_type=list)

    async def each(ctx: StepContext[None, None, tuple[int, Data]]) -> tuple[int, Data]:
        await wait()
        place, item = ctx.inputs
        return place, count(item)

    step = builder.step(each, node_id="each")
    results = builder.join(reduce_list_append, initial_factory=list)
    builder.add(
        builder.edge_from(builder.start_node).map().to(step),
        builder.edge_from(step).to(results),
        builder.edge_from(results).to(builder.end_node),
    )
    graph = builder.build()

    async def run_items(items: list[Data]) -> Any:
        # They come as they end, and nothing else says which is of which item.
        found = await graph.run(inputs=list(enumerate(items)))
        return [result for _, result in sorted(found, key=lambda pair: pair[0])]

    return run_items


def chain_of(ids: str, do: Any, **others: Any) -> Any:
    """Return a chain of steps that do the same, but for those that are named."""
    builder = GraphBuilder(input_type=dict, output_type=dict)
    steps = [builder.step(others.get(uid, do), node_id=uid) for uid in ids]
    places = [builder.start_node, *steps, builder.end_node]
    builder.add(*(builder.edge_from(a).to(b) for a, b in itertools.pairwise(places)))
    return builder.build()


def make_chain(wait: Wait, *, has_child: bool) -> Any:
    """Return what runs a chain of three once, with a child in the middle or without."""

    async def step(ctx: StepContext[None, None, Data]) -> Data:
        await wait()
        return count(ctx.inputs)

    child = chain_of("x", step)

    async def parent(ctx: StepContext[None, None, Data]) -> Any:
        return await child.run(inputs=ctx.inputs)

    graph = chain_of("abc", step, b=parent) if has_child else chain_of("abc", step)

    async def run_once() -> Any:
        return await graph.run(inputs={"value": 0})

    return run_once


README_RUN = [{"value": 4}, {"value": 4}]
CHAIN_RUN = {"value": 3}

WORKS = {
    **peer_works(make, expected=README_RUN),
    **maps(make_map, limits=False),
    "child": many(functools.partial(make_chain, has_child=True), CHAIN_RUN),
    "no child": many(functools.partial(make_chain, has_child=False), CHAIN_RUN),
}
