"""G1, G5, G7: Ctrl-C, and what else ends the program, leave a block when all of it is over."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import trio

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from support.flow import Tasks

TORN_DOWN = ["tearing down"] * 2 + ["torn down"] * 2 + ["left"]


@pytest.fixture(autouse=True)
def obeys_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C do what it does in a terminal: a shell has background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def story(task: Tasks) -> list[str]:
    """Register `Slow`, which takes some time to clean up after itself; return what happens."""
    told: list[str] = []

    @task
    class Slow(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(5)

        async def teardown(self) -> None:
            told.append("tearing down")
            await anyio.sleep(0.02)
            told.append("torn down")

    return told


async def block(story: list[str], runs: list[Any], how: str) -> None:
    """Enter an engine, start two runs of `Slow`, and leave it: failed, or cancelled."""
    try:
        with anyio.CancelScope() as scope:
            async with tukio.Engine() as engine:
                runs += [await engine.run_once(flow("Slow"), {}) for _ in range(2)]
                await anyio.sleep(0.01)
                if how == "failed":
                    raise LookupError(how)
                scope.cancel()
    finally:
        story.append("left")


def is_or_has(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether an exception is of a kind, or is a group with such a leaf."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_or_has(leaf, kind) for leaf in error.exceptions)
    return isinstance(error, kind)


def in_real_time(main: Callable[[], Coroutine[Any, Any, None]], backend: str) -> None:
    """Run an async function to its end on a loop of asyncio, as `asyncio.run`."""
    uvloop = pytest.importorskip("uvloop")
    factory = uvloop.new_event_loop if backend == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


@pytest.mark.parametrize("backend", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", ["failed", "cancelled"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_g1_ctrl_c_while_the_block_is_being_left_on_asyncio(
    story: list[str], backend: str, how: str, kind: type[BaseException]
) -> None:
    """The loop stops at once; then all its tasks are cancelled, and the program waits for them."""
    runs: list[Any] = []
    factories: list[Any] = []

    def interrupt() -> None:
        raise kind

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, interrupt)
        try:
            await block(story, runs, how)
        finally:
            factories.append(loop.get_task_factory())

    with no_asyncio_errors(), pytest.raises(kind):
        in_real_time(main, backend)

    assert story == TORN_DOWN
    assert [run.state.value for run in runs] == ["cancelled"] * 2
    assert factories == [None]


@pytest.mark.parametrize("backend", ["asyncio", "uvloop"])
def test_g1_ctrl_c_twice_on_asyncio(story: list[str], backend: str) -> None:
    """The first cancels the main task, the second one stops the loop."""
    runs: list[Any] = []

    async def main() -> None:
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        assert me is not None
        loop.call_later(0.005, me.cancel)
        loop.call_later(0.010, me.cancel)
        loop.call_later(0.015, interrupt)
        await block(story, runs, "failed")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with no_asyncio_errors(), pytest.raises(KeyboardInterrupt):
        in_real_time(main, backend)

    assert story == TORN_DOWN
    assert [run.state.value for run in runs] == ["cancelled"] * 2


@pytest.mark.parametrize("how", ["failed", "cancelled"])
@pytest.mark.parametrize("times", [1, 2])
def test_g1_ctrl_c_while_the_block_is_being_left_on_trio(
    story: list[str], how: str, times: int
) -> None:
    """Trio raises it in the main task, in spite of every shield."""
    runs: list[Any] = []

    @trio.lowlevel.enable_ki_protection
    async def interrupt() -> None:
        for _ in range(times):
            await trio.sleep(0.015 / times)
            signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        trio.lowlevel.spawn_system_task(interrupt)
        await block(story, runs, how)

    with pytest.raises(BaseException) as caught:
        trio.run(main)

    assert is_or_has(caught.value, KeyboardInterrupt)
    assert story == TORN_DOWN
    assert [run.state.value for run in runs] == ["cancelled"] * 2


@pytest.mark.parametrize("leaves", ["failed", "cancelled"])
def test_g1_ctrl_c_at_the_moment_of_leaving_is_not_lost_to_a_cancellation(
    story: list[str], leaves: str
) -> None:
    """The scope around the block takes its own cancellation, and no more."""

    @trio.lowlevel.enable_ki_protection
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with tukio.Engine() as engine:
                await engine.run_once(flow("Slow"), {})
                await trio.sleep(0.01)
                interrupt()
                scope.cancel()
                if leaves == "failed":
                    raise LookupError

    with pytest.raises(BaseException) as caught:
        trio.run(main)

    assert is_or_has(caught.value, KeyboardInterrupt)
    assert story == ["tearing down", "torn down"]


def alone(kind: type[BaseException]) -> BaseException:
    """Return what ends the program."""
    return kind()


def grouped(kind: type[BaseException]) -> BaseException:
    """Return it in a group."""
    return BaseExceptionGroup("group", [LookupError(), kind()])


def nested(kind: type[BaseException]) -> BaseException:
    """Return it in a group within a group, beside a failure."""
    return BaseExceptionGroup("outer", [LookupError(), grouped(kind)])


def ends(main: Callable[[], Any], backend: str, kind: type[BaseException]) -> None:
    """Run an async function that must end by what ends the program."""
    options = {} if backend == "trio" else {"use_uvloop": backend == "uvloop"}
    name = "trio" if backend == "trio" else "asyncio"
    with pytest.raises(BaseException) as caught:
        anyio.run(main, backend=name, backend_options=options)
    assert is_or_has(caught.value, kind), caught.value


@pytest.fixture
def exits(task: Tasks) -> list[BaseException]:
    """Register tasks that raise the exception in the returned list, each at another moment."""
    raised: list[BaseException] = []

    @task
    async def at_once(event: tukio.Event) -> None:
        raise raised[0]

    @task
    async def late(event: tukio.Event) -> None:
        await anyio.sleep(0.001)
        raise raised[0]

    @task
    class TearsDown(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            tukio.current_task().cancel()
            await anyio.sleep(5)

        async def teardown(self) -> None:
            await anyio.lowlevel.checkpoint()
            raise raised[0]

    return raised


every_end = pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
every_make = pytest.mark.parametrize("make", [alone, grouped, nested])


@every_end
@every_make
@pytest.mark.parametrize("where", ["at_once", "late", "TearsDown"])
def test_g7_what_ends_the_program_leaves_a_step_out_of_groups_too(
    exits: list[BaseException], backend: str, where: str, make: Any, kind: Any
) -> None:
    """The leaves decide; what failed beside it is kept as ever."""
    exits.append(make(kind))
    went_on: list[str] = []
    runs: list[Any] = []

    async def main() -> None:
        async with tukio.Engine() as engine:
            runs.append(await engine.run_once(flow(where), {}))
            await anyio.sleep(0.1)
        went_on.append("went on")

    ends(main, backend, kind)

    assert went_on == []
    assert runs[0].state is not tukio.FutureState.pending
    if make is not alone:
        assert is_or_has(runs[0].errors[where], LookupError)


@every_end
@every_make
def test_g7_what_ends_the_program_leaves_a_done_callback_out_of_groups_too(
    task: Tasks, caplog: pytest.LogCaptureFixture, backend: str, make: Any, kind: Any
) -> None:
    """All others are called first; what failed beside it is in the log."""
    called: list[str] = []

    def ends_it(step: Any) -> None:
        raise make(kind)

    @task
    async def a(event: tukio.Event) -> None:
        current: Any = tukio.current_task()
        current.add_done_callback(ends_it)
        current.add_done_callback(lambda _: called.append("next"))
        await anyio.sleep(0.001)

    async def main() -> None:
        async with tukio.Engine() as engine:
            await engine.run_once(flow("a"), {})
            await anyio.sleep(0.1)
        called.append("went on")

    ends(main, backend, kind)

    assert called == ["next"]
    assert ("LookupError" in caplog.text) is (make is not alone)


@every_end
@every_make
@pytest.mark.parametrize("waits", [False, True])
def test_g7_what_ends_the_program_leaves_a_handler_out_of_groups_too(
    caplog: pytest.LogCaptureFixture, backend: str, make: Any, kind: Any, *, waits: bool
) -> None:
    """What failed beside it is in the log."""
    went_on: list[str] = []

    def handler(event: tukio.Event) -> None:
        raise make(kind)

    async def async_handler(event: tukio.Event) -> None:
        await anyio.lowlevel.checkpoint()
        raise make(kind)

    async def main() -> None:
        async with tukio.Engine() as engine:
            engine.broker.register(async_handler if waits else handler, "t")
            await engine.data_received({}, "t")
            await anyio.sleep(0.1)
        went_on.append("went on")

    ends(main, backend, kind)

    assert went_on == []
    assert ("LookupError" in caplog.text) is (make is not alone)
