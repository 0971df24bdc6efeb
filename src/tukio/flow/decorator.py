"""The decorator that makes a task of a function."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, Never, Protocol, TypeVar, overload

from .._model.candidate import place_of, resolve
from .._model.display import shown
from .._model.registry import Registry, registry_for
from .calls import in_loop, in_thread
from .keys import TaskKeys, as_document
from .process_calls import in_process
from .tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Unpack

    from .limits import Limiter

# What a coroutine yields and is sent is said without `Any`: with one in its arguments, mypy cannot
# tell which overload of `>>` fits.
Taken = TypeVar("Taken")
Returned = TypeVar("Returned")


class AsyncTask(Protocol):
    """Makes a task of a coroutine function. What returns nothing passes on what it takes."""

    @overload
    def __call__(
        self, function: Callable[[Taken], Coroutine[Any, Any, None]], /
    ) -> Task[Taken, Taken, Coroutine[object, Never, None]]: ...

    @overload
    def __call__(
        self, function: Callable[[Taken], Coroutine[Any, Any, Returned]], /
    ) -> Task[Taken, Returned, Coroutine[object, Never, Returned]]: ...


class PlainTask(Protocol):
    """Makes a task of a plain function. What returns nothing passes on what it takes."""

    @overload
    def __call__(self, function: Callable[[Taken], None], /) -> Task[Taken, Taken, None]: ...

    @overload
    def __call__(
        self, function: Callable[[Taken], Returned], /
    ) -> Task[Taken, Returned, Returned]: ...


@overload
def task(
    function: Callable[[Taken], Coroutine[Any, Any, None]], /
) -> Task[Taken, Taken, Coroutine[object, Never, None]]: ...


@overload
def task(
    function: Callable[[Taken], Coroutine[Any, Any, Returned]], /
) -> Task[Taken, Returned, Coroutine[object, Never, Returned]]: ...


@overload
def task(
    *,
    name: str | None = ...,
    registry: Registry | None = ...,
    **keys: Unpack[TaskKeys],
) -> AsyncTask: ...


@overload
def task(
    *,
    thread: Literal[True],
    limiter: Limiter = ...,
    name: str | None = ...,
    registry: Registry | None = ...,
    **keys: Unpack[TaskKeys],
) -> PlainTask: ...


@overload
def task(
    *,
    process: Literal[True],
    limiter: Limiter = ...,
    name: str | None = ...,
    registry: Registry | None = ...,
    **keys: Unpack[TaskKeys],
) -> PlainTask: ...


def task(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    registry: Registry | None = None,
    thread: bool = False,
    process: bool = False,
    limiter: Limiter = None,
    **keys: Any,
) -> Any:
    """Register a function as a task, and return it as one that chains can be made of.

        @task
        async def fetch(job: Job) -> Page: ...

        @task(thread=True, timeout=10)
        def count(page: Page) -> Count: ...

    The annotation of its argument says what the function takes. A dataclass, a TypedDict, a class
    of attrs, pydantic or msgspec: the data of the event is checked and converted, and data that
    does not fit is an `InvalidInput` of the task, which is not called. Keys that the class does not
    have are left alone. A dict: the data. `tukio.Event`, or nothing: the event. What the function
    returns is data again for the tasks after it: a record as a dict of its fields. None passes on
    what the task was given. A function that takes the event, and does not say what it returns, is
    registered as it is: it costs nothing more, and must return data itself.

    The task stays a function: `await fetch(Job("x"))` calls it, without an engine.

    With `thread=True` a plain function is called in a thread. Context variables, and so
    `tukio.current_task()`, are there as in the event loop; what changes a run is to be called by
    `engine.from_thread`. A thread cannot be stopped from outside: a step that is cancelled, or past
    its limit, is over when the function returns, and the engine waits for that. Whatever was cut,
    the function can ask for it by `tukio.check_cancelled()`, which then raises.

    With `process=True` it is called in a process, which is killed when the step is cancelled or
    past its limit: then nothing of it is at work any more, but what it was at is left as it is.
    The function, what it takes and what it returns must be picklable: defined at the top of a
    module. Context variables are not there. Where its process dies, or what it raises cannot be
    raised here, its error is a `ProcessFailed`.

    Args:
        function: The function; left out if something else is given.
        name: The name to register it under; None is its own.
        registry: The registry; None is that of the process.
        thread: Whether it is a plain function, for a thread.
        process: Whether it is a plain function, for a process.
        limiter: How many calls of it are in threads, or processes, at once, in each event loop; or
            an `anyio.CapacityLimiter`, which other tasks may share, in event loops of one backend.
            None is the limiter of anyio.
        keys: What is said of the task in every workflow; see `TaskKeys`. `of` may say it anew.

    Raises:
        TypeError: It is no function that can be a task, or what it takes is no type for data, or
            there is no such key, or `registry` or `limiter` is none. Nothing was registered.
        ValueError: The name is taken, or the limiter is not positive. Nothing was registered.
    """
    known = as_document(keys, TaskKeys, "task()")
    if thread and process:
        msg = "a task runs in a thread or in a process - give one of them"
        raise TypeError(msg)
    if limiter is not None and not (thread or process):
        msg = "a limiter is for threads and processes - give thread=True or process=True"
        raise TypeError(msg)

    def make(function: Any) -> Task[Any, Any, Any]:
        _check_function(function)
        if thread:
            registered = in_thread(function, limiter)
        elif process:
            registered = in_process(function, limiter)
        else:
            _check_async(function)
            registered = in_loop(function)
        return _registered(function, registered, name, registry, known)

    return make if function is None else make(function)


def _registered(
    function: Any,
    registered: Any,
    name: str | None,
    registry: Registry | None,
    keys: Mapping[str, Any],
) -> Task[Any, Any, Any]:
    home = registry_for(registry)
    name = function.__name__ if name is None else name
    if not isinstance(name, str):
        msg = f"the name of a task is a string in code form, not {shown(name)}"
        raise TypeError(msg)
    made: Task[Any, Any, Any] = Task(name, function, registered, home, keys)
    home.register(registered, name)
    return made


def _check_function(function: Any) -> None:
    if isinstance(function, Task):
        msg = f"{function!r} is a task already - for another id write of(id='...')"
        raise TypeError(msg)
    if inspect.isclass(function):
        advice = "register it by @tukio.register, and write named('...') in chains"
        msg = f"{place_of(function)} is a class - {advice}"
        raise TypeError(msg)
    if not callable(function):
        msg = f"expected a function, not {shown(function)} - write @task or @task(...) above one"
        raise TypeError(msg)


def _check_async(function: Any) -> None:
    """Make sure that a function is one for the event loop.

    Raises:
        TypeError, AttributeError: It is not.
    """
    if inspect.isfunction(function) and not (
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    ):
        msg = (
            f"{place_of(function)} is not a coroutine function - define it with 'async def',"
            " or write @task(thread=True), or @task(process=True) for what keeps a CPU busy"
        )
        raise TypeError(msg)
    resolve(function)
