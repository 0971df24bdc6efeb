"""Names of tasks, and the coroutine functions and holder classes behind them.

Owns:   the one registry of the process.
Source: 1.x `TaskRegistry` and `register`, with the same errors.
"""

from __future__ import annotations

import dis
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from .errors import UnknownTaskName

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import CodeType

    TaskFunction = Callable[..., Coroutine[Any, Any, Any]]
    Record = tuple[type | None, TaskFunction]

Task = TypeVar("Task", bound="Callable[..., Any]")


class TaskRegistry:
    """The tasks that templates can name; filled by `register`.

    Attributes:
        start: Runs a task by itself; set by the module that does, `tukio.task.task`.
    """

    start: ClassVar[Callable[..., Any]]
    _registry: ClassVar[dict[Any, Record]] = {}
    _codes: ClassVar[dict[CodeType, Any]] = {}
    # By name, the code of those that have no `await` in it.
    _prompt: ClassVar[dict[Any, CodeType]] = {}

    @classmethod
    def register(
        cls, coro_or_cls: Callable[..., Any], task_name: Any, coro_name: str | None = None
    ) -> None:
        """Add a task.

        Args:
            coro_or_cls: A coroutine function, or a class that has one as a method.
            task_name: The name templates use; any hashable.
            coro_name: The method, for a class; ignored for a function.

        Raises:
            ValueError: The name is taken.
            TypeError: What was given is not a coroutine function, or the class comes without
                `coro_name`.
            AttributeError: The class has no such method, or it is a `functools.partial`.
        """
        if task_name in cls._registry:
            msg = f"task name '{task_name}' already registered with {cls._registry[task_name]}"
            raise ValueError(msg)
        holder, function = cls._resolve(coro_or_cls, coro_name)
        if not inspect.iscoroutinefunction(function):
            msg = f"{function} is not a coroutine function - define it with 'async def'"
            raise TypeError(msg)
        code = function.__code__  # before anything is changed: a partial has none
        cls._registry[task_name] = holder, function
        cls._codes[code] = task_name
        if _never_awaits(function):
            cls._prompt[task_name] = code

    @staticmethod
    def _resolve(
        coro_or_cls: Callable[..., Any], coro_name: str | None
    ) -> tuple[type | None, Callable[..., Any]]:
        if not inspect.isclass(coro_or_cls):
            return None, coro_or_cls
        if coro_name is None:
            msg = (
                f"class {coro_or_cls.__qualname__} is registered without the name of its"
                " coroutine method - @register('name', 'method')"
            )
            raise TypeError(msg)
        return coro_or_cls, getattr(coro_or_cls, coro_name)

    @classmethod
    def get(cls, task_name: Any) -> Record:
        """Return the holder class (None for a plain function) and the coroutine function.

        Raises:
            UnknownTaskName: Nothing is registered under that name.
        """
        try:
            return cls._registry[task_name]
        except (KeyError, TypeError) as error:
            raise UnknownTaskName(task_name, cls._registry) from error

    @classmethod
    def remove(cls, task_name: Any) -> None:
        """Forget a task. Its name can be given to another; what is at work goes on.

        A function that serves under other names, too, goes on to serve under these.

        Raises:
            UnknownTaskName: Nothing is registered under that name.
        """
        _, function = cls.get(task_name)
        del cls._registry[task_name]
        cls._prompt.pop(task_name, None)
        cls._codes.pop(function.__code__, None)
        for name, (_, other) in cls._registry.items():
            if other.__code__ == function.__code__:
                cls._codes[other.__code__] = name

    @classmethod
    def all(cls) -> dict[Any, Record]:
        """Return the registry itself: name -> (holder class or None, coroutine function)."""
        return cls._registry

    @classmethod
    def codes(cls) -> dict[CodeType, Any]:
        """Return the names by the code object of their coroutine function."""
        return cls._codes


# Looked up for every step.
_registry: dict[Any, Record] = TaskRegistry.all()
_prompt: dict[Any, CodeType] = TaskRegistry._prompt

_SUSPENDING = frozenset({"YIELD_VALUE", "YIELD_FROM", "SEND"})
"""By which of these a coroutine awaits, the versions and kinds of Python differ."""


def may_suspend(task_name: Any) -> bool:
    """Say whether a task may have to wait: one that has no `await` in its code never does.

    True also if nothing is registered under that name.
    """
    try:
        # Tools that load what has been edited give a function new code.
        return _registry[task_name][1].__code__ is not _prompt.get(task_name)
    except (KeyError, TypeError, AttributeError):
        return True


def _never_awaits(function: Callable[..., Any]) -> bool:
    if type(function) is not FunctionType or not function.__code__.co_flags & inspect.CO_COROUTINE:
        return False
    names = {instruction.opname for instruction in dis.get_instructions(function)}
    return names.isdisjoint(_SUSPENDING)


def register(task_name: Any, coro_name: str | None = None) -> Callable[[Task], Task]:
    """Return a decorator that registers a coroutine function or a holder class as a task.

    Args:
        task_name: The name templates use. The class gets it as `TASK_NAME`.
        coro_name: The coroutine method of a holder class.

    Raises:
        ValueError, TypeError, AttributeError: (the decorator) As `TaskRegistry.register`.
    """

    def decorator(coro_or_cls: Task) -> Task:
        TaskRegistry.register(coro_or_cls, task_name, coro_name)
        is_holder, target = inspect.isclass(coro_or_cls), cast("Any", coro_or_cls)
        if is_holder:
            target.TASK_NAME = task_name
        return coro_or_cls

    return decorator
