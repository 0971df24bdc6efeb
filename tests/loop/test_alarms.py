"""Alarms: what is called at instants of a clock, all by one timer."""

from __future__ import annotations

import gc
import logging
import math
import weakref
from functools import partial
from heapq import heapify
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, strategies as st

import tukio
from support.counting import tasks_alive, timers_alive
from support.silence import silence
from tukio._loop import alarms as module
from tukio._loop.alarms import FEW, Alarms
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

Told = list[tuple[float, str]]


class Clock:
    """A clock that stands still until it is told how late it is, and the timers that are set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: dict[object, tuple[float, Callable[[], object]]] = {}
        self.set_so_far = 0
        self.alarms = Alarms(lambda: self.now, self.call_at)

    def call_at(self, instant: float, function: Callable[[], object]) -> Callable[[], Any]:
        """Set a timer; there is none beside it."""
        assert not self.timers, "a second timer is set"
        key = object()
        self.timers[key] = (instant, function)
        self.set_so_far += 1
        return partial(self.timers.pop, key)

    def go_on_to(self, until: float) -> None:
        """Let time pass, from timer to timer."""
        while self.timers and min(self.timers.values(), key=lambda timer: timer[0])[0] <= until:
            ((instant, _),) = self.timers.values()
            self.now = max(self.now, instant)
            self.ring()
        self.now = until

    def stand_still_until(self, until: float) -> None:
        """Let time pass while nobody looks; what was due comes late."""
        self.now = until
        self.go_on_to(until)

    def ring(self) -> None:
        """Let the timer go off."""
        ((_, function),) = self.timers.values()
        self.timers.clear()
        function()

    def check(self) -> None:
        """Make sure that there is a timer exactly while there is an alarm, and early enough."""
        live = [instant for instant, _, cell in self.alarms._heap if cell]
        assert len(live) == len(self.alarms)
        assert len(self.timers) == bool(live)
        assert all(timer[0] <= min(live) for timer in self.timers.values())


@pytest.fixture
def clock() -> Clock:
    """Make a clock with alarms."""
    return Clock()


def noting(clock: Clock, told: Told, name: str) -> Callable[[], None]:
    """Return a function that notes when it was called."""
    return lambda: told.append((clock.now, name))


# Order --------------------------------------------------------------------------------------------


def test_alarms_ring_by_their_instants_and_then_as_they_were_set(clock: Clock) -> None:
    """Whatever the order in which they were set."""
    told: Told = []
    for name, instant in [("c", 3), ("a", 1), ("d", 3), ("b", 2), ("e", 3)]:
        clock.alarms.at(instant, noting(clock, told, name))
    clock.go_on_to(10)
    assert told == [(1, "a"), (2, "b"), (3, "c"), (3, "d"), (3, "e")]
    clock.check()


def test_alarms_that_are_late_keep_their_order(clock: Clock) -> None:
    """A loop that stood still must not let the limit of yesterday follow that of today."""
    told: Told = []
    for name, instant in [("b", 3), ("a", 1), ("c", 3), ("z", 30)]:
        clock.alarms.at(instant, noting(clock, told, name))
    clock.stand_still_until(20)
    assert told == [(20, "a"), (20, "b"), (20, "c")]
    clock.check()
    clock.go_on_to(30)
    assert told[-1] == (30, "z")


def test_an_alarm_in_the_past_rings_in_the_next_turn(clock: Clock) -> None:
    """Not from within `at`: its caller is in the midst of something."""
    told: Told = []
    clock.go_on_to(5)
    clock.alarms.at(1, noting(clock, told, "late"))
    assert told == []
    clock.go_on_to(5)
    assert told == [(5, "late")]


def test_a_timer_that_goes_off_too_early_calls_nobody(clock: Clock) -> None:
    """Those of uvloop know milliseconds only: a limit must not be looked at too early and lost."""
    told: Told = []
    clock.alarms.at(5, noting(clock, told, "a"))
    clock.now = 4.9996
    clock.ring()
    assert told == []
    clock.check()
    clock.go_on_to(5)
    assert told == [(5, "a")]


# One timer ----------------------------------------------------------------------------------------


def test_however_many_alarms_are_set_there_is_one_timer(clock: Clock) -> None:
    """Set from the latest on, each is the next one; `Clock` refuses a second timer."""
    for instant in range(1000, 0, -1):
        clock.alarms.at(instant, print)
    assert [instant for instant, _ in clock.timers.values()] == [1]
    assert len(clock.alarms) == 1000


def test_later_alarms_do_not_touch_the_timer(clock: Clock) -> None:
    """On trio each change of it takes a task."""
    for instant in range(1, 1000):
        clock.alarms.at(instant, print)
    assert clock.set_so_far == 1


def test_the_timer_goes_with_the_last_alarm_that_is_called_off(clock: Clock) -> None:
    """On trio an engine could not be left for as long as a timer is set that nobody needs."""
    offs = [clock.alarms.at(instant, print) for instant in (10, 20, 30)]
    for off in offs[:2]:
        off()
        clock.check()
    assert clock.timers
    offs[2]()
    assert not clock.timers
    assert not clock.alarms._heap


def test_the_timer_goes_with_the_last_alarm_if_others_have_rung(clock: Clock) -> None:
    """What was called off in the heap must not hold the timer either."""
    off = clock.alarms.at(20, print)
    clock.alarms.at(10, print)
    off()
    clock.go_on_to(10)
    assert not clock.timers
    clock.check()


def test_an_alarm_that_calls_off_the_last_one_leaves_no_timer(clock: Clock) -> None:
    """Beside another that is due at the same time: the last one to ring finds only the dead."""
    off = clock.alarms.at(1e9, print)
    clock.alarms.at(10, off)
    clock.alarms.at(10, print)
    clock.go_on_to(10)
    assert not clock.timers
    clock.check()


# Calling off --------------------------------------------------------------------------------------


def test_what_is_called_off_never_rings_and_twice_is_once(clock: Clock) -> None:
    """Nor does a second time take the place of another."""
    told: Told = []
    off = clock.alarms.at(1, noting(clock, told, "off"))
    clock.alarms.at(1, noting(clock, told, "on"))
    off()
    off()
    assert len(clock.alarms) == 1
    clock.go_on_to(2)
    assert told == [(1, "on")]


def test_calling_off_after_the_ring_does_nothing(clock: Clock) -> None:
    """Who calls off need not know: others are still to come."""
    told: Told = []
    off = clock.alarms.at(1, noting(clock, told, "first"))
    clock.alarms.at(2, noting(clock, told, "second"))
    clock.go_on_to(1)
    off()
    assert len(clock.alarms) == 1
    clock.check()
    clock.go_on_to(2)
    assert told == [(1, "first"), (2, "second")]


def test_what_is_called_off_is_let_go_of(clock: Clock) -> None:
    """A run that is over must not be kept until its limit would have been reached."""
    held = Clock()
    trace = weakref.ref(held)
    off, _ = clock.alarms.at(2, held.ring), clock.alarms.at(1, print)
    del held
    gc.collect()
    assert trace() is not None
    off()
    gc.collect()
    assert trace() is None


def test_very_many_that_are_called_off_take_no_room_and_little_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand runs that were resumed long before their limit are nobody's business."""
    moved: list[int] = []

    def counting(heap: list[Any]) -> None:
        moved.append(len(heap))
        heapify(heap)

    monkeypatch.setattr(module, "heapify", counting)
    clock.alarms.at(1e9, print)
    for number in range(10_000):
        offs = [clock.alarms.at(1e6 + number, print) for _ in range(2)]
        for off in offs:
            off()
        assert len(clock.alarms._heap) <= FEW + 2 * len(clock.alarms) + 2
    offs = [clock.alarms.at(1e6 + number, print) for number in range(10_000)]
    for off in offs:
        off()
        assert len(clock.alarms._heap) <= FEW + 2 * len(clock.alarms)
    assert len(clock.alarms) == 1
    # Each that is called off is looked at once more, or nearly.
    assert sum(moved) <= 30_000


@pytest.mark.parametrize("live", [1, 50, 120])
def test_the_heap_is_not_made_anew_for_each_alarm_that_is_called_off(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, live: int
) -> None:
    """However many are set for longer: it pays only after as many as it costs to look at."""
    moved: list[int] = []
    monkeypatch.setattr(module, "heapify", lambda heap: moved.append(len(heap)))
    for _ in range(live):
        clock.alarms.at(1e6, print)
    for _ in range(1000):
        clock.alarms.at(1e6, print)()
    assert sum(moved) <= 1000


# Within an alarm ----------------------------------------------------------------------------------


def test_an_alarm_that_fails_is_logged_and_keeps_no_other_from_ringing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is somebody else's that would be lost."""
    told: Told = []

    def fail() -> None:
        raise ValueError("of one")

    clock.alarms.at(1, fail)
    clock.alarms.at(1, noting(clock, told, "beside"))
    clock.alarms.at(2, noting(clock, told, "after"))
    with caplog.at_level(logging.ERROR, "tukio"):
        clock.go_on_to(2)
    assert told == [(1, "beside"), (2, "after")]
    (record,) = caplog.records
    assert "an alarm failed" in record.getMessage()
    assert record.exc_info
    assert repr(record.exc_info[1]) == "ValueError('of one')"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_leaves_an_alarm_and_loses_no_other(
    clock: Clock, end: type[BaseException]
) -> None:
    """Ctrl-C in an alarm: what is due is due, while the program comes to its end in good order."""
    told: Told = []

    def stop() -> None:
        raise end

    clock.alarms.at(1, noting(clock, told, "before"))
    clock.alarms.at(1, stop)
    clock.alarms.at(1, noting(clock, told, "beside"))
    clock.alarms.at(2, noting(clock, told, "after"))
    clock.now = 1
    with pytest.raises(end):
        clock.ring()
    assert len(clock.alarms) == 2
    clock.check()
    clock.go_on_to(2)
    assert told == [(1, "before"), (1, "beside"), (2, "after")]


def test_alarms_are_set_from_within_an_alarm(clock: Clock) -> None:
    """For later, for another one's instant, and before the next."""
    told: Told = []

    def again() -> None:
        told.append((clock.now, "again"))
        for instant in (9, 4, 2):
            clock.alarms.at(instant, noting(clock, told, f"set for {instant}"))
            assert len(clock.timers) == 1

    clock.alarms.at(1, again)
    clock.alarms.at(4, noting(clock, told, "of before"))
    clock.go_on_to(1)
    clock.check()
    clock.go_on_to(9)
    assert told[1:] == [(2, "set for 2"), (4, "of before"), (4, "set for 4"), (9, "set for 9")]


def test_an_alarm_that_is_set_for_now_in_an_alarm_waits_for_the_next_turn(clock: Clock) -> None:
    """One that sets itself anew would not let anybody else have a turn, ever.

    The clock of uvloop stands still within a turn, as does a virtual one.
    """
    rung: list[int] = []

    def once_more() -> None:
        rung.append(len(rung))
        assert len(rung) < 100, "the loop stands still"
        clock.alarms.at(clock.now, once_more)

    clock.alarms.at(1, once_more)
    clock.alarms.at(1, partial(rung.append, 7))
    clock.now = 1
    clock.ring()
    assert rung == [0, 7]
    clock.check()
    clock.ring()
    assert rung == [0, 7, 2]
    clock.check()


def test_an_alarm_calls_off_another_of_its_instant(clock: Clock) -> None:
    """The first run to reach a limit may end the next one, which then has none to keep."""
    told: Told = []
    offs: list[Callable[[], None]] = []

    def stop_them() -> None:
        told.append((clock.now, "first"))
        for off in offs:
            off()

    clock.alarms.at(1, stop_them)
    offs += [clock.alarms.at(instant, noting(clock, told, "no")) for instant in (1, 1, 2)]
    clock.alarms.at(2, noting(clock, told, "last"))
    clock.go_on_to(1)
    assert len(clock.alarms) == 1
    clock.check()
    clock.go_on_to(3)
    assert told == [(1, "first"), (2, "last")]
    clock.check()


def test_an_alarm_calls_itself_off(clock: Clock) -> None:
    """It has rung already: nothing is counted twice."""
    offs: list[Callable[[], None]] = []

    def call_off() -> None:
        for off in offs:
            off()

    offs.append(clock.alarms.at(1, call_off))
    clock.alarms.at(2, print)
    clock.go_on_to(1)
    assert len(clock.alarms) == 1
    clock.check()


# Anything -----------------------------------------------------------------------------------------

instants = st.integers(0, 12)
deeds = st.one_of(
    st.tuples(st.just("set"), instants),
    st.tuples(st.just("set"), instants),
    st.tuples(st.just("call off"), st.integers(0, 30)),
    st.tuples(st.just("pass"), st.integers(0, 4)),
    st.tuples(st.just("stand still"), st.integers(0, 4)),
    st.tuples(st.just("fail"), instants),
    # From within an alarm: sets another for an instant, and calls off an earlier one.
    st.tuples(st.just("set one that sets"), st.tuples(instants, instants)),
    st.tuples(st.just("set one that calls off"), st.tuples(instants, st.integers(0, 30))),
)


class Play:
    """A clock, and what is expected of it: who is to ring, and not before when."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.offs: list[Callable[[], None]] = []
        self.due: dict[int, float] = {}
        # An alarm that raises is logged, and no more.
        self.problems: list[str] = []
        self._turn = 0

    def demand(self, holds: bool, problem: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.problems.append(problem)

    def set(self, instant: float, then: Callable[[], object] = lambda: None) -> None:
        """Set an alarm that notes its ring, and does something then."""
        number = len(self.offs)

        def ring() -> None:
            instant = self.due.pop(number, math.inf)
            self.demand(instant < math.inf, "it was called off, or has rung before")
            self.demand(self.clock.now >= instant, "it is too early")
            self.demand(number < self._turn, "it was set in this turn")
            # Of all that were set before this turn, it is the first.
            others = [(due, other) for other, due in self.due.items() if other < self._turn]
            self.demand(all(other > (instant, number) for other in others), "others come first")
            then()

        self.due[number] = instant
        self.offs.append(self.clock.alarms.at(instant, ring))

    def call_off(self, number: int) -> None:
        """Call off an alarm, if there is that many."""
        if self.offs:
            number %= len(self.offs)
            self.offs[number]()
            self.due.pop(number, None)

    def act(self, deed: str, detail: Any) -> None:
        """Do one thing."""
        match deed:
            case "set":
                self.set(detail)
            case "fail":
                self.set(detail, lambda: 1 / 0)
            case "call off":
                self.call_off(detail)
            case "pass" | "stand still":
                self.let_pass(deed, self.clock.now + detail)
            case "set one that sets":
                self.set(detail[0], partial(self.set, detail[1]))
            case _:
                self.set(detail[0], partial(self.call_off, detail[1]))

    def let_pass(self, deed: str, until: float) -> None:
        """Let time pass, turn by turn."""
        clock = self.clock
        while clock.timers:
            ((instant, _),) = clock.timers.values()
            if instant > until:
                break
            clock.now = max(clock.now, until if deed == "stand still" else instant)
            self._turn = len(self.offs)
            clock.ring()
            clock.check()
        clock.now = until


@given(st.lists(deeds, max_size=40))
def test_every_alarm_rings_once_in_its_turn_unless_it_is_called_off(
    script: list[tuple[str, Any]],
) -> None:
    """Whatever is set and called off, from within alarms, too; at every moment by one timer."""
    play = Play()
    with silence():
        for deed, detail in script:
            play.act(deed, detail)
            play.clock.check()
            assert len(play.clock.alarms) == len(play.due)
        play.let_pass("pass", 100)
    assert play.problems == []
    assert play.due == {}
    assert not play.clock.timers


# On a real engine ---------------------------------------------------------------------------------


async def test_a_thousand_alarms_of_an_engine_make_one_timer() -> None:
    """And no task, but for the one that is the timer on trio; they ring at the exact instants."""
    told: list[float] = []
    async with tukio.Engine() as engine:
        await settle()
        alarms, before = engine._binding.backend.alarms, tasks_alive()
        idle = timers_alive()
        start = anyio.current_time()
        offs = [
            alarms.at(start + 1000 - number, lambda: told.append(anyio.current_time() - start))
            for number in range(1000)
        ]
        await settle()
        assert timers_alive() == idle + 1
        assert tasks_alive() == before
        await anyio.sleep(10.5)
        assert told == [*map(float, range(1, 11))]
        assert timers_alive() == idle + 1
        for off in offs:
            off()
        await settle()
        assert timers_alive() == idle
        assert alarms._next == math.inf


@pytest.mark.parametrize("seconds", [0, 1])
async def test_an_engine_is_left_at_once_after_its_last_alarm_was_called_off(seconds: int) -> None:
    """Virtual time jumps: look at the clock."""
    async with tukio.Engine() as engine:
        off = engine._binding.backend.alarms.at(anyio.current_time() + 600, print)
        await anyio.sleep(seconds)
        off()
        left = anyio.current_time()
    assert anyio.current_time() == left
