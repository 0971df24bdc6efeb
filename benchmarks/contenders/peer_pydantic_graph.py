"""pydantic-graph: steps in a typed graph, made with its builder.

A run needs one end, so the two leaves are joined, as its guide on joins does.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

from benchmarks.contenders.steps import Data, count, peer_works

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DISTRIBUTIONS = ("pydantic-graph", "anyio")


def make(wait: Callable[[], Awaitable[None]]) -> Any:
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


WORKS = peer_works(make, expected=[{"value": 4}, {"value": 4}])
