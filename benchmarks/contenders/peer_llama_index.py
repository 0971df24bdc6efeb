"""llama-index-workflows: steps tied together by the events they take and return.

A run ends with one `StopEvent`, so a seventh step collects the two leaves, as its guide on
waiting for several events does.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"
# ruff: noqa: D101, D102 - the steps are f1 to f6; `from __future__` would hide their types

from collections.abc import Awaitable, Callable
from typing import Any

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from benchmarks.contenders.steps import count, peer_works

DISTRIBUTIONS = ("llama-index-workflows",)
NO_LIMIT = None


class E1(Event):
    value: int


class E2ToF3(Event):
    value: int


class E2ToF4(Event):
    value: int


class E3(Event):
    value: int


class E4(Event):
    value: int


class E5(Event):
    value: int


class E6(Event):
    value: int


class Readme(Workflow):
    """The DAG of the README.

    Args:
        wait: What each step awaits.
    """

    def __init__(self, wait: Callable[[], Awaitable[None]]) -> None:
        super().__init__(timeout=NO_LIMIT)
        self.wait = wait

    async def work(self, value: int) -> int:
        await self.wait()
        return count({"value": value})["value"]

    @step
    async def f1(self, ev: StartEvent) -> E1:
        return E1(value=await self.work(ev.value))

    @step
    async def f2(self, ctx: Context, ev: E1) -> E2ToF3 | E2ToF4 | None:
        value = await self.work(ev.value)
        ctx.send_event(E2ToF3(value=value))
        ctx.send_event(E2ToF4(value=value))
        return None

    @step
    async def f3(self, ev: E2ToF3) -> E3:
        return E3(value=await self.work(ev.value))

    @step
    async def f4(self, ev: E2ToF4) -> E4:
        return E4(value=await self.work(ev.value))

    @step
    async def f5(self, ev: E3) -> E5:
        return E5(value=await self.work(ev.value))

    @step
    async def f6(self, ev: E4) -> E6:
        return E6(value=await self.work(ev.value))

    @step
    async def end(self, ctx: Context, ev: E5 | E6) -> StopEvent | None:
        found = ctx.collect_events(ev, [E5, E6])
        return None if found is None else StopEvent(result=found[0].value)


def make(wait: Callable[[], Awaitable[None]]) -> Any:
    """Return what runs the DAG of the README once."""
    workflow = Readme(wait)

    async def run_once() -> Any:
        return await workflow.run(value=0)

    return run_once


WORKS = peer_works(make, expected=4)
