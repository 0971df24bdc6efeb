"""Tasks that are registered for one block: a test can replace any task, and leaves no name behind.

Owns:   the blocks that are open: each knows what it has replaced, in a registry and in a class.
Knows:  the registry of tasks.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from .._model.candidate import METHOD, NO_CODE, place_of, resolve
from .._model.display import kind_of, shown
from .._model.registry import Registry, TaskRegistry, registry_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .._model.registry import Record

    Task = Callable[..., Any] | tuple[type, str]
    """A coroutine function, a holder class, or a holder class with the name of its method."""

P = ParamSpec("P")
Result = TypeVar("Result")


def registered(
    *tasks: Task | Mapping[Any, Task], registry: Registry | None = None, **named: Task
) -> Registered:
    """Register tasks for one `with` block, in the place of those that have their names.

        with registered(fetch=fake_fetch, charge=FakeCharge):
            ...

    When the block is left, in whatever way, each name means again what it meant before. Blocks may
    be nested; the innermost one counts. As a decorator it does the same for each call of a
    function, `async def` or not; a coroutine that it returns is awaited in a block, too.

    A step looks up its task when it begins. So leave the engine within the block: a run that goes
    on after it begins its further steps with the tasks that are registered then.

    Args:
        tasks: Coroutine functions, tasks of code form and holder classes, under their own names
            (`__name__`). Or dicts of tasks by any names, as for `named`.
        registry: The registry; None is the one of the process.
        named: Tasks by their names: a coroutine function, a holder class with a method `execute`,
            or `(holder class, "method")`.

    Raises:
        TypeError: Something is not a coroutine function or a holder class, or has no name of its
            own, or `registry` is no registry. Nothing was registered.
        AttributeError: A holder class has no such method. Nothing was registered.
        ValueError: Two of the tasks have the same name. Nothing was registered.
    """
    found = _registry_in(registry)
    records: dict[Any, Record] = {}
    for name, task in _named(tasks, named):
        if name in records:
            msg = f"two tasks are to be registered as {shown(name)} - give each a name of its own"
            raise ValueError(msg)
        records[name] = _record_of(name, task)
    return Registered(records, found)


def _registry_in(given: object) -> Registry:
    """Return the registry that is meant by the argument of this name.

    Raises:
        TypeError: It is none.
    """
    try:
        return registry_for(given)
    except TypeError as error:
        if given is TaskRegistry:
            raise
        msg = f"{error} - a task called 'registry' goes into a dict"
        raise TypeError(msg) from None


class Registered:
    """What `registered` returns: a context manager to enter once or more often, and a decorator.

    Args:
        records: The tasks by name.
        registry: The registry.
    """

    def __init__(self, records: Mapping[Any, Record], registry: Registry) -> None:
        self._records: Mapping[Any, Record] = records
        self._registry: Registry = registry
        # What is to be undone when the blocks of this are left, the innermost one last.
        self._entered: list[ExitStack] = []

    def __enter__(self) -> None:
        with ExitStack() as undoing:
            for name, record in self._records.items():
                layer = _lay(self._registry, name, record)
                undoing.callback(_lift, self._registry, name, layer)
                holder = record[0]
                if holder is not None:
                    # As `register` does.
                    layer = _lay(holder, "TASK_NAME", name)
                    undoing.callback(_lift, holder, "TASK_NAME", layer)
            self._entered.append(undoing.pop_all())

    def __exit__(self, *exc_info: object) -> None:
        self._entered.pop().close()

    def __call__(self, function: Callable[P, Result]) -> Callable[P, Result]:
        """Return a function that calls another one within a block.

        A call that returns a generator, or what `contextlib` makes of one, raises `TypeError`.

        Raises:
            TypeError: It is a class or a generator function: the block would be left before the
                code in there is executed. Or it is a fixture, which pytest alone may call, or
                cannot be called at all.
        """
        given: Any = function
        if isinstance(given, staticmethod | classmethod):
            around: Any = type(given)(self(given.__func__))
            return around  # type: ignore[no-any-return]  # of the same kind
        if not callable(given) or any(kind(given) for kind in _NOT_CALLED_AS_A_WHOLE):
            msg = f"cannot decorate {place_of(function)} - {INTO_IT}"
            raise TypeError(msg)
        if inspect.iscoroutinefunction(function):
            return self._around_async(function)  # type: ignore[no-any-return]  # likewise

        @functools.wraps(function)
        def within(*args: P.args, **kwargs: P.kwargs) -> Result:
            with self:
                result: Result = self._executed(function, function(*args, **kwargs))
                return result

        return within

    def _around_async(self, function: Any) -> Any:
        @functools.wraps(function)
        async def within(*args: Any, **kwargs: Any) -> Any:
            with self:
                return self._executed(function, await function(*args, **kwargs))

        return within

    def _executed(self, function: object, result: Any) -> Any:
        """Return what a function has returned; a coroutine so that it is awaited within a block.

        Raises:
            TypeError: Code of the function is still to be executed, by whoever gets the result.
        """
        if inspect.iscoroutine(result):
            return self._awaited(result)
        work = result
        if isinstance(result, AbstractContextManager | AbstractAsyncContextManager):
            # Those that `contextlib` makes have a generator, and nothing else.
            work = inspect.getattr_static(result, "gen", result)
        if type(work) not in {GeneratorType, AsyncGeneratorType}:
            return result
        if type(work) is GeneratorType:
            work.close()
        msg = (
            f"{place_of(function)} has returned {kind_of(result)}, whose code would be executed"
            f" after the block - {INTO_IT}"
        )
        raise TypeError(msg)

    async def _awaited(self, coroutine: Any) -> Any:
        with self:
            return await coroutine


def _is_fixture(function: object) -> bool:
    """Return whether something is a fixture of pytest, in whichever way a version marks it."""
    marks = ("_fixture_function_marker", "_pytestfixturefunction")
    return any(inspect.getattr_static(function, mark, None) is not None for mark in marks)


INTO_IT: Final = "put 'with registered(...):' into it"

_NOT_CALLED_AS_A_WHOLE: Final[tuple[Callable[[object], bool], ...]] = (
    inspect.isclass,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    _is_fixture,
)


def _named(
    tasks: Iterable[Task | Mapping[Any, Task]], named: Mapping[str, Task]
) -> Iterator[tuple[Any, Task]]:
    """Yield all tasks with their names.

    Raises:
        TypeError: A task has no name of its own, or is none.
    """
    for one in tasks:
        if isinstance(one, Mapping):
            yield from one.items()
            continue
        thing: Any = one[0] if isinstance(one, tuple) and one else one
        name = getattr(thing, "__name__", None)
        if not isinstance(name, str):
            raise TypeError(_nameless(thing))
        yield name, one
    yield from named.items()


def _nameless(thing: object) -> str:
    """Return what is wrong with a task that has no name of its own."""
    if isinstance(thing, str):
        place = f"{thing}=..." if thing.isidentifier() else f"{{{shown(thing)}: ...}}"
        return f"{shown(thing)} is the name of a task, and not the task - registered({place})"
    if not hasattr(thing, "__code__"):
        return _no_task(thing)
    return f"{place_of(thing)} has no name of its own - registered(name=...)"


def _no_task(thing: object) -> str:
    """Return what is wrong with something that has no code, and is no class."""
    # As a partial of one.
    is_async = inspect.iscoroutinefunction(thing)
    return (
        f"{place_of(thing)} {NO_CODE if is_async else 'is neither a function nor a holder class'}"
    )


def _plain(task: Any) -> Any:
    """Return the coroutine function of a task of code form; anything else as it is."""
    # Of its class: a mock has any attribute.
    is_task = isinstance(inspect.getattr_static(type(task), "coroutine_function", None), property)
    return task.coroutine_function if is_task else task


def _record_of(name: Any, task: Any) -> Record:
    """Return what a registry has of a task.

    Raises:
        TypeError, AttributeError: As `registered`.
    """
    holder: Any = _plain(task)
    method: str = METHOD
    if isinstance(task, tuple) and len(task) == 2:  # noqa: PLR2004 - a pair
        holder, method = task
    if inspect.isclass(holder):
        if not isinstance(method, str):
            msg = f"task {shown(name)}: expected the name of a method, not {place_of(method)}"
            raise TypeError(msg)
        if not hasattr(holder, method):
            about = f"task {shown(name)}: class {holder.__qualname__} has no method {shown(method)}"
            msg = f"{about} - give (class, 'method')"
            raise AttributeError(msg)
        return resolve(holder, method)
    if not hasattr(holder, "__code__"):
        msg = f"task {shown(name)}: {_no_task(holder)}"
        raise TypeError(msg)
    return resolve(holder)


_NONE: Final = object()
"""Stands for the name of a class that has none."""

_lock: Final = threading.RLock()
"""Held while a layer is put on or taken away. Of a user's class, that may call anything."""


@dataclass(eq=False, slots=True)
class _Layer:
    """What one block has put into a registry under one name, or into a holder class.

    Attributes:
        owner: The registry or class; it is kept, as it is known by its id.
        before: What is put back when the block is left.
    """

    owner: Any
    before: Any


_layers: dict[tuple[int, Any], list[_Layer]] = {}
"""The layers of the blocks that are open, by the id of the owner and name, the last one on top."""


def _lay(owner: Any, name: Any, thing: Any) -> _Layer:
    """Put something on top of what has its name.

    Args:
        owner: A registry; or a holder class, whose only name here is `TASK_NAME`.
        name: The name.
        thing: The record of a task, or the name that a class gets.
    """
    with _lock:
        layer = _Layer(owner, _put(owner, name, thing))
        _layers.setdefault((id(owner), name), []).append(layer)
    return layer


def _lift(owner: Any, name: Any, layer: _Layer) -> None:
    """Take a layer away; not always the top one, as blocks of two tasks end in any order."""
    with _lock:
        layers = _layers[id(owner), name]
        place = layers.index(layer)
        del layers[place]
        if place < len(layers):
            layers[place].before = layer.before
        else:
            _put(owner, name, layer.before)
        if not layers:
            del _layers[id(owner), name]


def _put(owner: Any, name: Any, thing: Any) -> Any:
    """Put something in the place of what has its name; return what that was."""
    if isinstance(owner, Registry):
        return owner.put(name, thing)
    before = vars(owner).get(name, _NONE)
    if thing is not _NONE:
        setattr(owner, name, thing)
    elif before is not _NONE:
        delattr(owner, name)
    return before
