"""The lookout: a thread that tells who holds an event loop, while nothing else can run there.

Owns:   the one thread of the process, and the loops that it looks at.
Knows:  the stacks of other threads. Who of ours is on one is asked of a function.

A look at the stack of a loop's thread costs the loop nothing, but proves little: whoever is found
twice in a row may have awaited in between. So the loop is asked for an answer then, and only then:
an idle one is never woken. Whoever is found in each look, for as long as there is no answer, has
held the loop all the time.

A call that keeps the lock of the interpreter, as few do for long, holds up the lookout, too: it is
told of only if it is one of many.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from .._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import FrameType

    from .contract import Tree

log: Log = Log("tukio.watchdog")

PERIOD: float = 0.25
"""Seconds between two looks."""

LOOKS: Final = 4
"""The number of looks without an answer after which a loop is held: more than a second."""

LONGEST_JOIN: Final = 1.0
"""Seconds that whoever leaves the last loop waits for the thread: it may be in a slow log."""

NAME: Final = "tukio lookout"


class Holder(Protocol):
    """Whoever holds a loop, in words alone: it keeps nothing alive."""

    def tell(self, seconds: float) -> None:
        """Called while it holds the loop, again and again."""
        ...

    def tell_end(self, seconds: float) -> None:
        """Called when the loop goes on."""
        ...


class Suspect(NamedTuple):
    """Whoever is found on the stack of a thread; not to be kept.

    Attributes:
        key: Tells it from others, for as long as it is there.
        named: Returns it in words, with the place where it is.
    """

    key: int
    named: Callable[[], Holder]


class Answer:
    """An answer that the loops of a thread are asked for: called by the first that has a turn.

    Args:
        thread: The id of the thread. A loop may have been taken for one of it, and run in another.
    """

    __slots__ = ("_thread", "asked_at", "given_at")

    def __init__(self, thread: int) -> None:
        self._thread: int = thread
        self.asked_at: float = time.monotonic()
        # None until then.
        self.given_at: float | None = None

    def __call__(self) -> None:
        if self.given_at is None and threading.get_ident() == self._thread:
            self.given_at = time.monotonic()


class Suspicion:
    """What is known of one thread: who may hold its loops, and for how long they gave no answer.

    Args:
        thread: The id of the thread.
    """

    __slots__ = ("_answer", "_holder", "_key", "_looks", "_thread")

    def __init__(self, thread: int) -> None:
        self._thread: int = thread
        # That of whoever was found in the last look; None if nobody was.
        self._key: int | None = None
        # What the loops were asked for; None unless the same one was found twice.
        self._answer: Answer | None = None
        # The number of looks since then.
        self._looks: int = 0
        # Who was told of; None before that.
        self._holder: Holder | None = None

    def look(self, suspect: Suspect | None, loops: Collection[Tree]) -> None:
        """Take note of a look.

        Args:
            suspect: Who was found; None for nobody.
            loops: The loops of the thread. Any of them may answer: it is the thread that is held.
        """
        key = None if suspect is None else suspect.key
        if key != self._key or (self._answer is not None and self._answer.given_at is not None):
            self.acquit()
            self._key = key
        elif suspect is not None and self._answer is None:
            self._answer = answer = Answer(self._thread)
            for loop in loops:
                loop.call_from_outside(answer)
        elif suspect is not None and self._answer is not None:
            self._looks += 1
            # At powers of two, from the first second on.
            if self._looks >= LOOKS and self._looks.bit_count() == 1:
                self._holder = suspect.named()
                self._holder.tell(time.monotonic() - self._answer.asked_at)

    def acquit(self) -> None:
        """Tell the end of whoever was told of, and begin anew."""
        holder, answer = self._holder, self._answer
        self._holder = self._answer = None
        self._looks = 0
        if holder is not None and answer is not None:
            holder.tell_end((answer.given_at or time.monotonic()) - answer.asked_at)


class Looker(threading.Thread):
    """The thread of a lookout.

    Args:
        serve: What it does, given itself.

    Attributes:
        end: Ends it.
        is_stuck: Whether somebody has waited for its end in vain. Set once, and never set back.
    """

    def __init__(self, serve: Callable[[Looker], None]) -> None:
        super().__init__(name=NAME, daemon=True)
        self._serve: Callable[[Looker], None] = serve
        self.end: threading.Event = threading.Event()
        self.is_stuck: bool = False

    def run(self) -> None:
        """Run; called in the thread."""
        self._serve(self)


class Lookout:
    """Looks at event loops, in a thread of its own for as long as there are any.

    All but the looks is called from the threads of the loops. There is no lock, which Ctrl-C could
    leave locked: each change is one operation of a dict, and whoever changes something looks after
    that whether a thread is needed. Should two start one, the first of these ends.

    Args:
        search: Returns who is to be suspected, by the innermost frame of a thread and the loops
            that run there; None for nobody.
    """

    def __init__(self, search: Callable[[FrameType, Collection[Tree]], Suspect | None]) -> None:
        self._search: Callable[[FrameType, Collection[Tree]], Suspect | None] = search
        # By their ids. They are not kept alive.
        self._loops: WeakValueDictionary[int, Tree] = WeakValueDictionary()
        # What is known of each thread that loops run in, by its id.
        self._suspicions: dict[int, Suspicion] = {}
        # The thread; None if there is none, or it is about to end.
        self._thread: Looker | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """Called in the child of a fork: the thread, and the loops, are those of the parent."""
        self._loops.clear()
        self._thread = None

    def watch(self, loop: Tree) -> None:
        """Look at a loop from now on, until `leave`, or until it is closed or nobody has it."""
        # Without that lock, a stack may change while it is looked at.
        if getattr(sys, "_is_gil_enabled", lambda: True)():
            self._loops[id(loop)] = loop
            self._start_if_needed()

    def leave(self, loop: Tree) -> None:
        """Undo `watch`; nothing happens if that was undone before.

        With the last one, the thread has ended when this returns, unless whoever gets what it tells
        takes long. That is waited for once: the caller holds its loop meanwhile.
        """
        self._loops.pop(id(loop), None)
        thread = self._thread
        if not self._loops and thread is not None:
            thread.end.set()
            is_another = thread is not threading.current_thread()
            if is_another and thread.is_alive() and not thread.is_stuck:
                thread.join(LONGEST_JOIN)
                thread.is_stuck = thread.is_alive()

    def _start_if_needed(self) -> None:
        # One that is there and not alive was cut by Ctrl-C before it was started.
        if not self._loops or (self._thread is not None and self._thread.is_alive()):
            return
        self._suspicions = {at: Suspicion(at) for at in self._loops_by_thread()}
        self._thread = thread = Looker(self._serve)
        try:
            # Where no thread can be started, nobody looks.
            with suppress(RuntimeError):
                thread.start()
        finally:
            # Ctrl-C may have cut the start, too.
            if self._thread is thread and not thread.is_alive():
                self._thread = None

    def _serve(self, thread: Looker) -> None:
        """Look at the loops until there are none; run in the thread."""
        try:
            # Another thread may have been started beside this one, if two loops came at once.
            while not thread.end.wait(PERIOD) and self._thread is thread and self._loops:
                self._look()
            # Not after a look that failed: whoever was told of may well go on.
            if self._thread is thread:
                self._acquit_all_but(())
        except Exception:
            self._loops.clear()
            log.exception("nobody looks any more whether a task holds the event loop")
        finally:
            if self._thread is thread:
                self._suspicions = {}
                self._thread = None
            # A loop may have come after the last one was left.
            self._start_if_needed()

    def _look(self) -> None:
        """Look at all threads that loops run in."""
        loops, suspicions = self._loops_by_thread(), self._suspicions
        self._acquit_all_but(loops.keys())
        frames: dict[int, Any] = sys._current_frames()
        # Nothing else is kept from here on: what is found would live on in this thread.
        for thread, there in loops.items():
            frame = frames.get(thread)
            suspect = None if frame is None else self._search(frame, there)
            suspicions.setdefault(thread, Suspicion(thread)).look(suspect, there)
        # The frame of this very function is among them.
        frames.clear()

    def _acquit_all_but(self, threads: Collection[int]) -> None:
        """Forget what is known of all threads but some: no loop that is looked at runs there."""
        for thread in self._suspicions.keys() - threads:
            self._suspicions.pop(thread).acquit()

    def _loops_by_thread(self) -> dict[int, list[Tree]]:
        found: dict[int, list[Tree]] = {}
        for ref in self._loops.valuerefs():
            loop = ref()
            thread = None if loop is None else loop.thread
            if loop is not None and thread is not None:
                found.setdefault(thread, []).append(loop)
            elif loop is not None:
                self._loops.pop(id(loop), None)
        return found
