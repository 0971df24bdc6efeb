"""Classes of libraries that describe data: pydantic and msgspec, if the user's code has them.

A class of such a library exists only where the library is imported, so it is looked up among the
modules, and never imported from here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, get_origin

from . import of_msgspec, of_pydantic

if TYPE_CHECKING:
    from collections.abc import Callable

    from .records import Convert


def converter_of(annotation: Any) -> Convert | None:
    """Return what makes an instance of a class out of data; None if it is of no such library.

    Args:
        annotation: The class, or a generic one with what stands for its parameters.

    Raises:
        TypeError: The library cannot make any, as for a name that is not there.
    """
    kind = get_origin(annotation) or annotation
    if (pydantic := sys.modules.get("pydantic")) and of_pydantic.is_record(pydantic, kind):
        return of_pydantic.converter_of(pydantic, annotation)
    if (msgspec := sys.modules.get("msgspec")) and issubclass(kind, msgspec.Struct):
        return of_msgspec.converter_of(msgspec, annotation)
    return None


def dumper_of(kind: Any) -> Callable[[Any], Any] | None:
    """Return what makes data of an instance of a class; None if it is of no such library.

    The data is what the class itself can read again. Records within are left as they are.
    """
    if (pydantic := sys.modules.get("pydantic")) and of_pydantic.is_record(pydantic, kind):
        return of_pydantic.dumper_of(pydantic, kind)
    if (msgspec := sys.modules.get("msgspec")) and issubclass(kind, msgspec.Struct):
        return of_msgspec.dumper_of(msgspec, kind)
    return None


def is_of_lists(annotation: Any) -> bool:
    """Return whether the instances of a class are lists in data, and not dicts."""
    config = getattr(get_origin(annotation) or annotation, "__struct_config__", None)
    return bool(getattr(config, "array_like", False))
