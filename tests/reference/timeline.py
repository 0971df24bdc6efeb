"""What happens when, and in which order: virtual time for a model, and the choices it leaves.

Owns:   the instant, what is planned, what was told; the search through all that may happen.
Knows:  nothing of workflows.

Time is a number. At one instant several things may be due; which of them comes first is a choice,
made by a script. So one can go through all that may happen, and ask whether a story of events is
one of those that may be told: a way is given up as soon as it tells something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Told = tuple[float, str, str | None, Any]
"""An execution event: instant, type, task, content."""


class Diverged(Exception):
    """Another story was told than the one expected: at which place, and what."""


@dataclass
class Entry:
    """Something that will happen at an instant; `owner` is whose affair it is."""

    at: float
    act: Callable[[], object]
    owner: object = None


class Timeline:
    """Lets happen what is due, one thing after the other.

    Args:
        script: Which of the things that are due together comes first, one number each time;
            0, what was there first, when it is used up.
        expected: What is to be told; anything else raises `Diverged`. None is anything.

    Attributes:
        now: The instant.
        story: What was told.
        choices: Which of how many came first, wherever more than one thing was due.
    """

    def __init__(self, script: Sequence[int], expected: Sequence[Told] | None) -> None:
        self.now = 0.0
        self.story: list[Told] = []
        self.choices: list[tuple[int, int]] = []
        self._script = list(script)
        self._expected = expected
        self._entries: list[Entry] = []

    def later(self, at: float, act: Callable[[], object], owner: object = None) -> None:
        """Plan something."""
        self._entries.append(Entry(at, act, owner))

    def forget(self, owner: object, after: float = -1) -> None:
        """Drop what is planned for somebody after an instant; from the start, unless given."""
        self._entries = [e for e in self._entries if e.owner is not owner or e.at <= after]

    def due_now(self) -> list[Callable[[], object]]:
        """Return what was planned for this instant."""
        return [lambda e=e: self._take(e) for e in self._entries if e.at <= self.now]  # type: ignore[misc]

    def due(self) -> list[Callable[[], object]]:
        """Return what may happen next."""
        return self.due_now()

    def step(self) -> None:
        """Let one thing happen; if nothing is due, let time pass until something is."""
        due = self.due()
        if not due:
            self.now = min(entry.at for entry in self._entries)
            return
        which = 0
        if len(due) > 1:
            which = self._script.pop(0) if self._script else 0
            self.choices.append((which, len(due)))
        due[which]()

    def tell(self, kind: str, uid: str | None, content: Any) -> None:
        """Tell an event.

        Raises:
            Diverged: It is not the one expected.
        """
        place, told = len(self.story), (self.now, kind, uid, content)
        self.story.append(told)
        if self._expected is not None and [told] != [*self._expected[place : place + 1]]:
            raise Diverged(place, told)

    def close(self) -> None:
        """Declare that nothing more will be told.

        Raises:
            Diverged: More was expected.
        """
        if self._expected is not None and len(self.story) < len(self._expected):
            raise Diverged(len(self.story), None)

    def _take(self, entry: Entry) -> None:
        self._entries.remove(entry)
        entry.act()


T = TypeVar("T", bound=Timeline)
Result = TypeVar("Result")


def every_way(
    make: Callable[[Sequence[int]], T], play: Callable[[T], Result]
) -> Iterator[Result | Diverged]:
    """Play in every way there is, each from the start, and yield what comes of it.

    Args:
        make: Makes a timeline that follows a script.
        play: Plays it. If it raises `Diverged`, that is yielded, and all that begins like this
            is left out.
    """
    script: list[int] = []
    while True:
        timeline = make(script)
        try:
            yield play(timeline)
        except Diverged as diverged:
            yield diverged
        choices = list(timeline.choices)
        while choices and choices[-1][0] + 1 == choices[-1][1]:
            choices.pop()
        if not choices:
            return
        script = [which for which, _ in choices[:-1]] + [choices[-1][0] + 1]
