"""Public paths: what tracebacks and pickles show of classes and functions.

A name of a roof gets that roof, whatever file it is defined in; so files can move.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def show_public_paths(*roofs: ModuleType, package: str, names: Iterable[str]) -> None:
    """Let everything public say that it is of the module that users import it from.

    Args:
        roofs: Modules with an `__all__`; the first that has a thing counts.
        package: The name of the package, for what no roof has.
        names: The names of the package.
    """
    private = f"{package}._"
    for roof in roofs:
        for name in roof.__all__:
            _move(getattr(roof, name), private, roof.__name__)
    for name in names:
        _move(getattr(sys.modules[package], name), private, package)


def _move(thing: Any, private: str, path: str) -> None:
    if isinstance(thing, type | FunctionType) and thing.__module__.startswith(private):
        thing.__module__ = path
