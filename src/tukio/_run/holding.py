"""Who of ours holds an event loop: found on the stack of its thread, and told of in the log.

Owns:   which functions of ours have users' code on top of them.
Knows:  the lookout, which looks at stacks. What is here runs in its thread, while the loop is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, Final

from .._events.subscription import Subscription
from .._events.taps import Tap
from .._events.workers import Workers
from .._loop.frames import package_of, stack_of
from .._loop.lookout import Lookout, Suspect
from .._loop.surroundings import surroundings
from .._model.detach import dict_copied
from .._model.display import kind_of, logged
from .._model.event import sent_by
from .._model.logs import WARNING, Log
from .._model.plan import Plan
from .._step.log_fields import log_fields
from .._step.snapshot import _reporting
from .._step.step import LiveStep
from .driver import _one_by_one, drive
from .unwinding import _result_of_teardown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import CodeType, FrameType

    from .._loop.contract import Tree

log: Log = Log("tukio.watchdog")

PACKAGE: Final = __name__.partition(".")[0]

USERS_CODE_IN: Final[dict[CodeType, str]] = {
    vars(_one_by_one)["__wrapped__"].__code__: "step",
    _result_of_teardown.__code__: "step",
    LiveStep._run_done_callbacks.__code__: "self",
    vars(LiveStep)["uid"].fget.__code__: "self",
    _reporting.__code__: "step",
    Plan.passed_on.__code__: "step",
    dict_copied.__code__: "value",
    sent_by.__code__: "data",
    Tap.tell.__code__: "self",
    Subscription.deliver.__code__: "self",
    Workers._make.__code__: "caller",
}
"""The functions that call users' code for long, perhaps; each with its variable that has whoever is
to be named: a step, a handler, a tap, or a dict of a user's class."""

OURS: Final[set[CodeType]] = {drive.__code__, Workers._work.__code__}
"""The functions of tasks of our own, whose context may be that of any step."""


@dataclass(frozen=True, slots=True)
class InWords:
    """Whoever holds the loop: a step, or a task that it has started; a handler, a tap, a dict.

    Attributes:
        who: Which.
        fields: What log records about it have beside their text.
        stack: Where it is.
    """

    who: str
    fields: dict[str, str]
    stack: str

    def tell(self, seconds: float) -> None:
        """Tell that it holds the loop."""
        log.warning(
            "%s has held the event loop for more than %.1f s, and nothing else runs there - what"
            " takes long must await at times, or be done in a thread, as by await"
            " anyio.to_thread.run_sync(...)",
            self.who,
            seconds,
            extra=self.fields,
            stack=self.stack,
        )

    def tell_end(self, seconds: float) -> None:
        """Tell that the loop goes on."""
        log.info(
            "%s has let go of the event loop, after more than %.1f s",
            self.who,
            seconds,
            extra=self.fields,
        )


def suspect(innermost: FrameType, loops: Collection[Tree]) -> Suspect | None:
    """Return who of ours is on the stack of a thread; None for nobody.

    Args:
        innermost: The innermost frame of the thread.
        loops: The loops that run there.
    """
    found: list[tuple[Any, FrameType]] = []
    within, ours = innermost, False
    for frame in _outwards(innermost):
        if frame.f_code in USERS_CODE_IN:
            # None if it has returned meanwhile. What is read here stays with the frame up to Python
            # 3.12: a run keeps its steps anyway, and the other frames are gone soon.
            found.append((frame.f_locals.get(USERS_CODE_IN[frame.f_code]), within))
        ours = ours or frame.f_code in OURS
        within = frame
    if not found:
        return None if ours else _started_by_a_step(innermost, loops)
    # The outermost one is there for as long as it calls others; the innermost one is named.
    (named, outermost), (there, _) = found[0], found[-1]
    if named is None or there is None:
        return None
    return Suspect(id(there), partial(_in_words, named, innermost, outermost))


def _in_words(named: Any, innermost: FrameType, outermost: FrameType | None) -> InWords:
    stack = _stack_between(innermost, outermost)
    # Not `isinstance`, which asks a dict of a user's class for its class.
    kind = type(named)
    if issubclass(kind, LiveStep):
        return InWords(_name_of(named), log_fields(named.run, named), stack)
    if issubclass(kind, dict):
        return InWords(f"copy() of {kind_of(named)}", {}, stack)
    if kind is Tap:
        return InWords(f"tap {logged(named.function)}", {}, stack)
    return InWords(f"handler {logged(named.handler)}", {}, stack)


def _name_of(step: LiveStep) -> str:
    return f"task '{logged(step.template.uid)}' of workflow {logged(step.run.uid)}"


def _child_in_words(step: LiveStep, innermost: FrameType, outermost: FrameType | None) -> InWords:
    """Return a task that a step has started in words: the step, and its run, may be over."""
    who = f"a task that {_name_of(step)} has started"
    return InWords(who, log_fields(step.run, step), _stack_between(innermost, outermost))


def _started_by_a_step(innermost: FrameType, loops: Collection[Tree]) -> Suspect | None:
    """Return the task that a loop is at, if a step has started it; None if none has."""
    for loop in loops:
        present = loop.present()
        found = None if present is None else present[0].get(surroundings)
        if present is not None and found is not None:
            step, outermost = found[0], getattr(present[1], "cr_frame", None)
            return Suspect(id(step), partial(_child_in_words, step, innermost, outermost))
    return None


def _stack_between(innermost: FrameType, outermost: FrameType | None) -> str:
    frames: list[FrameType] = []
    for frame in _outwards(innermost):
        frames.append(frame)
        if frame is outermost:
            break
    frames.reverse()
    # A few of ours are between whoever is known to call users' code and that code.
    return stack_of(list(dropwhile(_is_of_ours, frames)) or frames)


def _is_of_ours(frame: FrameType) -> bool:
    return package_of(frame) == PACKAGE


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


LOOKOUT: Final = Lookout(suspect)
"""That of the process."""


def watch(loop: Tree) -> None:
    """Tell from now on who holds a loop, unless nobody wants to be told."""
    if log.tells(WARNING):
        LOOKOUT.watch(loop)


def leave(loop: Tree) -> None:
    """Undo `watch`."""
    LOOKOUT.leave(loop)
