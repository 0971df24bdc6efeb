"""The names of tasks, and the coroutine functions and holder classes behind these names.

Owns:   the one registry of the process, and the tasks that every registry has from the start.
Source: 1.x `TaskRegistry` and `register`, with the same errors.
"""

from __future__ import annotations

import dis
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from .errors import UnknownTaskName

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import CodeType

    TaskFunction = Callable[..., Coroutine[Any, Any, Any]]
    Record = tuple[type | None, TaskFunction]

Task = TypeVar("Task", bound="Callable[..., Any]")

_SUSPENDING = frozenset({"YIELD_VALUE", "YIELD_FROM", "SEND"})
"""The instructions by which a coroutine may suspend; versions of Python use different ones."""


class Registry:
    """Tasks by the names that templates use for them.

    `tukio.register` adds tasks to the registry of the process. An engine with a registry of its
    own, `Engine(registry=...)`, looks up names in no other. The tasks that come with tukio (`join`)
    are in every registry.

    Attributes:
        tasks: Name -> (holder class or None, coroutine function). To read from only.
        codes: The code object of a coroutine function -> a name of the task. To read from only.
    """

    # Complete once tukio was imported, and so before a user can make a registry.
    _built_in: ClassVar[dict[Any, tuple[Callable[..., Any], str | None]]] = {}

    def __init__(self) -> None:
        self.tasks: dict[Any, Record] = {}
        self.codes: dict[CodeType, Any] = {}
        # Name -> the code object of a task that has no `await` in its code.
        self._prompt: dict[Any, CodeType] = {}
        for name, (coro_or_cls, coro_name) in self._built_in.items():
            self.register(coro_or_cls, name, coro_name)

    def register(
        self, coro_or_cls: Callable[..., Any], task_name: Any, coro_name: str | None = None
    ) -> None:
        """Add a task.

        Args:
            coro_or_cls: A coroutine function, or a class with a coroutine method.
            task_name: The name that templates use; any hashable object.
            coro_name: The name of the class's coroutine method; ignored for a function.

        Raises:
            ValueError: The name is taken.
            TypeError: The function or method is not a coroutine function, or a class was given
                without `coro_name`.
            AttributeError: The class has no such method, or a `functools.partial` was given.
        """
        if task_name in self.tasks:
            msg = f"task name '{task_name}' already registered with {self.tasks[task_name]}"
            raise ValueError(msg)
        holder, function = _resolve(coro_or_cls, coro_name)
        if not inspect.iscoroutinefunction(function):
            msg = f"{function} is not a coroutine function - define it with 'async def'"
            raise TypeError(msg)
        code = function.__code__  # before anything is changed, as a partial has none
        self.tasks[task_name] = holder, function
        self.codes[code] = task_name
        if _never_awaits(function):
            self._prompt[task_name] = code

    def task(self, task_name: Any, coro_name: str | None = None) -> Callable[[Task], Task]:
        """Return a decorator that adds a coroutine function or a holder class.

        Args:
            task_name: The name that templates use. A class gets it as `TASK_NAME`.
            coro_name: The name of a holder class's coroutine method.

        Raises:
            ValueError, TypeError, AttributeError: (the decorator) As `register`.
        """

        def decorator(coro_or_cls: Task) -> Task:
            self.register(coro_or_cls, task_name, coro_name)
            is_holder, target = inspect.isclass(coro_or_cls), cast("Any", coro_or_cls)
            if is_holder:
                target.TASK_NAME = task_name
            return coro_or_cls

        return decorator

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
        _, function = self.get(task_name)
        del self.tasks[task_name]
        self._prompt.pop(task_name, None)
        self.codes.pop(function.__code__, None)
        for name, (_, other) in self.tasks.items():
            if other.__code__ == function.__code__:
                self.codes[other.__code__] = name

    def may_suspend(self, task_name: Any) -> bool:
        """Return whether a task may suspend, which a task without `await` in its code never does.

        The answer is True, too, if nothing is registered under that name.
        """
        try:
            # Compared with the present code, because tools that reload edited modules replace the
            # code of a function.
            return self.tasks[task_name][1].__code__ is not self._prompt.get(task_name)
        except (KeyError, TypeError, AttributeError):
            return True

    @classmethod
    def build_in(cls, task_name: Any, coro_name: str | None = None) -> Callable[[Task], Task]:
        """Return a decorator for a task that comes with tukio, and so is in every registry."""

        def decorator(coro_or_cls: Task) -> Task:
            cls._built_in[task_name] = coro_or_cls, coro_name
            return REGISTRY.task(task_name, coro_name)(coro_or_cls)

        return decorator


REGISTRY: Final = Registry()
"""The registry of the process."""


def register(task_name: Any, coro_name: str | None = None) -> Callable[[Task], Task]:
    """Return a decorator that registers a coroutine function or a holder class as a task.

    Args:
        task_name: The name that templates use. A class gets it as `TASK_NAME`.
        coro_name: The name of a holder class's coroutine method.

    Raises:
        ValueError, TypeError, AttributeError: (the decorator) As `TaskRegistry.register`.
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
            coro_name: The name of the class's coroutine method; ignored for a function.
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


def _resolve(
    coro_or_cls: Callable[..., Any], coro_name: str | None
) -> tuple[type | None, Callable[..., Any]]:
    """Return the holder class (None for a function) and the function of a task."""
    if not inspect.isclass(coro_or_cls):
        return None, coro_or_cls
    if coro_name is None:
        msg = (
            f"class {coro_or_cls.__qualname__} is registered without the name of its"
            " coroutine method - @register('name', 'method')"
        )
        raise TypeError(msg)
    return coro_or_cls, getattr(coro_or_cls, coro_name)


def _never_awaits(function: Callable[..., Any]) -> bool:
    """Return whether a coroutine function has no instruction by which it could suspend."""
    if type(function) is not FunctionType or not function.__code__.co_flags & inspect.CO_COROUTINE:
        return False
    names = {instruction.opname for instruction in dis.get_instructions(function)}
    return names.isdisjoint(_SUSPENDING)
