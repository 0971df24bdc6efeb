"""Paths into data, as templates say them: `$.a.b[0]`, `$inputs.x`, `$outputs.login.user`.

Owns:   the grammar of paths, which is closed: nothing in a path is ever evaluated; and the faults
        in them.

A path begins with what is looked into: `$` for the data that its key is about, `$inputs` for what
the task was given, `$outputs` and the id of an earlier task for what that one has returned. Then
come the steps: `.a` for a key, `["any text"]` for one with other characters than letters, digits,
`_` and `-`, and `[0]` for a place in a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from .changes import exact
from .display import MOST_COMPARED, kind_of, nearest, plain, shown
from .errors import Fault
from .findings import type_of
from .guard import attempt
from .lineage import ancestors_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

DATA: Final = "$"
INPUTS: Final = "$inputs"
OUTPUTS: Final = "$outputs"
ROOTS: Final = (DATA, INPUTS, OUTPUTS)
"""What a path can look into."""

LONGEST: Final = 1_000
"""The largest number of characters of a path."""

HOW: Final = 'write "$.a.b[0]"'

_ROOT: Final = re.compile(r"\$[\w-]*")
_KEY: Final = re.compile(r"\.([\w-]+)")
_PLACE: Final = re.compile(r"\[([0-9]{1,9})\]")
_QUOTED: Final = re.compile(r'\[("(?:[^"\\]|\\.)*")\]')

_MISSING: Final = object()


class NoPath(ValueError):
    """A text is no path.

    Attributes:
        text: The text.
        position: The number of the first character that is wrong, from 1 on; one more than there
            are characters if the end is.
        problem: What is wrong there.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        super().__init__(text, position, problem)
        self.text: str = text
        self.position: int = position
        self.problem: str = problem

    def __str__(self) -> str:
        return f"{shown(self.text)} is no path: at character {self.position}, {self.problem}"


@dataclass(frozen=True, slots=True)
class Path:
    """A path that was read; `parse` returns one.

    Attributes:
        text: The path as it was written.
        root: What it looks into: one of `ROOTS`.
        task: The id of the task whose output it looks into; None for another root.
        steps: The keys and the places in lists that lead from there to the value.
    """

    text: str
    root: str
    task: str | None
    steps: tuple[str | int, ...]

    def find(
        self, data: Any, *, inputs: Any = _MISSING, outputs: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the value that this path leads to; it may be None.

        No method of the data is called if it is of dicts, lists and tuples, subclasses included:
        the data may be of any kind, and the keys of a dict any objects.

        Args:
            data: What `$` stands for.
            inputs: What `$inputs` stands for; left out, there is nothing.
            outputs: The outputs of the tasks before this one, by id.

        Raises:
            LookupError: It leads to nothing. The message says how far it leads.
        """
        value = data
        if self.root == INPUTS:
            value = inputs
        elif self.root == OUTPUTS:
            value = (outputs or {}).get(self.task or "", _MISSING)
        if value is _MISSING:
            raise LookupError(self._nothing(0, "is not there"))
        for number, step in enumerate(self.steps):
            found, problem = attempt(_within, value, step)
            if problem is not None:
                why = f"cannot be looked into: {shown(problem)}"
                raise LookupError(self._nothing(number, why)) from problem
            if found is _MISSING:
                why, _ = attempt(_lack, value, step)
                raise LookupError(self._nothing(number, why or "cannot be looked into"))
            value = found
        return value

    def _nothing(self, number: int, problem: str) -> str:
        """Return what is wrong with the value that the first of the steps lead to."""
        start = self.root if self.task is None else f"{self.root}{step_text(self.task)}"
        reached = start + "".join(map(step_text, self.steps[:number]))
        return f"{plain(self.text)} leads to nothing: {plain(reached)} {problem}"

    def __str__(self) -> str:
        return self.text


def _within(value: Any, step: str | int) -> Any:
    """Return what a step leads to within a value, or `_MISSING`."""
    # Not by `isinstance`, which asks an object for its class; nor by methods of its class. Of a
    # dict `get` is the one way that makes no key of a `defaultdict`.
    kind = type(value)
    if isinstance(step, int):
        for base in (list, tuple):
            if issubclass(kind, base):
                return base.__getitem__(value, step) if step < base.__len__(value) else _MISSING
        return _MISSING
    if issubclass(kind, dict):
        return dict.get(value, step, _MISSING)
    if issubclass(kind, Mapping):
        return value.get(step, _MISSING)
    return _MISSING


def _lack(value: Any, step: str | int) -> str:
    """Return why a step leads to nothing within a value."""
    kind = type(value)
    if isinstance(step, int):
        for base in (list, tuple):
            if issubclass(kind, base):
                return f"has {base.__len__(value)} items, and no [{step}]"
        return f"is no list, but {_kind_of(value)}"
    if not issubclass(kind, Mapping):
        return f"is no dict, but {_kind_of(value)}"
    keys = dict.keys(value) if issubclass(kind, dict) else ()
    known = [key for key in islice(keys, MOST_COMPARED) if type(key) is str]
    return f"has no {shown(step)} - {nearest(step, known)}"


def _kind_of(value: Any) -> str:
    return "null" if value is None else kind_of(value)


def step_text(step: str | int) -> str:
    """Return how a path says a key, or a place in a list."""
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _KEY.fullmatch(f".{step}") else f"[{json.dumps(step)}]"


def parse(text: str) -> Path:
    """Return the path that a text says.

    Raises:
        NoPath: It says none. It is a `ValueError`, and tells the place in the text.
    """
    text = exact(text)
    if len(text) > LONGEST:
        raise NoPath(text, LONGEST + 1, f"it is longer than {LONGEST:,} characters")
    root = _ROOT.match(text)
    if root is None:
        raise NoPath(text, 1, "'$' is missing")
    if root[0] not in ROOTS:
        raise NoPath(text, 1, f"{shown(root[0])} is not one of {', '.join(ROOTS)}")
    steps = [*_read_steps(text, root.end())]
    if root[0] != OUTPUTS:
        return Path(text, root[0], None, tuple(steps))
    if not (steps and isinstance(steps[0], str)):
        raise NoPath(text, root.end() + 1, "the id of a task is missing")
    return Path(text, OUTPUTS, steps[0], tuple(steps[1:]))


def _read_steps(text: str, position: int) -> Iterator[str | int]:
    """Yield the steps of a path, from a position in its text on.

    Raises:
        NoPath: There is something else.
    """
    while position < len(text):
        if key := _KEY.match(text, position):
            yield key[1]
        elif key := _PLACE.match(text, position):
            yield int(key[1])
        elif key := _QUOTED.match(text, position):
            yield _unquoted(text, position, key[1])
        else:
            raise _wrong_step(text, position)
        position = key.end()


def _unquoted(text: str, position: int, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise NoPath(text, position + 2, f"{shown(quoted)} is no JSON string") from None


def _wrong_step(text: str, position: int) -> NoPath:
    """Return the error of a text that has no step at a position."""
    first, rest = text[position], text[position + 1 :]
    if first == ".":
        return NoPath(text, position + 2, 'a key is missing; others than words stand in ["..."]')
    if first == "[" and rest[:1] == '"':
        return NoPath(text, position + 2, 'the text is not closed by "]')
    if first == "[":
        return NoPath(text, position + 2, 'a place, as [0], or a key, as ["a b"], is missing')
    return NoPath(text, position + 1, f"{shown(first)} begins no step; write '.' or '['")


def find_path_faults(where: str, value: Any, roots: Collection[str] = ROOTS) -> Iterator[Fault]:
    """Yield the fault of something in a document that should be a path.

    Args:
        where: Its own path in the document.
        value: What the document has there.
        roots: What it can look into there.
    """
    if not isinstance(value, str):
        yield Fault(where, f"must be a path, not {type_of(value)}", HOW, TypeError)
        return
    try:
        path = parse(value)
    except NoPath as error:
        yield Fault(where, str(error), _advice(error.text))
        return
    if path.root not in roots:
        problem = f"{path.root} cannot be looked into here"
        yield Fault(where, problem, f"begin with {' or '.join(roots)}")


def _advice(text: str) -> str:
    """Return what to write in place of a text that is no path."""
    meant = f"$.{text}"
    if len(text) <= LONGEST and _is_path(meant):
        return f'write "{meant}"'
    return HOW


def _is_path(text: str) -> bool:
    try:
        parse(text)
    except NoPath:
        return False
    return True


def find_ancestor_faults(
    where: str, path: Path, uid: str, parents: Mapping[str, Sequence[str]]
) -> Iterator[Fault]:
    """Yield the fault of a path that looks into the output of a task that does not come before.

    Args:
        where: The path's own path in the document.
        path: The path.
        uid: The id of the task that has it.
        parents: The ids of the parents of each task; see `fan_in.parents_in`.
    """
    if path.task is None:
        return
    before = ancestors_of(uid, parents)
    if path.task not in before:
        problem = f"{OUTPUTS}: {shown(path.task)} does not come before {shown(uid)}"
        question = "only tasks that lead to it have an output by then"
        yield Fault(where, problem, nearest(path.task, before, question))
