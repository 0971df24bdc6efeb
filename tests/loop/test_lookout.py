"""How the lookout decides, look by look: without a thread, a clock or a loop that turns."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support.lookouts import LIMIT, hold_until, hurry
from tukio._loop.lookout import LOOKS, Lookout, Suspect, Suspicion

if TYPE_CHECKING:
    from collections.abc import Callable


class Loop:
    """A loop that may be held: then it keeps what it is asked for."""

    def __init__(self, *, held: bool) -> None:
        self.held = held
        self.thread: int | None = threading.get_ident()
        self.asked: list[Callable[[], object]] = []

    def call_from_outside(self, function: Callable[[], object]) -> None:
        """Keep a function, or call it at once."""
        self.asked.append(function)
        if not self.held:
            function()


class Words:
    """Notes what is told of somebody."""

    def __init__(self, key: int, story: list[tuple[str, int]]) -> None:
        self.key = key
        self.story = story

    def tell(self, seconds: float) -> None:
        """Note it."""
        self.story.append(("holds", self.key))

    def tell_end(self, seconds: float) -> None:
        """Note it."""
        self.story.append(("end", self.key))


def look(
    suspicion: Suspicion, story: list[tuple[str, int]], keys: list[int | None], *loops: Any
) -> None:
    """Take note of looks that have found these."""
    for key in keys:
        found = None if key is None else Suspect(key, partial(Words, key, story))
        suspicion.look(found, loops)


HERE = threading.get_ident()
"""The thread that is suspected."""

FIRST: list[int | None] = [1] * (2 + LOOKS)
"""Found, found again and asked, and found for a second without an answer."""

STORIES: dict[str, tuple[list[int | None], list[tuple[str, int]]]] = {
    "too short": (FIRST[1:], []),
    "long enough": (FIRST, [("holds", 1)]),
    "nearly twice as long": ([*FIRST, 1, 1, 1], [("holds", 1)]),
    "twice as long": ([*FIRST, 1, 1, 1, 1], [("holds", 1), ("holds", 1)]),
    "long, then nobody": ([*FIRST, None], [("holds", 1), ("end", 1)]),
    "one after the other": ([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3], []),
    "another one goes on": ([*FIRST, 2, *FIRST], [("holds", 1), ("end", 1), ("holds", 1)]),
    "nobody": ([None] * 20, []),
}


@pytest.mark.parametrize("name", STORIES)
def test_g6_who_is_found_in_each_look_without_an_answer_is_named(name: str) -> None:
    """Once after a second, then at powers of two, and once more when it is over."""
    keys, expected = STORIES[name]
    story: list[tuple[str, int]] = []
    look(Suspicion(HERE), story, keys, Loop(held=True))
    assert story == expected


def test_g6_a_loop_that_answers_is_not_held() -> None:
    """It is asked at every third look, if the same one is found in all."""
    story: list[tuple[str, int]] = []
    loop = Loop(held=False)
    look(Suspicion(HERE), story, [1] * 30, loop)
    assert story == []
    assert len(loop.asked) == 15


def test_g6_any_loop_of_a_thread_may_answer() -> None:
    """One that does not run, beside one that does, never will."""
    story: list[tuple[str, int]] = []
    stopped, turning = Loop(held=True), Loop(held=False)
    look(Suspicion(HERE), story, [1] * 30, stopped, turning)
    assert story == []


def test_the_end_is_told_when_the_loop_answers() -> None:
    """Though the same one is found: it goes on in short turns."""
    story: list[tuple[str, int]] = []
    suspicion, loop = Suspicion(HERE), Loop(held=True)
    look(suspicion, story, FIRST, loop)
    loop.asked[0]()
    look(suspicion, story, [1], loop)
    assert story == [("holds", 1), ("end", 1)]


def test_g6_an_answer_from_another_thread_is_none() -> None:
    """Of a loop that was made here, and runs there."""
    story: list[tuple[str, int]] = []
    suspicion, held = Suspicion(HERE), Loop(held=True)
    elsewhere = Loop(held=True)
    look(suspicion, story, [1, 1], held, elsewhere)
    thread = threading.Thread(target=elsewhere.asked[0])
    thread.start()
    thread.join()
    look(suspicion, story, [1] * LOOKS, held, elsewhere)
    assert story == [("holds", 1)]
    held.asked[0]()
    look(suspicion, story, [1], held, elsewhere)
    assert story == [("holds", 1), ("end", 1)]


def test_a_loop_that_is_found_by_nobody_is_asked_for_nothing() -> None:
    """Nor is one that somebody was found on once."""
    loop = Loop(held=False)
    look(Suspicion(HERE), [], [None, 1, None, 2, 1, None], loop)
    assert loop.asked == []


# Its thread


@pytest.fixture
def lookout(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a quick lookout that finds nobody."""
    hurry(monkeypatch)
    return Lookout(lambda frame, loops: None)


def test_g1_the_thread_ends_with_the_last_loop(lookout: Any) -> None:
    """And there is another one for the next."""
    one, other = (Loop(held=False) for _ in "ab")
    for _ in range(3):
        lookout.watch(one)
        thread: Any = lookout._thread
        lookout.watch(other)
        lookout.leave(one)
        assert lookout._thread is thread
        assert thread.is_alive()
        for _ in range(2):
            lookout.leave(other)
            assert not thread.is_alive()


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_g1_the_thread_ends_by_itself_if_nothing_is_left(lookout: Any, how: str) -> None:
    """Nobody must say so."""
    loop = Loop(held=False)
    lookout.watch(loop)
    thread: Any = lookout._thread
    if how == "closed":
        loop.thread = None
    else:
        del loop
    hold_until(lambda: not thread.is_alive())
    assert not lookout._loops
    assert lookout._thread is None


def test_a_loop_that_comes_while_the_thread_ends_is_looked_at(
    lookout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever came found a thread, and started none."""
    first, second = Loop(held=False), Loop(held=False)
    looked: list[Any] = []
    lookout._search = lambda frame, loops: looked.extend(loops)
    lookout.watch(first)
    thread: Any = lookout._thread
    lookout._loops.clear()
    start = lookout._start_if_needed
    monkeypatch.setattr(lookout, "_start_if_needed", lambda: None)
    lookout.watch(second)
    monkeypatch.setattr(lookout, "_start_if_needed", start)
    thread.end.set()
    hold_until(lambda: second in looked)
    assert lookout._thread is not thread
    lookout.leave(second)


def test_a_thread_that_ctrl_c_has_cut_before_its_start_is_replaced(lookout: Any) -> None:
    """Else nobody would look in this process any more."""
    never_started = threading.Thread()
    lookout._thread = never_started
    loop = Loop(held=False)
    lookout.watch(loop)
    assert lookout._thread is not never_started
    assert lookout._thread.is_alive()
    lookout.leave(loop)


def test_of_two_threads_one_ends(lookout: Any) -> None:
    """Two loops may come at the same time, and each start one."""
    loop = Loop(held=False)
    lookout.watch(loop)
    first: Any = lookout._thread
    lookout._thread = None
    lookout.watch(loop)
    second: Any = lookout._thread
    assert second is not first
    hold_until(lambda: not first.is_alive())
    assert second.is_alive()
    lookout.leave(loop)


def test_the_end_is_told_when_nobody_looks_any_more(lookout: Any) -> None:
    """Be it because the last loop is left, or because that of one thread is."""
    story: list[tuple[str, int]] = []
    held, beside = Loop(held=True), Loop(held=False)
    beside.thread = None
    lookout._search = lambda frame, loops: Suspect(1, partial(Words, 1, story))
    for stays in (False, True):
        lookout.watch(held)
        if stays:
            over = threading.Event()
            other = threading.Thread(target=over.wait)
            other.start()
            beside.thread = other.ident
            lookout.watch(beside)
        hold_until(lambda: story)
        lookout.leave(held)
        hold_until(lambda: ("end", 1) in story)
        assert set(story) == {("holds", 1), ("end", 1)}
        assert story.count(("end", 1)) == 1
        story.clear()
    over.set()
    other.join()
    lookout.leave(beside)


def test_no_end_is_told_by_a_look_that_fails(lookout: Any) -> None:
    """Whoever holds the loop may well go on."""
    story: list[tuple[str, int]] = []

    def search(frame: Any, loops: Any) -> Suspect:
        if story:
            raise LookupError
        return Suspect(1, partial(Words, 1, story))

    lookout._search = search
    loop = Loop(held=True)
    lookout.watch(loop)
    hold_until(lambda: story and lookout._thread is None)
    assert story == [("holds", 1)]


def test_a_thread_that_is_stuck_is_waited_for_once(
    lookout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leaves waits in the loop; a log that hangs must not hang all that follow."""
    joined: list[Any] = []
    join = threading.Thread.join

    def noting(thread: threading.Thread, limit: float | None = None) -> None:
        joined.append(thread)
        join(thread, limit)

    monkeypatch.setattr("tukio._loop.lookout.LONGEST_JOIN", 0.01)
    monkeypatch.setattr(threading.Thread, "join", noting)
    stuck, gate = threading.Event(), threading.Event()

    def search(frame: Any, loops: Any) -> None:
        stuck.set()
        gate.wait(LIMIT)

    lookout._search = search
    for _ in range(3):
        loop = Loop(held=False)
        lookout.watch(loop)
        assert stuck.wait(LIMIT)
        lookout.leave(loop)
    thread = lookout._thread
    assert joined == [thread]
    gate.set()
    hold_until(lambda: lookout._thread is None)
    # The next one is waited for again.
    lookout.watch(loop)
    lookout.leave(loop)
    assert len(joined) == 2
    assert lookout._thread is None


def test_nobody_looks_without_the_lock_of_the_interpreter(
    lookout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack may change while it is looked at."""
    monkeypatch.setattr("sys._is_gil_enabled", lambda: False, raising=False)
    lookout.watch(Loop(held=False))
    assert lookout._thread is None
