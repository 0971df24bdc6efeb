"""llama-index-workflows: steps tied together by the events they take and return.

A run ends with one `StopEvent`, so a seventh step collects the two leaves, as its guide on
waiting for several events does. Items are a list of events that a step returns, and a child is a
step that awaits the run of another workflow.
"""
# pyright: basic, reportMissingImports=false
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, unused-ignore"
# ruff: noqa: D101, D102 - the steps are f1 to f6; `from __future__` would hide their types

import functools
from typing import Any

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent
from workflows.retry_policy import (
    RetryPolicy,
    retry_if_exception_type,
    retry_policy,
    stop_after_attempt,
    wait_fixed,
)

from benchmarks.contenders.peer_policies import ATTEMPTS, DELAY, Failing, Wait, many, maps, waiting
from benchmarks.contenders.steps import Data, count, peer_works

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


class Item(Event):
    place: int
    value: int


class Done(Event):
    place: int
    value: int


def readme_with(policy: RetryPolicy | None) -> type[Workflow]:  # noqa: C901 - seven small steps
    """Return the DAG of the README, the steps of which have a policy."""
    stepped = step(retry_policy=policy)

    class Readme(Workflow):
        """The DAG of the README.

        Args:
            wait: What each step awaits.
        """

        def __init__(self, wait: Wait) -> None:
            super().__init__(timeout=NO_LIMIT)
            self.wait = wait

        async def work(self, value: int) -> int:
            await self.wait()
            return count({"value": value})["value"]

        @stepped
        async def f1(self, ev: StartEvent) -> E1:
            return E1(value=await self.work(ev.value))

        @stepped
        async def f2(self, ctx: Context, ev: E1) -> E2ToF3 | E2ToF4 | None:
            value = await self.work(ev.value)
            ctx.send_event(E2ToF3(value=value))
            ctx.send_event(E2ToF4(value=value))
            return None

        @stepped
        async def f3(self, ev: E2ToF3) -> E3:
            return E3(value=await self.work(ev.value))

        @stepped
        async def f4(self, ev: E2ToF4) -> E4:
            return E4(value=await self.work(ev.value))

        @stepped
        async def f5(self, ev: E3) -> E5:
            return E5(value=await self.work(ev.value))

        @stepped
        async def f6(self, ev: E4) -> E6:
            return E6(value=await self.work(ev.value))

        @step
        async def end(self, ctx: Context, ev: E5 | E6) -> StopEvent | None:
            found = ctx.collect_events(ev, [E5, E6])
            return None if found is None else StopEvent(result=found[0].value)

    return Readme


def make(wait: Wait, policy: RetryPolicy | None = None) -> Any:
    """Return what runs the DAG of the README once."""
    workflow = readme_with(policy)(wait)  # type: ignore[call-arg]

    async def run_once() -> Any:
        return await workflow.run(value=0)

    return run_once


def make_map(wait: Wait, at_once: int | None) -> Any:
    """Return what maps a step over items.

    A step has 4 workers unless it is told how many; so many as there are items is "all at once".
    """

    def mapped(workers: int) -> Workflow:
        class Mapped(Workflow):
            @step
            async def spread(self, ev: StartEvent) -> list[Item]:
                pairs = enumerate(ev.given)
                return [Item(place=place, value=item["value"]) for place, item in pairs]

            @step(num_workers=workers)
            async def each(self, ev: Item) -> Done:
                await wait()
                return Done(place=ev.place, value=count({"value": ev.value})["value"])

            @step
            async def collect(self, found: list[Done]) -> StopEvent:
                in_order = sorted(found, key=lambda done: done.place)
                return StopEvent(result=[{"value": done.value} for done in in_order])

        return Mapped(timeout=NO_LIMIT)

    made: dict[int, Workflow] = {}

    async def run_items(items: list[Data]) -> Any:
        workers = at_once or len(items)
        if workers not in made:
            made[workers] = mapped(workers)
        return await made[workers].run(given=items)

    return run_items


class Child(Workflow):
    """A workflow of one step."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(timeout=NO_LIMIT)
        self.wait = wait

    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        await self.wait()
        return StopEvent(result=count({"value": ev.value})["value"])


class Chain(Workflow):
    """A chain of three steps; the one in the middle may run a workflow."""

    def __init__(self, wait: Wait, child: Workflow | None) -> None:
        super().__init__(timeout=NO_LIMIT)
        self.wait = wait
        self.child = child

    @step
    async def a(self, ev: StartEvent) -> E1:
        await self.wait()
        return E1(value=count({"value": ev.value})["value"])

    @step
    async def b(self, ev: E1) -> E3:
        if self.child is not None:
            return E3(value=await self.child.run(value=ev.value))
        await self.wait()
        return E3(value=count({"value": ev.value})["value"])

    @step
    async def c(self, ev: E3) -> StopEvent:
        await self.wait()
        return StopEvent(result=count({"value": ev.value})["value"])


def make_chain(wait: Wait, *, has_child: bool) -> Any:
    """Return what runs a chain of three once, with a child in the middle or without."""
    workflow = Chain(wait, Child(wait) if has_child else None)

    async def run_once() -> Any:
        return await workflow.run(value=0)

    return run_once


def make_failing(failing: Failing) -> Any:
    """Return what starts a workflow of one step that fails."""
    policy = retry_policy(
        retry=retry_if_exception_type(ConnectionError),
        wait=wait_fixed(DELAY),
        stop=stop_after_attempt(2),
    )

    class Fails(Workflow):
        @step(retry_policy=policy)
        async def a(self, ev: StartEvent) -> StopEvent:
            failing.fail()
            return StopEvent(result=ev)

    workflow = Fails(timeout=NO_LIMIT)
    return workflow.run


RETRY = retry_policy(retry=retry_if_exception_type(OSError), stop=stop_after_attempt(ATTEMPTS))

WORKS = {
    **peer_works(make, expected=4),
    **maps(make_map),
    "retry noop": many(functools.partial(make, policy=RETRY), 4),
    "child": many(functools.partial(make_chain, has_child=True), 3),
    "no child": many(functools.partial(make_chain, has_child=False), 3),
    "back-off": waiting(make_failing),
}
