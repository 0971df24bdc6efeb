"""Choose the tests that may notice a fault: those that execute its lines, the quickest first.

Owns:   which lines belong to a fault, and which tests to them.
Knows:  the notes of `noting`.

What an import executes, as a default or a constant, is executed for all tests alike. There the
tests of the function, class and module around it are chosen, from the inside out, and then the
others. What thousands of tests execute, or all of them, is tried with the quickest.
"""

from __future__ import annotations

import ast
import json
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from coverage import CoverageData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ENOUGH = 100.0
"""Seconds that the tests of one fault take together, at most."""

BY_IMPORT = ""
"""What executes lines while no test runs."""


class Notes:
    """What each test executes, and how long it takes.

    Args:
        folder: Where `noting` has put it down.
    """

    def __init__(self, folder: Path) -> None:
        self.seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())
        self._data = CoverageData(str(folder / "lines"))
        self._data.read()

    def of(self, module: Path) -> dict[int, set[str]]:
        """Return the ids of the tests that execute a module, by its lines, and `BY_IMPORT`.

        A test that starts a process is left out where that process only imports.
        """
        lines: dict[int, set[str]] = {}
        for line, names in self._data.contexts_by_lineno(str(module.resolve())).items():
            # pytest names the phase of a test, too, to the processes that it starts.
            here = {name for name in names if not name.endswith(")")}
            others = {name.rpartition(" ")[0] for name in names if name.endswith(")")}
            lines[line] = here if BY_IMPORT in here else here | others
        return lines

    def quickest_first(self, tests: Iterable[str]) -> list[str]:
        """Return tests in the order of their times."""
        return sorted(tests, key=lambda test: (self.seconds.get(test, 0.0), test))


def changed_lines(before: str, after: str) -> range:
    """Return the numbers of the lines of a text that are others in another text."""
    matcher = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    changes = [change[1:3] for change in matcher.get_opcodes() if change[0] != "equal"]
    start, end = changes[0][0], changes[-1][1]
    return range(start + 1, max(end, start + 1) + 1)


def lines_around(text: str, line: int) -> Iterator[range]:
    """Yield the lines of the statement that a line is in, then of each definition around it.

    Of a statement that holds others, an `if` or a `def`, it is those before the first of them. The
    last ones are all of the module.
    """
    module = ast.parse(text)
    holders = [
        node
        for node in ast.walk(module)
        if isinstance(node, (ast.stmt, ast.ExceptHandler)) and line in _whole(node)
    ]
    # The walk is from the outside in: the last one is the innermost.
    for node in holders[:-2:-1]:
        yield _head(node)
    for node in reversed(holders):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield _whole(node)
    yield range(1, len(text.splitlines()) + 1)


def _whole(node: ast.stmt | ast.ExceptHandler) -> range:
    """Return all lines of a statement, decorators included."""
    assert node.end_lineno is not None
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min((decorator.lineno for decorator in decorators), default=node.lineno)
    return range(first, node.end_lineno + 1)


def _head(node: ast.stmt | ast.ExceptHandler) -> range:
    """Return the lines of a statement before those that it holds."""
    whole, body = _whole(node), getattr(node, "body", None)
    return range(whole.start, max(_whole(body[0]).start, whole.start + 1)) if body else whole


def chosen_for(notes: Notes, module: Path, lines: range) -> list[str]:
    """Return the ids of the tests that may notice a fault in some lines of a module, in order."""
    executed = notes.of(module)
    statement, *around = lines_around(module.read_text(), lines.start)
    statement = range(statement.start, max(statement.stop, lines.stop))
    tests = _tests_at(executed, statement)
    concerns_all = not tests or BY_IMPORT in tests
    places = [statement, *around] if concerns_all else [statement]
    chosen: dict[str, None] = {}
    for place in places:
        chosen |= dict.fromkeys(notes.quickest_first(_tests_at(executed, place) - {BY_IMPORT}))
    if concerns_all:
        chosen |= dict.fromkeys(notes.quickest_first(notes.seconds))
    return list(_enough(notes, chosen))


def _tests_at(executed: dict[int, set[str]], lines: range) -> set[str]:
    return set().union(*(executed.get(line, ()) for line in lines))


def _enough(notes: Notes, tests: Iterable[str]) -> Iterator[str]:
    """Yield tests up to a limit of time."""
    left = ENOUGH
    for test in tests:
        left -= notes.seconds.get(test, 0.0)
        if left < 0:
            return
        yield test
