"""Tasks that are registered for one block: they count there, and nothing is left of them."""

from __future__ import annotations

import functools
import itertools
import sys
import threading
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, strategies as st

import tukio
from support.flow import flow
from tukio._model.registry import REGISTRY
from tukio.task import Registry, TaskRegistry
from tukio.testing import registered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.flow import Tasks


async def real(event: tukio.Event) -> dict[str, Any]:
    """Be the task of the program."""
    return {"by": "real"}


async def fake(event: tukio.Event) -> dict[str, Any]:
    """Be the task of the test; it waits."""
    await anyio.sleep(1)
    return {"by": "fake"}


class Holder:
    """A holder class that is no `TaskHolder`."""

    def __init__(self, config: Any) -> None:
        self.config = config

    async def execute(self, event: tukio.Event) -> dict[str, Any]:
        """Be a task."""
        return {"by": "holder"}

    async def other(self, event: tukio.Event) -> dict[str, Any]:
        """Be a task, too."""
        return {"by": "other"}


def all_of(registry: Registry = REGISTRY) -> list[Any]:
    """Return all that a registry has, in its order."""
    return [list(registry.tasks.items()), dict(registry.codes), dict(registry._prompt)]


@pytest.fixture(autouse=True)
def exactly() -> Iterator[None]:
    """Make sure that the registry of the process is what it was."""
    before = all_of()
    yield
    assert all_of() == before


async def by(name: str, registry: Registry | None = None) -> str:
    """Run a task, and return who did it."""
    async with tukio.Engine(registry=registry) as engine:
        run: Any = await engine.run_once(flow(name), {})
        await run.wait()
    return str(run.outputs[name]["by"])


# What can be registered, and under which name


async def test_functions_and_holder_classes_by_any_name() -> None:
    """Under their own, under one that is given, and under what is no identifier."""
    with registered(real, Holder, other=(Holder, "other")):
        assert [await by(name) for name in ("real", "Holder", "other")] == [
            "real",
            "holder",
            "other",
        ]
    key = object()
    with registered({"etl.load": fake, key: real}, (Holder, "other"), load=real):
        assert await by("etl.load") == "fake"
        assert REGISTRY.get(key) == (None, real)
        assert await by("Holder") == "other"
    with registered():
        assert "real" not in REGISTRY.tasks


async def test_a_task_of_the_program_is_replaced_for_the_block(task: Tasks) -> None:
    """Whether or not it waits: what waits must be cancelled, which the engine knows by its code."""

    @task
    async def charge(event: tukio.Event) -> dict[str, Any]:
        return {"by": "bank"}

    with registered(charge=fake):
        assert await by("charge") == "fake"
        with registered(charge=Holder):
            assert await by("charge") == "holder"
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("charge", limits={"charge": 0.5}), {})
            await run.wait()
        [step] = run.tasks
        assert step.timed_out
    assert await by("charge") == "bank"


async def test_a_task_that_comes_with_the_engine_can_be_replaced() -> None:
    """It has a name like any other."""
    with registered(join=fake):
        assert await by("join") == "fake"


async def test_in_a_registry_of_ones_own() -> None:
    """And in no other."""
    own = Registry()
    before = all_of(own)
    with registered(real, registry=own):
        assert await by("real", own) == "real"
        assert "real" not in REGISTRY.tasks
    assert all_of(own) == before


@pytest.mark.parametrize("named", [{"registry": real}, {"a": real, "registry": TaskRegistry}])
def test_what_is_no_registry_is_refused(named: dict[str, Any]) -> None:
    """Neither a task of that name, nor the class of 1.x, which stands for that of the process."""
    with pytest.raises(TypeError) as refusal:
        registered(**named)
    place, advice = {
        False: (f"{__name__}.real", "a task called 'registry' goes into a dict"),
        True: ("tukio.task.TaskRegistry", "leave it out for that of the process"),
    }["a" in named]
    assert str(refusal.value) == f"expected a tukio.task.Registry, not {place} - {advice}"
    with registered({"registry": real}):
        assert REGISTRY.get("registry") == (None, real)


def test_a_holder_class_knows_its_name_meanwhile() -> None:
    """As after `register`; and then what it knew before, itself or by its base class."""

    class Own(tukio.TaskHolder):
        TASK_NAME = "own"

        async def execute(self, event: tukio.Event) -> None: ...

    class Inherits(Own): ...

    with registered(Own, Inherits, Holder, a=Holder):
        assert (Own.TASK_NAME, Inherits.TASK_NAME) == ("Own", "Inherits")
        assert vars(Holder)["TASK_NAME"] == "a"
    assert (Own.TASK_NAME, Inherits.TASK_NAME) == ("own", "own")
    assert "TASK_NAME" not in vars(Inherits)
    assert "TASK_NAME" not in vars(Holder)


@pytest.mark.parametrize("own", [{}, {"TASK_NAME": "own"}])
def test_a_holder_class_knows_its_name_in_whatever_order_blocks_are_left(
    own: dict[str, str],
) -> None:
    """That of the block that was entered last, of those that are still there."""
    holder: Any = type("Several", (Holder,), dict(own))
    for order in itertools.permutations("abc"):
        blocks = {name: registered({name: holder}) for name in "abc"}
        for block in blocks.values():
            block.__enter__()
        for name in order:
            blocks.pop(name).__exit__(None, None, None)
            means = [*own.values(), *blocks][-1:]
            assert vars(holder).get("TASK_NAME") == (means[0] if means else None)
        assert {key: name for key, name in vars(holder).items() if key == "TASK_NAME"} == own


# What cannot

PARTIAL = r"functools\.partial\(<function real at .*>\) has no code of its own, by which a task is"


def nameless() -> Any:
    """Return what behaves like a function without a name."""
    odd: Any = functools.partial(real)
    odd.__code__ = real.__code__
    return odd


async def stream(event: object) -> AsyncIterator[int]:  # noqa: ASYNC900
    """Be no task."""
    yield 1


@pytest.mark.parametrize(
    ("tasks", "named", "kind", "words"),
    [
        ([], {"a": print}, TypeError, "neither a function nor a holder class"),
        ([], {"a": Holder({})}, TypeError, "task 'a': <.*Holder object at .*> is neither"),
        ([], {"a": lambda event: None}, TypeError, "is not a coroutine function"),
        ([], {"a": stream}, TypeError, "is not a coroutine function"),
        ([], {"a": functools.partial(real)}, TypeError, f"task 'a': {PARTIAL}"),
        ([functools.partial(real)], {}, TypeError, f"^{PARTIAL}"),
        (
            [],
            {"a": functools.partial(Holder)},
            TypeError,
            r"'a': functools.partial\(<class.* neith",
        ),
        ([nameless()], {}, TypeError, r"has no name of its own - registered\(name=.*"),
        (["a", fake], {}, TypeError, r"'a' is the name of a task, .* - registered\(a=\.\.\.\)"),
        (["a.b"], {}, TypeError, r"'a.b' is the name of a .* - registered\({'a.b': \.\.\.}\)"),
        ([()], {}, TypeError, r"^\(\) is neither a function nor a holder class"),
        ([], {"a": (Holder,)}, TypeError, r"'a': \(<class .*Holder'>,\) is neither a function"),
        ([], {"a": (Holder, None)}, TypeError, "'a': expected the name of a method, not None"),
        ([], {"a": (Holder, real)}, TypeError, "'a': expected the name of a method, not .*real"),
        ([], {"a": None}, TypeError, "task 'a': None is neither"),
        ([], {"a": (Holder, "execute", 1)}, TypeError, "neither a function nor a holder class"),
        ([], {"a": (Holder, "run")}, AttributeError, r"task 'a': class Holder .* 'run' - give \(c"),
        ([], {"a": int}, AttributeError, "class int has no method 'execute'"),
        ([], {"a": (Holder, "__init__")}, TypeError, "is not a coroutine function"),
        ([real], {"real": fake}, ValueError, "two tasks are to be registered as 'real'"),
        ([{"a": fake}, {"a": real}], {}, ValueError, "two tasks are to be registered as 'a'"),
    ],
)
def test_what_is_no_task_is_refused(
    tasks: list[Any], named: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """With its name, before any block is entered."""
    with pytest.raises(kind, match=words):
        registered(real if tasks != [real] else Holder, *tasks, **named)


def test_a_block_is_entered_as_a_whole_or_not_at_all() -> None:
    """Here the last class refuses its name."""

    class Refuses(type):
        def __setattr__(cls, name: str, value: object) -> None:
            raise AttributeError(name)

    class Closed(metaclass=Refuses):
        async def execute(self, event: object) -> None: ...

    with pytest.raises(AttributeError, match="TASK_NAME"), registered(real, Holder, Closed):
        pytest.fail("entered")


# In whatever way it is left


@pytest.mark.parametrize("leaves_by", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_the_names_are_put_back_in_whatever_way_the_block_is_left(
    leaves_by: type[BaseException],
) -> None:
    """A test that fails must not make others fail."""
    with pytest.raises(leaves_by), registered(real, join=fake):
        raise leaves_by


async def test_the_names_are_put_back_when_the_block_is_cancelled() -> None:
    """As any block is left by a cancellation."""
    with anyio.move_on_after(1) as scope, registered(real):
        await anyio.sleep(2)
    assert scope.cancelled_caught


def test_whatever_was_done_to_a_name_meanwhile() -> None:
    """It was taken, it is given back; behind all others, as its place was taken with it."""
    own = Registry()
    own.register(real, "first")
    own.register(fake, "second")
    [[join, trigger, first, second], *others] = all_of(own)
    with registered(real, first=fake, registry=own):
        own.remove("real")
        own.remove("first")
        own.register(fake, "real")
    assert all_of(own) == [[join, trigger, second, first], *others]


def test_other_names_may_be_registered_within() -> None:
    """As a module does that is imported there: they stay."""
    with registered(real):
        REGISTRY.register(fake, "imported")
    assert list(REGISTRY.tasks)[-1] == "imported"
    REGISTRY.remove("imported")


def test_blocks_of_several_threads_leave_nothing_behind() -> None:
    """For the same name and class, all at once."""
    own, errors = Registry(), []
    own.register(real, "a")
    before, interval = all_of(own), sys.getswitchinterval()

    def enter_and_leave() -> None:
        try:
            for task in [fake, Holder] * 300:
                with registered(a=task, registry=own):
                    pass
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=enter_and_leave) for _ in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
    assert all_of(own) == before
    assert "TASK_NAME" not in vars(Holder)


@given(st.data())
def test_blocks_may_be_left_in_any_order(data: st.DataObject) -> None:
    """As those of two tasks: the one entered last counts, and in the end all is as before."""
    registry = Registry()
    registry.register(real, "a")
    registry.register(fake, "same code")
    before = all_of(registry)
    ways: list[Any] = [real, fake, Holder, (Holder, "other")]
    opened: list[tuple[dict[str, Any], AbstractContextManager[None]]] = []
    for leaves in data.draw(st.lists(st.booleans(), max_size=8)):
        if opened and leaves:
            opened.pop(data.draw(st.integers(0, len(opened) - 1)))[1].__exit__(None, None, None)
        else:
            names = data.draw(st.lists(st.sampled_from("abc"), unique=True))
            tasks = {name: data.draw(st.sampled_from(ways)) for name in names}
            opened.append((tasks, registered(tasks, registry=registry)))
            opened[-1][1].__enter__()
        means: dict[str, Any] = {"a": real}
        for tasks, _ in opened:
            means |= tasks
        for name in "abc":
            found = registry.tasks.get(name, (None, None))[1]
            meant = means.get(name)
            wanted = getattr(Holder, "other" if isinstance(meant, tuple) else "execute")
            assert found is (meant if meant in {None, real, fake} else wanted)
        functions = {function.__code__ for _, function in registry.tasks.values()}
        assert registry.codes.keys() == functions
        assert all(
            registry.tasks[name][1].__code__ == code for code, name in registry.codes.items()
        )
    with ExitStack() as leaving:
        for _, block in opened:
            leaving.push(block)
    assert all_of(registry) == before


# As a decorator


@registered(real)
async def test_a_test_can_be_decorated() -> None:
    """Each call of it has a block of its own; an async one is awaited within."""
    await anyio.sleep(1)
    assert await by("real") == "real"


@registered(real)
@given(number=st.integers())
async def test_a_property_can_be_decorated(number: int) -> None:
    """The block is around all its examples."""
    assert REGISTRY.get("real") == (None, real)


@registered(real)
def test_a_synchronous_test_can_be_decorated(backend: str) -> None:
    """It is called with what it asks for."""
    assert REGISTRY.get("real") == (None, real)
    assert isinstance(backend, str)


def test_what_is_decorated_may_call_itself_and_fail() -> None:
    """The block is left with the outermost call."""

    @registered(real)
    def count_down(number: int) -> str:
        if number:
            return count_down(number - 1)
        assert "real" in REGISTRY.tasks
        raise LookupError(number)

    with pytest.raises(LookupError):
        count_down(3)


async def test_calls_of_an_async_function_may_overlap() -> None:
    """What it registers is there until the last of them is over."""

    @registered(real)
    async def sleep(seconds: float) -> None:
        await anyio.sleep(seconds)
        assert "real" in REGISTRY.tasks

    async with anyio.create_task_group() as group:
        for seconds in (3, 1, 2):
            group.start_soon(sleep, seconds)


async def which(*args: object) -> bool:
    """Return whether the task is registered, once others have had a turn."""
    await anyio.lowlevel.checkpoint()
    return "real" in REGISTRY.tasks


def wrapped(function: Any) -> Any:
    """Decorate a function, and know nothing of async."""

    @functools.wraps(function)
    def within(*args: Any) -> Any:
        return function(*args)

    return within


unlike: Any = lambda: which()  # noqa: E731, PLW0108 - it is no async function


class Asks:
    """Has functions of several kinds that are decorated."""

    async def __call__(self) -> bool:
        """Be called like an async function."""
        return await which()

    @registered(real)
    @staticmethod
    async def static() -> bool:
        """Take nothing."""
        return await which()

    @registered(real)
    @classmethod
    async def of_class(cls) -> bool:
        """Take the class."""
        assert cls is Asks
        return await which()

    @registered(real)
    async def method(self) -> bool:
        """Take the object."""
        return await which()


ASYNC: dict[str, Any] = {
    "under a decorator": registered(real)(wrapped(which)),
    "lambda": registered(real)(unlike),
    "object": registered(real)(Asks()),
    "partial": registered(real)(functools.partial(which, 1)),
    "static": Asks.static,
    "static, of an object": Asks().static,
    "of a class": Asks.of_class,
    "method": Asks().method,
}


@pytest.mark.parametrize("kind", ASYNC)
async def test_whatever_is_awaited_is_awaited_within(kind: str) -> None:
    """Also if it does not look like an async function."""
    assert await ASYNC[kind]()
    assert "real" not in REGISTRY.tasks


def steps() -> Iterator[int]:
    """Yield."""
    yield 1


async def async_steps() -> Any:
    """Return what yields."""
    return steps()


ODD: dict[str, tuple[Any, str]] = {
    "generator function": (steps, f"{__name__}.steps"),
    "async generator function": (stream, f"{__name__}.stream"),
    "class": (Holder, f"{__name__}.Holder"),
    "None": (None, "None"),
    "text": ("text", "'text'"),
    "property": (property(real), "<property object at "),
    "fixture": (pytest.fixture(name="odd")(wrapped(steps)), "<"),
    "async fixture": (pytest.fixture(name="odd")(wrapped(which)), "<"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_would_be_left_too_early_cannot_be_decorated(kind: str) -> None:
    """The call of a generator function executes nothing of it; others are not called at all."""
    decorate: Any = registered(real)
    odd, name = ODD[kind]
    with pytest.raises(TypeError, match=r"put 'with registered\(...\):' into it") as refusal:
        decorate(odd)
    assert str(refusal.value).startswith(f"cannot decorate {name}")


LATE: dict[str, tuple[Any, list[None]]] = {
    "generator": (wrapped(steps), []),
    "async generator": (wrapped(stream), [None]),
    "context manager": (contextmanager(steps), []),
    "async context manager": (asynccontextmanager(stream), [None]),
    "async": (async_steps, []),
}


@pytest.mark.parametrize("kind", LATE)
async def test_a_call_whose_code_would_be_executed_after_the_block_is_refused(kind: str) -> None:
    """As what it has returned says."""
    function, args = LATE[kind]
    with pytest.raises(TypeError, match=r"put 'with registered\(...\):' into it"):
        result = registered(real)(function)(*args)
        await result
    assert "real" not in REGISTRY.tasks


def test_what_is_returned_and_may_be_used_anywhere_is_handed_on() -> None:
    """An iterator, or an open file: what is in there was executed."""
    numbers, ends = iter([1]), ExitStack()
    assert registered(real)(lambda: numbers)() is numbers
    assert registered(real)(lambda: ends)() is ends
