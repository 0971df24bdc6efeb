"""Which fields a class has that is described by annotations: dataclasses, attrs, TypedDicts."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args, get_origin

from .generics import arguments_of, substituted
from .hints import hints_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUALIFIERS: Final = ("Required", "NotRequired", "ReadOnly")
"""What a TypedDict says of a key, by name: typing_extensions has some of its own."""


class Part(NamedTuple):
    """One field, as its class describes it.

    Attributes:
        key: Its key in data, by which the class is called.
        name: Its name in the class.
        hint: What its annotation means.
        required: Whether it must be there.
    """

    key: str
    name: str
    hint: Any
    required: bool


def fields_of(annotation: Any) -> list[Part] | None:
    """Return the fields of a class of records; None if it is none.

    Raises:
        TypeError: An annotation in it means nothing.
    """
    kind = get_origin(annotation) or annotation
    if is_typed_dict(kind):
        parts = _of_typed_dict(kind)
    elif dataclasses.is_dataclass(kind):
        parts = _of_dataclass(kind)
    elif hasattr(kind, "__attrs_attrs__"):
        parts = _of_attrs(kind)
    else:
        return None
    return _with_arguments(annotation, kind, parts)


def fields_of_tuple(annotation: Any) -> list[Part] | None:
    """Return the fields of a named tuple, in their order; None if it is none."""
    kind: Any = get_origin(annotation) or annotation
    if tuple not in kind.__mro__ or not hasattr(kind, "_fields"):
        return None
    hints, defaults = hints_of(kind), getattr(kind, "_field_defaults", {})
    parts = (Part(one, one, hints.get(one, Any), one not in defaults) for one in kind._fields)
    return _with_arguments(annotation, kind, parts)


def is_typed_dict(kind: Any) -> bool:
    """Return whether a class is a TypedDict, of `typing` or of typing_extensions."""
    if typing.is_typeddict(kind):
        return True
    is_dict = isinstance(kind, type) and dict in kind.__mro__
    return is_dict and hasattr(kind, "__required_keys__") and hasattr(kind, "__total__")


def qualifier_of(hint: Any) -> str | None:
    """Return what is said of a key by an annotation around its type; None if it is a type."""
    name = getattr(get_origin(hint), "_name", None)
    return name if name in _QUALIFIERS else None


def _of_typed_dict(kind: Any) -> Iterable[Part]:
    for key, hint in hints_of(kind).items():
        yield Part(key, key, hint, _is_required(kind, key, hint))


def _is_required(kind: Any, key: str, hint: Any) -> bool:
    """Return whether a TypedDict must have a key."""
    while (qualifier := qualifier_of(hint)) or get_origin(hint) is typing.Annotated:
        # A class does not know this itself if its annotations are texts.
        if qualifier in {"Required", "NotRequired"}:
            return qualifier == "Required"
        hint = get_args(hint)[0]
    return key in kind.__required_keys__


def _of_dataclass(kind: Any) -> Iterable[Part]:
    hints = hints_of(kind)
    kept = {one.name for one in dataclasses.fields(kind)}
    for one in kind.__dataclass_fields__.values():
        hint = hints.get(one.name, Any)
        # What is given to `__init__` alone is no field of it, but the data has it.
        is_given = hint is dataclasses.InitVar or isinstance(hint, dataclasses.InitVar)
        if is_given:
            hint = getattr(hint, "type", Any)
        if one.init and (is_given or one.name in kept):
            yield Part(one.name, one.name, hint, not _has_default(one))


def _of_attrs(kind: Any) -> Iterable[Part]:
    hints = hints_of(kind)
    for one in kind.__attrs_attrs__:
        if one.init:
            hint = Any if one.converter else hints.get(one.name, Any)
            yield Part(one.alias, one.name, hint, not _has_default(one))


def _has_default(one: Any) -> bool:
    missing = dataclasses.MISSING
    if isinstance(one, dataclasses.Field):
        return one.default is not missing or one.default_factory is not missing
    # Of attrs, whose word for nothing is an enum of its own.
    return type(one.default).__name__ != "_Nothing"


def _with_arguments(annotation: Any, kind: Any, parts: Iterable[Part]) -> list[Part]:
    """Return fields with what stands for the type parameters of the classes that they are of."""
    known = arguments_of(annotation)
    if not any(known.values()):
        return list(parts)
    merged = {key: value for one in reversed(known.values()) for key, value in one.items()}

    def arguments(part: Part) -> dict[Any, Any]:
        # A TypedDict has the fields of those that it is made of, which are no bases of it.
        owners = () if is_typed_dict(kind) else kind.__mro__
        for owner in owners:
            if part.name in vars(owner).get("__annotations__", {}):
                return known.get(owner, {})
        return merged

    return [part._replace(hint=substituted(part.hint, arguments(part))) for part in parts]
