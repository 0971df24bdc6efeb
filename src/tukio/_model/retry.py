"""Retry: after which errors a task is run again, and how long it waits before that.

Owns:   the words of `retry` in a task, their meaning, and the faults in them; the two errors by
        which a task says itself whether it is run again.
Source: the words and defaults of back-off that other engines share: an attempt counts when it has
        failed, and the wait grows by a factor up to a maximum, with full jitter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal

from .changes import exact
from .display import nearest, plain, shown
from .errors import Fault, InvalidResult, TukioError, UnknownTaskName
from .findings import is_mapping, type_of
from .guard import leaves_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    ErrorName = str | type[BaseException]

FULL: Final = "full"
NONE: Final = "none"
JITTER: Final = (FULL, NONE)
"""The values of `jitter`."""

LONGEST_WAIT: Final = 1e9
"""The longest wait, in seconds: whatever the factor makes of it."""


class GiveUp(TukioError):
    """Raised by a task that need not be tried again: it fails at once, whatever its `retry` says.

    Attributes:
        reason: The reason, in the task's own words; None if the task gave none.
    """

    def __init__(self, reason: object = None) -> None:
        super().__init__(reason)
        self.reason: object = reason


class RetryLater(TukioError):
    """Raised by a task that knows when to try again: it says the wait in place of its `retry`.

    It counts as an attempt that has failed. A task without `retry` fails by it.

    Attributes:
        delay: The seconds to wait.
    """

    def __init__(self, delay: float) -> None:
        super().__init__(delay)
        self.delay: float = delay


@dataclass(frozen=True, slots=True)
class Retry:
    """Whether and when a task that has failed is run again.

    As data, in a template, it is the dict of those fields that differ from their defaults.

    Attributes:
        attempts: How often the task may be run in all; None is no limit, and then `within` is
            needed.
        initial: The seconds to wait after the first attempt.
        factor: By what the wait grows with each further attempt.
        max: The longest wait, in seconds.
        jitter: `full` draws each wait from zero on up to what it would be; `none` does not. The
            draw depends on the ids of the run and the task and the number of the attempt alone.
        within: The seconds, from the first begin on, after which no attempt begins; None is no
            limit. The task gives up at once if the next one would begin later than that.
        retry_on: The classes of errors after which it is run again, or their names, with or without
            the module; subclasses count. None is any `Exception`. A group counts if each of its
            leaves does.
        give_up_on: The same, of errors after which it is not; this wins.
        retry_if: The name of a predicate that is asked last, with the error and the number of the
            attempt that has failed; see `tukio.predicate`. If it raises, the task fails by that.
    """

    attempts: int | None = 3
    initial: float = 1
    factor: float = 2
    max: float = 60
    jitter: Literal["full", "none"] = "full"
    within: float | None = None
    retry_on: Sequence[ErrorName] | None = None
    give_up_on: Sequence[ErrorName] = ()
    retry_if: str | None = None

    @classmethod
    def of(cls, words: Any) -> Retry:
        """Return what the words of a template say, which must have no faults."""
        known = {one.name for one in fields(cls)}
        return cls(**{exact(key): value for key, value in words.items() if exact(key) in known})

    def as_dict(self) -> dict[str, Any]:
        """Return it as data."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default:
                found[one.name] = [*map(_name_of, value)] if one.name in _NAMES else value
        return found or {"attempts": self.attempts}

    def delay(self, error: BaseException, attempt: int, elapsed: float, key: str) -> float | None:
        """Return the seconds to wait before the next attempt; None if there is none.

        What `retry_if` says is not asked for in here.

        Args:
            error: What the task has raised.
            attempt: The number of the attempt that has failed, from 1 on.
            elapsed: The seconds since the first attempt began.
            key: What the draw depends on, with the number of the attempt.
        """
        if not isinstance(error, Exception) or not self._is_for(error):
            return None
        if self.attempts is not None and attempt >= self.attempts:
            return None
        wait = error.delay if isinstance(error, RetryLater) else self._wait(attempt, key)
        wait = min(max(wait, 0.0), LONGEST_WAIT)
        if self.within and elapsed + wait >= self.within:
            # Not in vain: the next one would not begin.
            return None
        return wait

    def _wait(self, attempt: int, key: str) -> float:
        try:
            wait = min(self.initial * self.factor ** (attempt - 1), self.max)
        except OverflowError:
            wait = self.max
        if self.jitter != FULL:
            return wait
        # Not secret, but the same again after a rescue. As bytes, for an id may be any text.
        seed = f"{key}:{attempt}".encode(errors="surrogatepass")
        return wait * Random(seed).random()  # noqa: S311

    def _is_for(self, error: BaseException) -> bool:
        leaves = leaves_of(error) if isinstance(error, BaseExceptionGroup) else [error]
        if any(isinstance(one, NEVER) or _matches(one, self.give_up_on) for one in leaves):
            return False
        if self.retry_on is None:
            return all(isinstance(one, Exception) for one in leaves)
        return all(isinstance(one, RetryLater) or _matches(one, self.retry_on) for one in leaves)


NEVER: Final = (GiveUp, InvalidResult, UnknownTaskName)
"""Errors after which a task is never run again."""

_NAMES: Final = frozenset({"retry_on", "give_up_on"})


def _name_of(kind: ErrorName) -> str:
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"


def _matches(error: BaseException, kinds: Sequence[ErrorName]) -> bool:
    """Return whether the class of an error, or one of its bases, is among some."""
    names = {exact(name) for name in map(_name_of, kinds)}
    return any(
        not names.isdisjoint((kind.__name__, kind.__qualname__, _name_of(kind)))
        for kind in type(error).__mro__
    )


NOTHING_TO_RETRY_BY: Final = ("there is nothing to retry by", "give 'retry', or write 'fail'")
"""The fault of an `on_timeout` without a `retry`, and the way out."""


def find_retry_faults(
    path: str, task: Mapping[str, Any], defaults: Mapping[Any, Any] | None = None
) -> Iterator[Fault]:
    """Yield the faults in `retry` of a task, and in an `on_timeout` that needs it.

    Args:
        path: The path of the task in its document.
        task: The task, as a document.
        defaults: The defaults of the workflow; None for none.
    """
    retry = task.get("retry")
    if retry is None:
        if exact(task.get("on_timeout")) == "retry" and (defaults or {}).get("retry") is None:
            yield Fault(f"{path}.on_timeout", *NOTHING_TO_RETRY_BY)
        return
    path = f"{path}.retry"
    if not is_mapping(retry):
        problem = f"must be an object, not {type_of(retry)}"
        yield Fault(path, problem, 'write {"attempts": 3}', TypeError)
        return
    yield from _find_faults(path, retry)


def _find_faults(path: str, retry: Mapping[Any, Any]) -> Iterator[Fault]:
    known = [one.name for one in fields(Retry)]
    for key in retry:
        if exact(key) not in known:
            yield Fault(f"{path}.{plain(key)}", "unknown key", nearest(key, known))
    yield from _attempts(path, retry)
    for key in ("initial", "factor", "max", "within"):
        if key in retry and not (key == "within" and retry[key] is None):
            yield from _number(f"{path}.{key}", retry[key])
    jitter = exact(retry.get("jitter", FULL))
    if not (isinstance(jitter, str) and jitter in JITTER):
        problem = f"{shown(jitter)} is not one of {', '.join(JITTER)}"
        yield Fault(f"{path}.jitter", problem, nearest(jitter, JITTER))
    for key in sorted(_NAMES):
        yield from _error_names(f"{path}.{key}", retry.get(key))
    asked = retry.get("retry_if")
    if asked is not None and not (isinstance(asked, str) and asked):
        problem = f"must be the name of a predicate, not {shown(asked)}"
        yield Fault(f"{path}.retry_if", problem, "register one by @tukio.predicate('name')")


def _attempts(path: str, retry: Mapping[Any, Any]) -> Iterator[Fault]:
    attempts = retry.get("attempts", 3)
    is_number = isinstance(attempts, int) and not isinstance(attempts, bool) and attempts > 0
    if attempts is not None and not is_number:
        problem = f"must be a positive number or null, not {shown(attempts)}"
        yield Fault(f"{path}.attempts", problem, "count the first one, too")
    elif attempts is None and not retry.get("within"):
        yield Fault(path, "would go on for ever", "give 'attempts' or 'within'")


def _number(path: str, value: Any) -> Iterator[Fault]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value < math.inf):
        problem = f"must be a number from 0 on, not {shown(value)}"
        yield Fault(path, problem, "leave it out for the default")


def _error_names(path: str, value: Any) -> Iterator[Fault]:
    if value is None:
        return
    if not isinstance(value, list | tuple):
        problem = f"must be a list of names of exceptions, not {type_of(value)}"
        yield Fault(path, problem, 'write ["OSError"]', TypeError)
        return
    for number, name in enumerate(value):
        if not (isinstance(name, str) and _is_name(name)):
            problem = f"must be the name of an exception, not {shown(name)}"
            yield Fault(f"{path}[{number}]", problem, "with or without its module")


def _is_name(name: str) -> bool:
    return all(part.isidentifier() for part in exact(name).split("."))
