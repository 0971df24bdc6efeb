"""Public paths: the modules that tracebacks and pickles show for classes and functions.

The path of a public object is always the module that users import it from (a roof), and not the
file that defines it, so files can move.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def show_public_paths(*roofs: ModuleType, package: str, names: Iterable[str]) -> None:
    """Set `__module__` of every public class and function to the module that users import from.

    Args:
        roofs: Modules with an `__all__`; for an object in several, the first one counts.
        package: The name of the package, for objects that are in no roof.
        names: The public names of the package itself.
    """
    private = f"{package}._"
    for roof in roofs:
        for name in roof.__all__:
            _move(getattr(roof, name), private, roof.__name__)
    for name in names:
        _move(getattr(sys.modules[package], name), private, package)


def _move(thing: Any, private: str, path: str) -> None:
    """Set `__module__` of a class or function to a path, unless it is public already."""
    if isinstance(thing, type | FunctionType) and thing.__module__.startswith(private):
        thing.__module__ = path
