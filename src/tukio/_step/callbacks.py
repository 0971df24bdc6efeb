"""The functions that wait for the end of a step, in the order in which they were added.

Owns:   their order, and where each of them is: thousands may be removed one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .._model.guard import attempt

Function: TypeAlias = Callable[[Any], object]

# A function in a place of its own; empty once it was removed.
_Cell: TypeAlias = list[Function]


class Callbacks:
    """Functions in the order in which they were added; each may be there several times."""

    __slots__ = ("_by_function", "_cells", "_gone")

    def __init__(self) -> None:
        self._cells: list[_Cell] = []
        # The number of cells that are empty; never more than half of them, but for a few.
        self._gone: int = 0
        # Function -> its cells; None stands for all functions that have no hash. None until one is
        # removed, as most never are.
        self._by_function: dict[Function | None, list[_Cell]] | None = None

    def __bool__(self) -> bool:
        return len(self._cells) > self._gone

    def add(self, function: Function) -> None:
        """Add a function, as the last one."""
        cell = [function]
        self._cells.append(cell)
        if self._by_function is not None:
            self._by_function.setdefault(_key(function), []).append(cell)

    def remove(self, function: Function) -> int:
        """Remove a function wherever it was added, and return how often that was."""
        if self._by_function is None:
            self._by_function = {}
            for cell in self._cells:
                self._by_function.setdefault(_key(cell[0]), []).append(cell)
        key = _key(function)
        cells = self._by_function.pop(key, [])
        if key is None:
            self._by_function[None] = [cell for cell in cells if cell[0] != function]
            cells = [cell for cell in cells if cell[0] == function]
        for cell in cells:
            cell.clear()
        self._gone += len(cells)
        if self._gone > len(self._cells) // 2:
            self._cells = [cell for cell in self._cells if cell]
            self._gone = 0
        return len(cells)

    def take(self) -> list[Function]:
        """Remove all functions, and return them in their order."""
        functions = [cell[0] for cell in self._cells if cell]
        self._cells, self._gone, self._by_function = [], 0, None
        return functions


def _key(function: Function) -> Function | None:
    """Return what a function is found by; None if it has no hash."""
    _, problem = attempt(hash, function)
    return function if problem is None else None
