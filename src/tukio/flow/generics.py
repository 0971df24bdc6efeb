"""Type parameters: what stands for them in the fields of a generic class."""

from __future__ import annotations

import typing
from typing import Any, TypeAlias, get_args, get_origin

Arguments: TypeAlias = dict[Any, Any]
"""What stands for each type parameter."""


def arguments_of(annotation: Any) -> dict[Any, Arguments]:
    """Return what stands for the type parameters of a class, and of each class that it is made of.

    Args:
        annotation: The class, or the class with what stands for its parameters: `Box[int]`.
    """
    found: dict[Any, Arguments] = {}
    left = [annotation]
    while left:
        one = left.pop(0)
        kind = get_origin(one) or one
        parameters = getattr(kind, "__parameters__", ())
        own: Arguments = {}
        if all(isinstance(parameter, typing.TypeVar) for parameter in parameters):
            own = dict(zip(parameters, get_args(one), strict=False))
        # What a TypedDict or a named tuple is made of may be a function.
        if isinstance(kind, type) and kind not in found:
            found[kind] = own
            bases = vars(kind).get("__orig_bases__", kind.__bases__)
            left += [substituted(base, own) for base in bases]
    return found


def substituted(hint: Any, known: Arguments) -> Any:
    """Return an annotation with what stands for its type parameters."""
    if not known:
        return hint
    if isinstance(hint, typing.TypeVar):
        return known.get(hint, hint)
    parameters = getattr(hint, "__parameters__", None)
    if isinstance(hint, type) or not isinstance(parameters, tuple) or not parameters:
        return hint
    try:
        return hint[tuple(known.get(one, one) for one in parameters)]
    except TypeError:
        return hint  # of what is no type, as the arguments of a callable
