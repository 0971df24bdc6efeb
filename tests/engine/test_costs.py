"""One of many costs what one of few does: counted for some, and for twice as many.

Operations are calls that `sys.setprofile` sees, in Python and in C. A loop within C makes none, so
what is compared or hashed there counts for itself, by keys that count.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import anyio
import pytest

import tukio
from support.flow import flow
from tukio._engine.instances import Instances
from tukio._events.queue import Inbox
from tukio._run.watchdog import PATIENCE
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks
    from tukio._model.selector import Selector

    Story = Callable[[int], Awaitable[int]]

FEW = 40

ROOT = str(Path(tukio.__file__).parent)


class Count:
    """Counts the calls that are made within a block.

    Args:
        name: The name of a function, for its calls alone; "" for those of all.
    """

    def __init__(self, name: str = "") -> None:
        self.calls: int = 0
        self._name = name

    def __enter__(self) -> Self:
        # What it finds calls whatever waits for that.
        gc.disable()
        sys.setprofile(self._hear)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _hear(self, frame: Any, what: str, arg: Any) -> None:
        # Of the package alone: trio wakes tasks in any order, and does more or less for that.
        if what in {"call", "c_call"} and frame.f_code.co_filename.startswith(ROOT):
            self.calls += self._name in {"", frame.f_code.co_name}


async def grows_as_it_should(story: Story, few: int = FEW) -> None:
    """Hold that twice as many take twice the operations; the square would take four times."""
    await story(2 * few)
    # Steps that begin before they are cut take more, and how many do is chance on trio.
    once = max([await story(few) for _ in range(3)])
    twice = min([await story(2 * few) for _ in range(3)])
    assert once > 0
    assert twice <= 2.8 * once + 50, (once, twice)


@pytest.fixture
def forever(task: Tasks) -> None:
    """Register a task that ends only by its cancellation."""

    @task
    async def forever(event: tukio.Event) -> None:
        await anyio.sleep_forever()


# Runs


@pytest.mark.usefixtures("forever")
async def test_many_rescues_cost_as_much_as_one_each() -> None:
    """After a restart: none of them looks at the runs that are there already."""
    template = flow("forever")

    async def story(many: int) -> int:
        async with tukio.Engine() as engine:
            run = await engine.run_once(template, {})
            await anyio.lowlevel.checkpoint()
            report = run.report()
            reports = [
                {**report, "exec": {**report["exec"], "id": f"run {n}"}} for n in range(many)
            ]
            with Count("uid") as count:
                for one in reports:
                    await engine.rescue(template, one)
            engine.stop(force=True)
        return count.calls

    await grows_as_it_should(story)


@pytest.mark.usefixtures("forever")
async def test_asking_for_runs_by_their_ids_looks_at_each_once() -> None:
    """Also while runs come and go, and are of as many templates as there are runs."""
    templates = [flow("forever", id=f"flow {n}") for n in range(2 * FEW)]

    async def story(many: int) -> int:
        async with tukio.Engine() as engine:
            runs = []
            with Count("uid") as count:
                for template in templates[:many]:
                    runs.append(await engine.run_once(template, {}))
                    assert engine.get(runs[-1].uid) is runs[-1]
                    assert engine.get("nobody") is None
            engine.stop(force=True)
        return count.calls

    await grows_as_it_should(story)


@pytest.mark.usefixtures("forever")
async def test_a_run_is_found_by_its_id_as_long_as_it_is_in_progress() -> None:
    """Whether it began before anybody asked, or after that, and with an id of its own."""
    async with tukio.Engine() as engine:
        first: Any = await engine.run_once(flow("forever"), {})
        assert engine.get(first.uid) is first
        second: Any = await engine.run_once(flow("forever", id="other"), {})
        third: Any = await engine.run_once(flow("forever"), {})
        await anyio.lowlevel.checkpoint()
        report = second.report()
        third.cancel()
        await third.wait()
        assert [engine.get(run.uid) for run in (first, second, third)] == [first, second, None]
        first.cancel()
        await first.wait()
        assert engine.get(first.uid) is None
        with pytest.raises(tukio.RescueError):
            await engine.rescue(second.template, report)
        second.cancel()
        await second.wait()
        rescued: Any = await engine.rescue(second.template, report)
        assert engine.get(second.uid) is rescued
        engine.stop(force=True)
    assert engine.get(second.uid) is None
    assert not engine._instances._by_uid
    assert not engine._instances._unread


@pytest.mark.usefixtures("forever")
async def test_who_never_asks_for_runs_by_their_ids_has_none_made_up() -> None:
    """Nor is there a table of them."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("forever"), {})
        await anyio.lowlevel.checkpoint()
        engine.stop(force=True)
        await run.wait()
    instances: Instances = engine._instances
    assert (run._run._uid, instances._by_uid, instances._unread) == (None, None, {})


@pytest.mark.usefixtures("forever")
@pytest.mark.parametrize("policy", ["skip", "skip-until-unlock", "abort-running"])
async def test_data_costs_the_same_however_many_runs_are_in_progress(policy: str) -> None:
    """Refused, or put in the place of what was there: the runs are looked at once in all."""
    template = flow("forever", policy=policy, topics=["t"])

    async def story(many: int) -> int:
        async with tukio.Engine() as engine:
            await engine.load(template)
            runs: list[Any] = [await engine.run_once(template, {}) for _ in range(many)]
            for run in runs[: many // 2]:
                run.unlock()
            with Count() as count:
                for _ in range(many):
                    await engine.data_received({}, "t")
                # Unwound within the block, however many turns there were before.
                await engine.stop(force=True)
        return count.calls

    await grows_as_it_should(story)


class CountedRun:
    """Stands for a run, and counts how often it is asked for its lock."""

    def __init__(self, asked: list[None]) -> None:
        self.asked = asked
        self.template = flow("x", policy="skip-until-unlock")
        self.when_over: Any = None
        self.failure = None

    @property
    def locked(self) -> bool:
        """Whether it keeps others from starting."""
        self.asked.append(None)
        return True


def test_refused_data_asks_one_run_for_its_lock() -> None:
    """The first that has it decides; those after it cannot say anything else."""
    asked: list[None] = []
    instances, runs = Instances(), [CountedRun(asked) for _ in range(FEW)]
    for run in runs:
        instances.add(run)  # type: ignore[arg-type]
    asked.clear()
    for _ in range(FEW):
        assert instances.start(runs[0].template, tukio.Event({}), lambda _: None) is None  # type: ignore[arg-type, return-value]
    assert len(asked) == FEW


@pytest.mark.usefixtures("forever")
@pytest.mark.parametrize("grace", [0, 5, None])
async def test_stopping_costs_the_same_for_each_run(grace: float | None) -> None:
    """With a grace, without one, and by force."""

    async def story(many: int) -> int:
        async with tukio.Engine() as engine:
            for _ in range(many):
                await engine.run_once(flow("forever"), {})
            await anyio.lowlevel.checkpoint()
            with Count() as count:
                await engine.stop(grace, force=grace is None)
        return count.calls

    await grows_as_it_should(story)


async def test_a_run_with_many_steps_that_are_stuck_costs_the_same_for_each(task: Tasks) -> None:
    """Each is named once, and is not copied from list to list for those that are named later."""

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def stuck(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2 * PATIENCE)

    async def story(many: int) -> int:
        wide = {"root": [f"t{n}" for n in range(many)]}
        names = dict.fromkeys(wide["root"], "stuck")
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow(wide, names=names), {})
            await anyio.sleep(1)
            with Count() as count:
                run.cancel()
                await run.wait()
        return count.calls

    await grows_as_it_should(story)


async def test_a_join_costs_the_same_for_each_parent(task: Tasks) -> None:
    """With a number, and with a list of ids."""

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def parent(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        return {}

    async def story(many: int) -> int:
        ids = [f"t{n}" for n in range(many)]
        tasks: list[dict[str, Any]] = [{"id": "root", "name": "root"}]
        tasks += [{"id": uid, "name": "parent"} for uid in ids]
        tasks.append({"id": "join", "name": "join", "config": {"wait_for": ids, "collect": "all"}})
        graph = {"root": ids, **{uid: ["join"] for uid in ids}, "join": []}
        template = tukio.WorkflowTemplate.from_dict({"id": "f", "tasks": tasks, "graph": graph})
        async with tukio.Engine() as engine:
            with Count() as count:
                run: Any = await engine.run_once(template, {})
                await run.wait()
            assert len(run.outputs["join"]) == many
        return count.calls

    await grows_as_it_should(story)


# Topics


class Topic(str):
    """A topic that counts how often it is hashed or compared, also in C."""

    __slots__ = ()
    looked_at = 0

    def __hash__(self) -> int:
        Topic.looked_at += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Topic.looked_at += 1
        return super().__eq__(other)


def topics(many: int, prefix: str = "t") -> list[str]:
    """Return so many topics."""
    return [Topic(f"{prefix}/{n}") for n in range(many)]


TEMPLATES: dict[str, tukio.WorkflowTemplate] = {}

LEAVES: dict[str, Callable[[tukio.Engine, list[str]], Awaitable[None]]] = {}


def leaves(function: Callable[[tukio.Engine, list[str]], Awaitable[None]]) -> Any:
    """Try this way to enter topics and to leave them."""
    LEAVES[function.__name__] = function
    return function


@leaves
async def streams_of_one_topic_each(engine: tukio.Engine, names: list[str]) -> None:
    """As readers of replies do."""
    streams = [engine.subscribe(name) for name in names]
    for stream in streams:
        await stream.__aenter__()
    for stream in streams:
        await stream.__aexit__()


@leaves
async def a_stream_of_all(engine: tukio.Engine, names: list[str]) -> None:
    """One that reads them all."""
    async with engine.subscribe(*names):
        pass


@leaves
async def one_handler(engine: tukio.Engine, names: list[str]) -> None:
    """Which is async, and has calls that wait when it leaves."""

    async def handler(event: tukio.Event) -> None:
        pass

    for name in names:
        engine.broker.register(handler, name)
    for name in names:
        engine.broker.dispatch({}, name)
    for name in names:
        engine.broker.unregister(handler, name)


@leaves
async def handlers_that_another_one_removes(engine: tukio.Engine, names: list[str]) -> None:
    """While the event of all is still on its way to them."""
    handlers = [lambda _, n=n: n for n in range(len(names))]

    def remove_all(event: tukio.Event) -> None:
        for name, handler in zip(names, handlers, strict=True):
            engine.broker.unregister(handler, name)
        engine.broker.unregister(remove_all, names[0])

    engine.broker.register(remove_all, names[0])
    for name, handler in zip(names, handlers, strict=True):
        engine.broker.register(handler, name)
    engine.broker.dispatch({}, names)


@leaves
async def loaded_templates(engine: tukio.Engine, names: list[str]) -> None:
    """Which are loaded anew, then reloaded together, and unloaded."""
    for name in names:
        if name not in TEMPLATES:
            # Once in all: it takes more operations than what is counted.
            TEMPLATES[name] = flow("join", id=name, topics=[str(name)])
    templates = [TEMPLATES[name] for name in names]
    selector: Selector = engine.selector
    for template in templates * 2:
        selector.load(template)
    await engine.reload([])
    for template in templates:
        selector.load(template)
    for template in templates:
        selector.unload(template.uid)


@pytest.mark.parametrize("prefix", ["t", tukio.EXEC_TOPIC])
@pytest.mark.parametrize("leave", LEAVES)
async def test_who_leaves_topics_looks_at_no_other(leave: str, prefix: str) -> None:
    """One of many costs what one of few does; for execution topics, too."""
    if prefix != "t" and leave == "loaded_templates":
        return

    async def story(many: int) -> int:
        async with tukio.Engine() as engine:
            names = topics(many, prefix)
            Topic.looked_at = 0
            with Count() as count:
                await LEAVES[leave](engine, names)
            compared = Topic.looked_at
            assert not engine.broker._topics
            assert not engine.broker.has_listeners
        return count.calls + compared

    await grows_as_it_should(story)


class Number(int):
    """A number that counts how often it is hashed or compared, also in C."""

    __slots__ = ()
    looked_at = 0

    def __hash__(self) -> int:
        Number.looked_at += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Number.looked_at += 1
        return super().__eq__(other)

    def __lt__(self, other: int) -> bool:
        Number.looked_at += 1
        return super().__lt__(other)


@pytest.mark.parametrize("called", [False, True], ids=["waiting", "called"])
async def test_readers_of_a_queue_that_are_cancelled_do_not_look_for_their_places(
    called: bool,
) -> None:
    """Each leaves the line from where it stands; no reader behind it is looked at."""

    async def story(many: int) -> int:
        inbox = Inbox()
        readers = [Number(n) for n in range(many)]
        for reader in readers:
            inbox._readers[reader] = anyio.Event()
        if called:
            for n in range(many):
                inbox.put_nowait(tukio.Event({"n": n}))
        Number.looked_at = 0
        with Count() as count:
            # Every other one from the end, then the others: from the middle of the line.
            for reader in [*readers[::-2], *readers[-2::-2]]:
                inbox._give_up(reader)
        assert not inbox._readers
        assert not inbox._called
        assert inbox.qsize() == (many if called else 0)
        return count.calls + Number.looked_at

    await grows_as_it_should(story)


async def test_readers_that_read_in_any_order_do_not_look_for_their_places() -> None:
    """On trio they come in any order when many are called at once."""

    async def story(many: int) -> int:
        inbox, got = Inbox(), list[int]()

        async def read() -> None:
            got.append((await inbox.get()).data["n"])

        async with anyio.create_task_group() as readers:
            for _ in range(many):
                readers.start_soon(read)
            await settle()
            inbox._called = called = Called()
            for n in range(many):
                inbox.put_nowait(tukio.Event({"n": n}))
        assert sorted(got) == list(range(many))
        return called.looked_at

    await grows_as_it_should(story)


class Called(list[int]):
    """A list that counts how often it is asked for a place."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at: int = 0

    def __getitem__(self, place: Any) -> Any:
        self.looked_at += 1
        return super().__getitem__(place)

    def __contains__(self, number: object) -> bool:
        self.looked_at += len(self)
        return super().__contains__(number)

    def index(self, number: int, *bounds: Any) -> int:
        """Return the place of a number."""
        self.looked_at += len(self)
        return super().index(number, *bounds)


@pytest.mark.usefixtures("forever")
async def test_those_who_wait_for_a_step_and_give_up_look_at_no_other() -> None:
    """They wait for one event; thousands may come and go."""

    async def story(many: int) -> int:
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("forever"), {})
            await settle()
            (step,) = run.tasks

            async def wait() -> None:
                await step

            async with anyio.create_task_group() as waiters:
                for _ in range(many):
                    waiters.start_soon(wait)
                await settle()
                waiters.cancel_scope.cancel()
            assert step.extras.callbacks is None
            with Count() as count:
                run.cancel()
                await run.wait()
        return count.calls + FEW

    await grows_as_it_should(story)


@pytest.mark.usefixtures("forever")
async def test_done_callbacks_that_are_removed_one_by_one_look_at_no_other() -> None:
    """In any order; none of them is compared with all others."""

    class Callback:
        """Counts how often one is compared."""

        compared = 0

        def __hash__(self) -> int:
            return id(self)

        def __eq__(self, other: object) -> bool:
            Callback.compared += 1
            return self is other

        def __call__(self, step: tukio.TaskRun) -> None:
            raise AssertionError

    async def story(many: int) -> int:
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("forever"), {})
            await settle()
            (step,) = run.tasks
            callbacks = [Callback() for _ in range(many)]
            for callback in callbacks:
                step.add_done_callback(callback)
            Callback.compared = 0
            with Count() as count:
                for callback in [*callbacks[::-2], *callbacks[-2::-2]]:
                    assert step.remove_done_callback(callback) == 1
            run.cancel()
        return count.calls + Callback.compared

    await grows_as_it_should(story)
