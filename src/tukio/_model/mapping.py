"""Map: a task that is run once for each item of a list that comes in.

Owns:   the words of `map` in a task, their meaning, and the faults in them; what an item is given,
        how many failures are tolerated, and what the task passes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .changes import exact
from .display import kind_of, nearest, plain, shown
from .errors import Fault
from .fan_in import JOIN_TASK
from .findings import is_mapping, type_of
from .item_template import place_in
from .no_items import NoItems
from .paths import DATA, find_path_faults, parse
from .size_limits import MOST_TASKS
from .time_limits import find_limit_faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .paths import Path

ALL: Final = "all"
INTO: Final = "results"
"""The key that the results are passed on by, unless the template names another one."""

ITEM: Final = "item"
"""The key by which an item is given that is no dict."""

MOST_ITEMS: Final = MOST_TASKS
"""The largest number of items of a task: as many as a template may have tasks."""

KEYS: Final = ("over", "limit", "tolerate", "into", "timeout")
"""The words of `map`."""

WHOLE: Final = 100
_SHARE: Final = re.compile("[0-9]{1,3}%")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the `map` of a task says, which must have no faults.

    Attributes:
        over: Where the list is in what the task is given.
        limit: How many items are at work at once; None is no limit.
        tolerate: How many items may fail: a number, a share as `10%`, or `all`.
        into: The key that the results are passed on by.
        timeout: The seconds that an item may take; None or 0 is no limit.
    """

    over: Path
    limit: int | None
    tolerate: int | str
    into: str
    timeout: float | None

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Mapped:
        """Return what the words of a template say."""
        said = {exact(key): value for key, value in words.items()}
        tolerate, into = said.get("tolerate"), said.get("into")
        return cls(
            parse(said["over"]),
            said.get("limit"),
            0 if tolerate is None else exact(tolerate),
            INTO if into is None else exact(into),
            said.get("timeout"),
        )

    def items_in(self, uid: str, inputs: Any) -> list[Any]:
        """Return the items, as they are now.

        Args:
            uid: The id of the task.
            inputs: What the task is given.

        Raises:
            NoItems: There is no list, or one with too many items.
        """
        try:
            found = self.over.find(inputs)
        except LookupError as error:
            raise NoItems(uid, self.over.text, str(error)) from error
        # Not by methods of its class, which may be any.
        kind = type(found)
        for base in (list, tuple):
            if issubclass(kind, base):
                items = [*base.__iter__(found)]
                break
        else:
            what = "null" if found is None else kind_of(found)
            raise NoItems(uid, self.over.text, f"{plain(self.over.text)} is no list, but {what}")
        if len(items) > MOST_ITEMS:
            number = f"{len(items):,} items, and {MOST_ITEMS:,} at most"
            raise NoItems(uid, self.over.text, f"{plain(self.over.text)} has {number}")
        return items

    def tolerated(self, total: int) -> int:
        """Return how many of a number of items may fail."""
        if isinstance(self.tolerate, int):
            return self.tolerate
        return total if self.tolerate == ALL else int(self.tolerate[:-1]) * total // WHOLE

    def passed_on(self, inputs: Any, results: list[Any]) -> dict[str, Any]:
        """Return what a task passes on whose items are over.

        Args:
            inputs: What the task was given.
            results: What stands for each item, in the order of the items.
        """
        # Of any kind of dict, and not by its methods.
        data = dict(dict.items(inputs)) if issubclass(type(inputs), dict) else {}
        return {**data, self.into: results}


def input_of(item: Any) -> dict[str, Any]:
    """Return what an item is given: itself, or as `item` if it is no dict."""
    kind = type(item)
    if kind is dict:
        return item  # type: ignore[no-any-return]  # it is a dict
    # What it shows by its own methods may be something else, or raise.
    return dict(dict.items(item)) if issubclass(kind, dict) else {ITEM: item}


def find_map_faults(path: str, task: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults in `map` of a task.

    Args:
        path: The path of the task in its document.
        task: The task, as a document.
    """
    words = task.get("map")
    if words is None:
        return
    path = f"{path}.map"
    if exact(task.get("name")) == JOIN_TASK:
        yield Fault(path, "a join cannot be mapped", "map the task before it, or the one after it")
    if task.get("workflow") is not None:
        advice = "map a task that starts a child itself, by tukio.run_child"
        yield Fault(path, "a task with a workflow cannot be mapped", advice)
    if not is_mapping(words):
        problem = f"must be an object, not {type_of(words)}"
        yield Fault(path, problem, 'write {"over": "$.pages"}', TypeError)
        return
    yield from _keys(path, words)
    if "over" in words:
        yield from find_path_faults(f"{path}.over", words["over"], (DATA,))
    else:
        yield Fault(f"{path}.over", "missing", 'say where the list is: "$.pages"', KeyError)
    yield from _limit(f"{path}.limit", words.get("limit"))
    yield from _tolerate(f"{path}.tolerate", exact(words.get("tolerate")))
    into = words.get("into")
    if into is not None and not (isinstance(into, str) and into):
        problem = f"must be a text that is not empty, not {shown(into)}"
        yield Fault(f"{path}.into", problem, f"leave it out for {INTO!r}", TypeError)
    yield from find_limit_faults(f"{path}.timeout", words.get("timeout"))


def find_item_faults(tasks: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Fault]:
    """Yield a fault for each task whose id is that of an item of another one.

    Args:
        tasks: The path of each task in its document, and the task.
    """
    known = [(path, exact(task.get("id")), task.get("map")) for path, task in tasks]
    mapped = {uid for _, uid, words in known if words is not None and isinstance(uid, str)}
    for path, uid, _ in known if mapped else ():
        start = uid.rpartition("[")[0] if isinstance(uid, str) else ""
        if start in mapped and place_in(start, uid) is not None:
            problem = f"{shown(uid)} is the id of an item of {shown(start)}"
            yield Fault(f"{path}.id", problem, "give it another id")


def _keys(path: str, words: Mapping[Any, Any]) -> Iterator[Fault]:
    for key in words:
        if exact(key) == "map":
            advice = "map the task after it over what this one passes on"
            yield Fault(f"{path}.map", "an item cannot be mapped itself", advice)
        elif exact(key) not in KEYS:
            yield Fault(f"{path}.{plain(key)}", "unknown key", nearest(key, KEYS))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _limit(path: str, value: Any) -> Iterator[Fault]:
    if value is not None and not (_is_count(value) and value > 0):
        problem = f"must be a positive number or null, not {shown(value)}"
        yield Fault(path, problem, "null is no limit")


def _tolerate(path: str, value: Any) -> Iterator[Fault]:
    if value is None or (_is_count(value) and value >= 0) or value == ALL:
        return
    if isinstance(value, str) and _SHARE.fullmatch(value) and int(value[:-1]) <= WHOLE:
        return
    problem = f'must be a number from 0 on, a share as "10%", or "all", not {shown(value)}'
    yield Fault(path, problem, "0 is none, and the default")
