"""Taps: functions that are called in place with each execution event, which is not made for them.

Owns:   the call of such a function, which harms nobody.
"""

from __future__ import annotations

import inspect
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from .._model.display import shown
from .._model.event import own_data
from .._model.guard import exposed, program_end
from .._model.logs import Log
from .subscription import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log: Log = Log("tukio.broker")

Function: TypeAlias = "Callable[[str, Any, Any, Any], object]"


class Tapped(Protocol):
    """What has taps.

    Attributes:
        serves: A weak reference to the engine that this is for; None if there is none.
    """

    serves: Callable[[], Any] | None

    def forget_tap(self, tap: Tap) -> None:
        """Called when a tap is closed."""
        ...


class Tap:
    """A function that is called with each execution event; `engine.tap` returns one.

    It is called from when it is made until it is closed, or left as a `with` block.

    Args:
        function: Called with the type of the event, the run, the task (None if the event is one of
            the run itself) and the content.
        of: What has this tap.

    Raises:
        TypeError: The function is not callable, or is async.
    """

    __slots__ = ("__weakref__", "_is_closed", "_of", "function")

    def __init__(self, function: Function, of: Tapped) -> None:
        if not callable(function):
            msg = f"{shown(function)} is not callable - give a function of four arguments"
            raise TypeError(msg)
        if inspect.iscoroutinefunction(function):
            msg = (
                f"{shown(function)} is async, and a tap is called in place - register a handler of"
                " tukio.EXEC_TOPIC, which may be async"
            )
            raise TypeError(msg)
        self.function: Function = function
        self._of: Tapped = of
        # Set by `close`, and never set back.
        self._is_closed: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Call the function no more; nothing happens if it was closed before."""
        self._is_closed = True
        self._of.forget_tap(self)

    def move_to(self, of: Tapped) -> None:
        """Be a tap of something else from now on."""
        self._of = of

    @exposed
    def tell(self, kind: str, run: Any, task: Any, content: Any) -> None:
        """Called with each event; what the function raises is logged."""
        if self._is_closed:
            # By another one, with this event.
            return
        try:
            # What it sets there stays there: this is the context of a step.
            copy_context().run(serve, self._of.serves, self.function, kind, run, task, content)
        except BaseException as error:  # noqa: ASYNC103 - nobody can cancel what does not await
            ending = program_end(error)
            if ending is error:
                raise
            log.exception("tap %s failed on '%s'", self.function, kind)
            if ending is not None:
                # Out of a group, of which the rest is in the log.
                raise ending from None  # noqa: ASYNC104 - it ends the program


def tell_all(taps: Iterator[Tap], kind: str, run: Any, task: Any, content: Any) -> None:
    """Call each of some taps with an event; of a dict, each gets a copy of its own."""
    try:
        for tap in taps:
            tap.tell(kind, run, task, own_data(content))
    except BaseException:
        # It has ended the program: the others are told all the same.
        tell_all(taps, kind, run, task, content)
        raise
