"""Ctrl-C on trio: it never cuts the engine itself, as it never cuts trio.

Owns:   which code trio holds Ctrl-C back from.

Where trio holds a `KeyboardInterrupt` back, it raises it in the main task as soon as that waits.
So whatever the engine does within one turn is done whole. Code of users can be cut at any line.
"""

from __future__ import annotations

import sys
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import trio

from ..._model.guard import EXPOSED

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = __name__.partition(".")[0]
"""The package; its parts that users never import begin with an underscore."""


@cache
def protect() -> None:
    """Hold Ctrl-C back from all functions of the engine; only the first call does something.

    Not from those that call users' code. All modules that have to do with runs must be imported.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{PACKAGE}._"):
            for code in _codes_of(module):
                _hold_back(code)


def _hold_back(code: CodeType) -> None:
    """Mark code, and the functions within it: only what is called by a marked one is marked."""
    keeper = _Keeper(code)
    if code in EXPOSED:
        trio.lowlevel.disable_ki_protection(keeper)
    else:
        trio.lowlevel.enable_ki_protection(keeper)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            _hold_back(inner)


class _Keeper:
    """Stands for a function: trio asks a function for nothing but its code."""

    def __init__(self, code: CodeType) -> None:
        self.__code__: CodeType = code


def _codes_of(module: ModuleType) -> Iterator[CodeType]:
    """Yield the code of all functions and methods that a module defines."""
    for value in list(vars(module).values()):
        for one in vars(value).values() if isinstance(value, type) else (value,):
            for function in _functions_of(one):
                if function.__code__.co_filename == module.__file__:
                    yield function.__code__


def _functions_of(value: Any) -> Iterator[FunctionType]:
    """Yield the functions behind a value of a module or class: itself, or parts of a property."""
    found = (value.fget, value.fset) if isinstance(value, property) else (value,)
    for one in found:
        function = getattr(one, "__func__", one)
        while function is not None:
            if isinstance(function, FunctionType):
                yield function
            function = getattr(function, "__wrapped__", None)
