"""The decorator: what it registers, what it returns, and what it refuses."""

from __future__ import annotations

import functools
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from tukio.flow import Task, flow, task
from tukio.task import Registry, TaskRegistry
from tukio.testing import registered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass
class Job:
    """A record."""

    url: str


async def fetch(job: Job) -> dict[str, Any]:
    """Fetch a page."""
    await anyio.sleep(1)
    return {"page": job.url}


def count(job: Job) -> int:
    """Count."""
    return len(job.url)


@task(registry=Registry())
async def kept(job: Job) -> None:
    """Be found by its name."""


# What it returns


def test_it_is_the_function_still(own: Registry) -> None:
    """It has its name and its text, and is called without an engine."""
    made = task(registry=own)(fetch)
    assert (made.name, made.function, made.__wrapped__) == ("fetch", fetch, fetch)  # type: ignore[attr-defined]
    assert (made.__name__, made.__doc__) == ("fetch", "Fetch a page.")  # type: ignore[attr-defined]
    assert repr(made) == "<Task 'fetch'>"


async def test_it_is_called_as_the_function_is(own: Registry) -> None:
    """Async, or plain, with more arguments: in a test there is no thread and no process."""

    def times(job: Job, times: int = 2) -> str:
        return job.url * times

    assert task(registry=own, thread=True)(times)(Job("x"), times=3) == "xxx"
    assert await task(registry=own)(fetch)(Job("x")) == {"page": "x"}
    assert task(registry=own, thread=True)(count)(Job("xy")) == 2
    assert task(registry=own, process=True, name="b")(count)(Job("xy")) == 2


def test_it_is_pickled_by_its_name() -> None:
    """As a function is."""
    assert pickle.loads(pickle.dumps(kept)) is kept  # noqa: S301 - it is ours


async def test_it_can_stand_in_for_another_one(own: Registry) -> None:
    """In tests, by `registered`."""
    task(registry=own)(fetch)
    other = Registry()

    @task(registry=other, name="fake")
    async def fake(job: Job) -> dict[str, Any]:
        return {"page": job.url.upper()}

    with registered(fetch=fake, registry=own):
        async with tukio.Engine(registry=own) as engine:
            run = await engine.start({"tasks": [{"id": "a", "name": "fetch"}]}, {"url": "x"})
            await run.wait(check=True)
    assert run.output == {"a": {"page": "X"}}


def test_it_does_not_change(own: Registry) -> None:
    """It is a chain."""
    made = task(registry=own)(fetch)
    with pytest.raises(AttributeError, match="a chain does not change: 'name'"):
        made.name = "b"


def test_what_is_said_with_it_holds_in_every_chain(own: Registry) -> None:
    """And `of` may say it anew, and an id."""
    made = task(registry=own, timeout=3, config={"n": 1})(fetch)
    chain = made >> made.of(id="b", timeout=4) >> made.of(id="c", extra={"x": 1})
    documents = flow("x", chain).as_dict()["tasks"]
    assert [(one["id"], one["name"], one["timeout"], one["config"]) for one in documents] == [
        ("fetch", "fetch", 3, {"n": 1}),
        ("b", "fetch", 4, {"n": 1}),
        ("c", "fetch", 3, {"n": 1}),
    ]
    assert documents[2]["x"] == 1
    again = flow("x", made.of(timeout=None)).as_dict()["tasks"]
    assert "on_timeout" not in again[0]


# What it registers


def test_without_a_registry_it_is_that_of_the_process() -> None:
    """Under its own name, or under another."""
    try:
        task(fetch)
        task(name="etl.fetch")(fetch)
        assert {"fetch", "etl.fetch"} <= TaskRegistry.all().keys()
    finally:
        TaskRegistry.remove("fetch")
        TaskRegistry.remove("etl.fetch")


def test_two_tasks_cannot_have_one_name(own: Registry) -> None:
    """Both are named, and so is the way out."""
    task(registry=own)(fetch)
    with pytest.raises(ValueError, match=r"'fetch' already registered .* call remove\('fetch'\)"):
        task(registry=own)(fetch)
    with pytest.raises(ValueError, match=r"test_tasks.count cannot have it - give it another name"):
        task(registry=own, thread=True, name="fetch")(count)
    task(registry=own, name="other")(fetch)


def test_each_task_has_code_of_its_own(own: Registry) -> None:
    """By which the asyncio task factory knows it."""
    for name in ("a", "b"):
        task(registry=own, name=name)(fetch)
    assert len(set(own.codes)) == len(own.tasks) - 1  # both have the code of one function

    @task(registry=own)
    async def other(job: Job) -> None: ...

    assert own.codes[own.get("other")[1].__code__] == "other"
    assert own.codes[own.get("b")[1].__code__] in {"a", "b"}


async def test_tasks_by_their_names_in_the_data_form(own: Registry) -> None:
    """JSON may name what code defines."""
    task(registry=own)(fetch)
    document = {"tasks": [{"id": "get", "name": "fetch"}]}
    async with tukio.Engine(registry=own) as engine:
        run = await engine.start(document, {"url": "x"})
        await run.wait(check=True)
    assert run.output == {"get": {"page": "x"}}


# What it refuses


class Holder(tukio.TaskHolder):
    """A holder class."""

    async def execute(self, event: tukio.Event) -> None:
        """Do nothing."""


async def stream(event: tukio.Event) -> AsyncIterator[int]:  # noqa: ASYNC900
    """Be no task."""
    yield 1


async def two(job: Job, other: int) -> None:
    """Be no task."""


async def nothing() -> None:
    """Be no task."""


def two_plain(job: Job, other: int) -> None:
    """Be no task."""


BOTH_WAYS = (
    "test_tasks.count is not a coroutine function - define it with 'async def', or write"
    " @task(thread=True), or @task(process=True) for what keeps a CPU busy"
)
REFUSED: dict[str, tuple[Callable[[Registry], object], str]] = {
    "plain": (lambda own: task(registry=own)(count), BOTH_WAYS),  # type: ignore[arg-type]
    "plain, bare": (lambda own: task(count), BOTH_WAYS),  # type: ignore[arg-type]
    "async, in a thread": (
        lambda own: task(registry=own, thread=True)(fetch),
        "test_tasks.fetch is async, and runs in the event loop - leave out thread=True",
    ),
    "async, in a process": (
        lambda own: task(registry=own, process=True)(fetch),
        "test_tasks.fetch is async, and runs in the event loop - leave out process=True",
    ),
    "both": (
        lambda own: task(thread=True, process=True),  # type: ignore[call-overload]
        "a task runs in a thread or in a process - give one of them",
    ),
    "limiter of nothing": (
        lambda own: task(limiter=3),  # type: ignore[call-overload]
        "a limiter is for threads and processes - give thread=True or process=True",
    ),
    "a class": (
        lambda own: task(registry=own)(Holder),  # type: ignore[arg-type]
        "Holder is a class - register it by @tukio.register, and write named('...') in chains",
    ),
    "a task": (
        lambda own: task(registry=own)(task(registry=own)(fetch)),
        "<Task 'fetch'> is a task already - for another id write of(id='...')",
    ),
    "a name": (
        lambda own: task("fetch"),  # type: ignore[call-overload]
        "expected a function, not 'fetch' - write @task or @task(...) above one",
    ),
    "a partial": (lambda own: task(registry=own)(functools.partial(fetch)), "has no code"),
    "a generator": (lambda own: task(registry=own)(stream), "but yields like a generator"),  # type: ignore[arg-type]
    "two arguments": (
        lambda own: task(registry=own)(two),  # type: ignore[arg-type]
        "cannot be called with an event alone - give a default to other",
    ),
    "no argument": (
        lambda own: task(registry=own)(nothing),  # type: ignore[arg-type]
        "cannot be called with an event - write 'async def nothing(event): ...'",
    ),
    "two arguments, in a thread": (
        lambda own: task(registry=own, thread=True)(two_plain),  # type: ignore[arg-type]
        "cannot be called with an event alone - give a default to other",
    ),
    "a key": (
        lambda own: task(timout=3),  # type: ignore[call-overload]
        "task() got an unknown key 'timout' - did you mean 'timeout'?",
    ),
    "a key of `of`": (
        lambda own: task(registry=own)(fetch).of(timout=3),  # type: ignore[call-arg]
        "fetch.of() got an unknown key 'timout' - did you mean 'timeout'?",
    ),
    "another name": (
        lambda own: task(registry=own, name=3)(fetch),  # type: ignore[call-overload]
        "the name of a task is a string in code form, not 3",
    ),
    "a local one, in a process": (
        lambda own: task(registry=own, process=True)(lambda job: 1),
        "a process cannot find",
    ),
    "no thread at all": (
        lambda own: task(registry=own, thread=True, limiter=0)(count),
        "limiter must be a positive whole number or an anyio.CapacityLimiter, not 0",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str, own: Registry) -> None:
    """Where it is defined, and with a way out; nothing is registered."""
    make, words = REFUSED[what]
    before = set(own.tasks) | ({"fetch"} if what in {"a task", "a key of `of`"} else set())
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        make(own)
    assert words in str(caught.value)
    assert set(own.tasks) == before
    assert "fetch" not in TaskRegistry.all()


async def test_a_default_may_follow(own: Registry) -> None:
    """The task is called with one argument."""

    @task(registry=own)
    async def work(job: Job, times: int = 2) -> Any:
        return job.url * times

    assert isinstance(work, Task)
    assert await flow("x", work).run({"url": "a"}) == "aa"
