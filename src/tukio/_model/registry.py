"""The names of tasks, and the coroutine functions and holder classes behind these names.

Owns:   the one registry of the process, and the tasks that every registry has from the start.
Source: 1.x `TaskRegistry` and `register`, with the same errors.
"""

from __future__ import annotations

import enum
import inspect
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, TypeVar, overload

from .awaiting import never_awaits
from .candidate import place_of, resolve
from .display import shown
from .errors import UnknownTaskName
from .predicate_table import Predicates

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import CodeType

    TaskFunction = Callable[..., Coroutine[Any, Any, Any]]
    Record = tuple[type | None, TaskFunction]

Task = TypeVar("Task", bound="Callable[..., Any]")

# What type checkers take for a name. They cannot tell other hashable objects from functions.
TaskName: TypeAlias = (
    str | bytes | int | float | tuple[Any, ...] | frozenset[Any] | enum.Enum | None
)


class _OwnName:
    """Stands for the name that a task has anyway."""

    def __repr__(self) -> str:
        return "its own name"


OWN_NAME: Final = _OwnName()


class Registry:
    """Tasks by the names that templates use for them.

    `tukio.register` adds tasks to the registry of the process. An engine with a registry of its
    own, `Engine(registry=...)`, looks up names in no other. The tasks that come with tukio
    are in every registry.

    Attributes:
        tasks: Name -> (holder class or None, coroutine function). To read from only.
        codes: The code object of a coroutine function -> a name of the task. To read from only.
        predicates: The predicates; `tukio.predicate` adds to those of the process.
        changes: The number of times that a task was added, replaced or removed.
    """

    # Complete once tukio was imported, and so before a user can make a registry.
    _built_in: ClassVar[dict[Any, tuple[Callable[..., Any], str | None]]] = {}

    def __init__(self) -> None:
        self.tasks: dict[Any, Record] = {}
        self.codes: dict[CodeType, Any] = {}
        self.predicates: Predicates = Predicates()
        # Name -> the code object of a task that has no `await` in its code; None for other tasks.
        self._prompt: dict[Any, CodeType | None] = {}
        self.changes: int = 0
        for name, (coro_or_cls, coro_name) in self._built_in.items():
            self.register(coro_or_cls, name, coro_name)

    def register(
        self, coro_or_cls: Callable[..., Any], task_name: Any, coro_name: str | None = None
    ) -> None:
        """Add a task.

        Args:
            coro_or_cls: A coroutine function, or a class with a coroutine method. It is called with
                one argument, an event; a method with two, the holder and an event.
            task_name: The name that templates use; any hashable object.
            coro_name: The name of the class's coroutine method; None is `execute`. Ignored for a
                function.

        Raises:
            ValueError: The name is taken. Nothing was registered.
            TypeError: The function or method is no coroutine function, or cannot be called with an
                event. Or a class without `execute` was given without `coro_name`. Nothing was
                registered.
            AttributeError: The class has no such method, or a `functools.partial` was given.
                Nothing was registered.
        """
        if task_name in self.tasks:
            raise ValueError(_taken(task_name, self.tasks[task_name], coro_or_cls))
        self.put(task_name, resolve(coro_or_cls, coro_name))

    def put(self, task_name: Any, record: Record | None) -> Record | None:
        """Put a task in the place of another one, or of none, and return that; runs go on with it.

        Args:
            task_name: The name that templates use; any hashable object.
            record: What `resolve` has returned, or this method; None for no task.

        Raises:
            AttributeError: The function is a `functools.partial`. Nothing changes.
        """
        before = self.tasks.get(task_name)
        # Before anything is changed, as a partial has no code.
        codes = [function.__code__ for _, function in filter(None, (before, record))]
        self.changes += 1
        if record is None:
            self.tasks.pop(task_name, None)
            self._prompt.pop(task_name, None)
        else:
            # What was there hands on its place in the order, too.
            self.tasks[task_name], function = record, record[1]
            self._prompt[task_name] = function.__code__ if _never_awaits(function) else None
        if before is None:
            self.codes.update(dict.fromkeys(codes, task_name))
        else:
            self._name_anew(codes)
        return before

    def _name_anew(self, codes: list[CodeType]) -> None:
        """Give code objects the name of the last task that has them, if there is any."""
        for code in codes:
            self.codes.pop(code, None)
        for name, (_, function) in self.tasks.items():
            if function.__code__ in codes:
                self.codes[function.__code__] = name

    @overload
    def task(self, task_name: Task, coro_name: str | None = None) -> Task: ...

    @overload
    def task(
        self, task_name: TaskName = ..., coro_name: str | None = None
    ) -> Callable[[Task], Task]: ...

    def task(self, task_name: Any = OWN_NAME, coro_name: str | None = None) -> Any:
        """Register a task, or return a decorator that does; see `tukio.register`.

        Args:
            task_name: The name that templates use, or the task itself, which then goes by its own.
            coro_name: The name of a holder class's coroutine method; None is `execute`.

        Returns:
            The task itself, if it was given; otherwise a decorator.

        Raises:
            ValueError, TypeError, AttributeError: (the decorator) As `register`.
        """
        if callable(coro_name):
            advice = f"write @register({shown(task_name)}) above it"
            msg = f"expected the name of a method, not {place_of(coro_name)} - {advice}"
            raise TypeError(msg)
        # Without brackets, or as a function: no name in a template can be called.
        if callable(task_name):
            return self._add(task_name, OWN_NAME, coro_name)
        return partial(self._add, task_name=task_name, coro_name=coro_name)

    def _add(self, coro_or_cls: Any, task_name: Any, coro_name: str | None) -> Any:
        """Add a task, tell a holder class its name, and return the task."""
        if task_name is OWN_NAME:
            # Asked first, because what cannot be a task need not have a name.
            resolve(coro_or_cls, coro_name)
            task_name = coro_or_cls.__name__
        self.register(coro_or_cls, task_name, coro_name)
        task: Any = coro_or_cls
        if inspect.isclass(coro_or_cls):
            try:
                task.TASK_NAME = task_name
            except BaseException:
                # Of a class that takes no attributes.
                self.remove(task_name)
                raise
        return task

    def get(self, task_name: Any) -> Record:
        """Return the holder class (None for a plain function) and the coroutine function.

        Raises:
            UnknownTaskName: Nothing is registered under that name.
        """
        try:
            return self.tasks[task_name]
        except (KeyError, TypeError) as error:
            raise UnknownTaskName(task_name, self.tasks) from error

    def remove(self, task_name: Any) -> None:
        """Remove a task; its name can be registered again, and executions at work go on.

        A function that is registered under other names, too, stays registered under these.

        Raises:
            UnknownTaskName: Nothing is registered under that name.
        """
        self.get(task_name)
        self.put(task_name, None)

    def may_suspend(self, task_name: Any) -> bool:
        """Return whether a task may suspend, which a task without `await` in its code never does.

        The answer is True, too, if nothing is registered under that name.
        """
        try:
            # The present code: tools that reload edited modules replace the code of a function.
            return self.tasks[task_name][1].__code__ is not self._prompt[task_name]
        except (KeyError, TypeError, AttributeError):
            return True

    @classmethod
    def build_in(cls, task_name: Any, coro_name: str | None = None) -> Callable[[Task], Task]:
        """Return a decorator for a task that comes with tukio, and so is in every registry."""

        def decorator(coro_or_cls: Task) -> Task:
            cls._built_in[task_name] = coro_or_cls, coro_name
            add: Callable[[Task], Task] = REGISTRY.task(task_name, coro_name)
            return add(coro_or_cls)

        return decorator


REGISTRY: Final = Registry()
"""The registry of the process."""


def registry_for(given: object) -> Registry:
    """Return the registry that a user has given; None stands for that of the process.

    Raises:
        TypeError: It is no registry.
    """
    if given is None:
        return REGISTRY
    if isinstance(given, Registry):
        return given
    advice = " - leave it out for that of the process" if given is TaskRegistry else ""
    msg = f"expected a tukio.task.Registry, not {place_of(given)}{advice}"
    raise TypeError(msg)


@overload
def register(task_name: Task, coro_name: str | None = None) -> Task: ...


@overload
def register(task_name: TaskName = ..., coro_name: str | None = None) -> Callable[[Task], Task]: ...


def register(task_name: Any = OWN_NAME, coro_name: str | None = None) -> Any:
    """Register a coroutine function or a holder class as a task; a decorator.

    A function is called with one argument, an event. A class is instantiated with the config of the
    task, and its coroutine method is called with an event.

        @tukio.register             # as "fetch", its own name
        async def fetch(event): ...

        @tukio.register("etl.load")
        async def load(event): ...

        @tukio.register("etl.store", "run")
        class Store(tukio.TaskHolder):
            async def run(self, event): ...

    Args:
        task_name: The name that templates use; any hashable object. If it is left out, with or
            without the brackets, the task goes by its own `__name__`. A class gets the name as
            `TASK_NAME`.
        coro_name: The name of a holder class's coroutine method; None is `execute`.

    Returns:
        The task itself, so that it can be used as before.

    Raises:
        ValueError, TypeError, AttributeError: (the decorator) As `TaskRegistry.register`. Nothing
            was registered.
    """
    return REGISTRY.task(task_name, coro_name)


class TaskRegistry:
    """The registry of the process, with the methods of 1.x; see `Registry`."""

    @staticmethod
    def register(
        coro_or_cls: Callable[..., Any], task_name: Any, coro_name: str | None = None
    ) -> None:
        """Add a task; see `Registry.register`, also for the errors.

        Args:
            coro_or_cls: A coroutine function, or a class with a coroutine method.
            task_name: The name that templates use; any hashable object.
            coro_name: The name of the class's coroutine method; None is `execute`. Ignored for a
                function.
        """
        REGISTRY.register(coro_or_cls, task_name, coro_name)

    @staticmethod
    def get(task_name: Any) -> Record:
        """Return the holder class (None for a plain function) and the coroutine function.

        Raises:
            UnknownTaskName: Nothing is registered under that name.
        """
        return REGISTRY.get(task_name)

    @staticmethod
    def remove(task_name: Any) -> None:
        """Remove a task; see `Registry.remove`.

        Raises:
            UnknownTaskName: Nothing is registered under that name.
        """
        REGISTRY.remove(task_name)

    @staticmethod
    def all() -> dict[Any, Record]:
        """Return the tasks themselves: name -> (holder class or None, coroutine function)."""
        return REGISTRY.tasks

    @staticmethod
    def codes() -> dict[CodeType, Any]:
        """Return the code object of each coroutine function -> a name of the task."""
        return REGISTRY.codes

    @staticmethod
    def predicates() -> Predicates:
        """Return the predicates of the process."""
        return REGISTRY.predicates


def _taken(task_name: Any, record: Record, newcomer: object) -> str:
    """Return what is wrong with a name that a task has already, and the ways out."""
    holder, function = record
    known, other = place_of(holder or function), place_of(newcomer)
    again = f"remove({shown(task_name)}) of the registry"
    msg = f"task name {shown(task_name)} already registered with {known}"
    if known == other:
        return f"{msg} - before its module is executed again, call {again}"
    return f"{msg}, so {other} cannot have it - give it another name, or call {again} before"


def _never_awaits(function: Callable[..., Any]) -> bool:
    """Return whether a coroutine function has no instruction by which it could suspend."""
    if type(function) is not FunctionType or not function.__code__.co_flags & inspect.CO_COROUTINE:
        return False
    return never_awaits(function.__code__)
