"""A few programs that use much of the engine, the hosts they run on, and how they end by Ctrl-C.

Owns:   the programs, each a story that is told while it runs.
Knows:  asyncio, with and without `asyncio.run`, and trio.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import anyio.lowlevel

import tukio
from tukio.testing.clock import is_available, new_loop, run
from tukio.testing.interrupting import causes

from .flow import Tasks, flow
from .silence import silence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

SUSPENDED = tukio.FutureState.suspended


Prepare: TypeAlias = "Callable[[Story, tukio.Engine], object] | None"


@dataclass
class Story:
    """What happened in a program."""

    runs: list[Any] = field(default_factory=list[Any])
    entered: list[Any] = field(default_factory=list[Any])
    cut: list[Any] = field(default_factory=list[Any])
    left: list[Any] = field(default_factory=list[Any])
    tearing: list[Any] = field(default_factory=list[Any])
    torn: list[Any] = field(default_factory=list[Any])
    in_the_block: bool = False
    called: Callable[[str], object] = str
    """Called with what is called: the text of an error, or a predicate."""


def register(task: Tasks, story: Story) -> None:
    """Register what the programs run."""

    @task
    class holds(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> Any:
            story.entered.append(self)
            try:
                await anyio.sleep(1)
            except anyio.get_cancelled_exc_class():
                story.cut.append(self)
                raise
            finally:
                story.left.append(self)
            return event.data

        async def teardown(self) -> None:
            story.tearing.append(self)
            await anyio.sleep(0.25)
            await anyio.sleep(0.25)
            story.torn.append(self)

    @task
    async def quick(event: tukio.Event) -> Any:
        return event.data

    @task
    async def listens(event: tukio.Event) -> Any:
        return await tukio.current_task().queue.get()


def register_others(task: Tasks) -> None:
    """Register what ends in another way than that it waits for long."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise LookupError

    @task
    async def falters(event: tukio.Event) -> None:
        if tukio.current_task().attempt == 1:
            raise LookupError

    @task
    async def calls(event: tukio.Event) -> Any:
        return await tukio.run_child(INNER, event.data)

    @task
    async def skips(event: tukio.Event) -> None:
        raise tukio.SkipTask("why not")


def register_odd(task: Tasks, story: Story) -> None:
    """Register what has code of users called that is no task."""

    class Odd(LookupError):
        def __str__(self) -> str:
            story.called("text")
            return "odd"

    @task
    async def odd(event: tukio.Event) -> None:
        raise Odd

    @task.predicate("asks")
    def asks(error: BaseException) -> bool:
        story.called("predicate")
        return True


async def started(engine: tukio.Engine, story: Story, *args: Any, **fields: Any) -> Any:
    """Start a run, and note it."""
    template = flow(*args, **fields)
    story.runs.append(await engine.run_once(template, {"n": 1}))
    return story.runs[-1]


async def branches(story: Story, engine: tukio.Engine) -> None:
    """Steps that wait, skip and end at once, with subscribers of both kinds."""

    async def slowly(event: tukio.Event) -> None:
        await anyio.sleep(0.1)

    engine.broker.register(slowly, tukio.EXEC_TOPIC)
    engine.broker.register(lambda event: None, tukio.EXEC_TOPIC)
    graph = {"a": ["b", "c"], "b": ["d"]}
    names = {"a": "holds", "b": "skips", "c": "holds", "d": "quick"}
    await (await started(engine, story, graph, names=names)).wait()


async def aborts(story: Story, engine: tukio.Engine) -> None:
    """A failure that stops the siblings."""
    names = {"a": "quick", "b": "fails", "c": "holds"}
    graph = {"a": ["b", "c"]}
    run = await started(engine, story, graph, names=names, timeout=10, on_error="abort")
    await run.wait()


async def limits(story: Story, engine: tukio.Engine) -> None:
    """Limits of a run and of a step."""
    names = {"a": "quick", "b": "holds", "c": "holds"}
    await started(engine, story, {"a": ["b", "c"]}, names=names, timeout=0.5)
    await started(engine, story, "d e", names={"d": "holds", "e": "quick"}, limits={"d": 0.25})
    for one in story.runs:
        await one.wait()


async def suspends(story: Story, engine: tukio.Engine) -> None:
    """Suspended and resumed, once to the end, once to a cancellation."""
    fan = {"a": ["b", "c"]}
    for _ in range(2):
        await started(engine, story, fan, names={"a": "quick", "b": "holds", "c": "holds"})
    await anyio.sleep(0.5)
    for one in story.runs:
        one.suspend()
    await anyio.sleep(1)
    story.runs[0].resume()
    await anyio.lowlevel.checkpoint()
    story.runs[1].cancel()
    await story.runs[0].wait()


async def replaces(story: Story, engine: tukio.Engine) -> None:
    """Started by events, each run in place of the one before; then stopped with a grace."""
    await engine.load(flow("holds", policy="abort-running", topics=["t"]))
    for n in range(3):
        story.runs += await engine.data_received({"n": n}, "t")
    await anyio.sleep(0.75)
    await engine.stop(0.1)


async def joins(story: Story, engine: tukio.Engine) -> None:
    """A join, steps with queues and streams, and a rescue."""
    graph = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}
    names = {"a": "quick", "b": "holds", "c": "listens", "d": "join"}
    template = flow(graph, names=names)
    by_id = {task.uid: task for task in template.tasks}
    by_id["c"].topics = ["t"]
    by_id["d"].config = {"wait_for": 2}
    async with engine.subscribe("t") as stream:
        story.runs.append(await engine.run_once(template, {"n": 1}))
        await anyio.sleep(0.5)
        report = tukio.report_from_json(tukio.report_to_json(story.runs[0].report()))
        story.runs[0].cancel()
        await story.runs[0].wait()
        story.runs.append(await engine.rescue(template, report))
        await anyio.sleep(0.5)
        await engine.data_received({"n": 2}, "t")
        await anext(stream)
        await story.runs[1].wait()


def chain(*tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the document of a workflow of some tasks, each after the other."""
    ids = [task["id"] for task in tasks]
    graph = {up: [down] for up, down in itertools.pairwise(ids)}
    return {"id": "chain", "policy": "start-new", "tasks": [*tasks], "graph": graph, **fields}


INNER = chain({"id": "x", "name": "holds"}, {"id": "y", "name": "fails"}, id="inner")
RETRY = {"attempts": 2, "initial": 0.25, "jitter": "none"}


async def beside(story: Story, engine: tukio.Engine, document: dict[str, Any]) -> None:
    """Start a run, suspend, resume and cancel it, rescue it, and note it and its children."""
    run: Any = await engine.start(document, {"list": [1, 2, 3]})
    await anyio.sleep(0.5)
    story.runs += engine.instances
    run.suspend()
    await anyio.sleep(0.5)
    run.resume()
    await anyio.sleep(0.5)
    report = tukio.report_from_json(tukio.report_to_json(run.report()))
    run.cancel()
    await run.wait()
    story.runs.append(await engine.rescue(document, report))


async def maps(story: Story, engine: tukio.Engine) -> None:
    """Items that wait, that are run again, and that fail; suspended, cut, and rescued."""
    over = {"over": "$.list", "limit": 2, "tolerate": "all"}
    each = {"id": "each", "name": "holds", "map": over}
    again = {"id": "again", "name": "falters", "map": over, "retry": RETRY}
    fails = {"id": "fails", "name": "fails", "map": {"over": "$.list"}}
    document = chain(again, each, fails)
    await beside(story, engine, document)
    await story.runs[-1].wait()
    limited = chain({"id": "at_once", "name": "quick", "map": over}, each | {"timeout": 0.25})
    await (await engine.start(limited, {"list": [1, 2, 3]})).wait()


async def children(story: Story, engine: tukio.Engine) -> None:
    """Tasks that are workflows, and code that calls them; suspended, cut, and rescued."""
    document = chain(
        {"id": "sub", "workflow": INNER, "retry": RETRY},
        {"id": "calls", "name": "calls"},
        {"id": "cut", "workflow": INNER, "timeout": 0.25},
    )
    await beside(story, engine, document)
    await anyio.sleep(1)
    story.runs += engine.instances
    await story.runs[0].wait()


async def maps_of_workflows(story: Story, engine: tukio.Engine) -> None:
    """Items that are runs; suspended, cut, and rescued."""
    over = {"over": "$.list", "limit": 2, "tolerate": 1}
    document = chain({"id": "each", "workflow": INNER, "map": over, "retry": RETRY})
    await beside(story, engine, document)
    await anyio.sleep(1)
    story.runs += engine.instances
    for one in list(story.runs):
        await one.wait()


async def undoes(story: Story, engine: tukio.Engine) -> None:
    """Failures that are handled, and one that is not: what was done is undone."""
    tasks: list[dict[str, Any]] = [
        {"id": "a", "name": "quick", "compensate": "holds"},
        {"id": "b", "name": "fails", "on_error": {"output": {"n": 2}}},
        {"id": "c", "name": "fails", "on_error": {"to": ["d"]}},
        {"id": "d", "name": "quick", "compensate": {"name": "falters", "retry": RETRY}},
        {"id": "e", "name": "fails"},
    ]
    last = [{"id": "z", "name": "quick"}, {"id": "y", "name": "holds", "timeout": 0.25}]
    document = chain(*tasks, **{"finally": last, "on_error": "abort"})
    story.runs.append(await engine.start(document, {"n": 1}))
    await story.runs[0].wait()


PROGRAMS = {
    each.__name__: each
    for each in (
        *(branches, aborts, limits, suspends, replaces, joins),
        *(maps, children, maps_of_workflows, undoes),
    )
}


async def within_an_engine(program: Any, story: Story, prepare: Prepare) -> None:
    """Run a program in the block of an engine, which is prepared first."""
    async with tukio.Engine() as engine:
        if prepare is not None:
            prepare(story, engine)
        try:
            story.in_the_block = True
            await program(story, engine)
        finally:
            story.in_the_block = False


async def cancel_all() -> None:
    """Cancel all other tasks, and wait for them."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for each in left:
        each.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def in_a_raw_loop(backend: str, main: Callable[[], Any]) -> None:
    """Run an async function as a program does that has a loop of its own."""
    loop = new_loop(backend, patience=1)
    try:
        loop.run_until_complete(main())
    finally:
        loop.run_until_complete(cancel_all())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


# Name -> backend, what runs a program there, and how many signals it takes until one is raised.
HOSTS: dict[str, tuple[str, Any, int]] = {
    "trio": ("trio", functools.partial(run, backend="trio", patience=1), 1),
    "asyncio.run": ("asyncio", functools.partial(run, backend="asyncio", patience=1), 2),
    "uvloop.run": ("uvloop", functools.partial(run, backend="uvloop", patience=1), 2),
    "a raw loop": ("asyncio", functools.partial(in_a_raw_loop, "asyncio"), 1),
}
HERE = [name for name, (backend, *_) in HOSTS.items() if is_available(backend)]


def played(
    host: str,
    program: Callable[[Story, tukio.Engine], Awaitable[None]],
    within: AbstractContextManager[object],
    prepare: Prepare = None,
) -> tuple[Story, Any]:
    """Run a program on a host, within some context; return what happened, and how it ended.

    Args:
        host: The name of the host.
        program: The program.
        within: The context.
        prepare: Called with the story and the engine before the program begins.
    """
    story, tasks = Story(), Tasks()
    register(tasks, story)
    register_others(tasks)
    register_odd(tasks, story)
    ended_by: BaseException | None = None
    _, runs, _ = HOSTS[host]
    # asyncio complains of a task whose exception has ended the program.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        with silence(), within:
            runs(functools.partial(within_an_engine, program, story, prepare))
    except BaseException as exc:  # noqa: BLE001 - looked at by the caller
        ended_by = exc
    finally:
        logging.getLogger("asyncio").setLevel(logging.NOTSET)
        tasks.forget()
    return story, ended_by


def check(story: Story, ended_by: BaseException | None) -> None:
    """Make sure that the program has ended by Ctrl-C, and that nothing was left as it was."""
    assert any(isinstance(one, KeyboardInterrupt) for one in causes(ended_by))
    assert not story.in_the_block
    assert set(story.entered) == set(story.left)
    assert len(story.left) == len(story.entered)
    # Without those that were refused, because the engine was stopping already.
    for one in filter(None, story.runs):
        assert one.done()
        assert one.state is not tukio.FutureState.pending
        # One that was to be run again has nothing at work, and nobody may come to end it.
        assert {step.state for step in one.tasks if not step.done()} <= {SUSPENDED}
