"""Annotations: what a value must be for one, and which values are converted.

A value fits as `isinstance` has it, and an int is a float. Of what JSON cannot have, the form that
it has there is converted: a dict to a record, a list to a tuple or a set, a text to a date, a UUID,
a Decimal or a Path, and the value of an enum to its member. What an annotation says beyond that is
left to type checkers.
"""

from __future__ import annotations

import enum
import types
import typing
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Reversible
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from .containers import FACTORIES, TEXTS, collection, mapping, named_tuple
from .fields import fields_of, fields_of_tuple, qualifier_of
from .generics import substituted
from .hints import meaning_of_alias
from .records import Field, Record
from .unions import Choice, any_of
from .values import instance, literal, member, nothing

if TYPE_CHECKING:
    from .records import Convert

_ITERABLES: Final = (Iterable, Reversible, Container)
"""The abstract classes of lists that are no collections themselves."""


class Compiler:
    """Compiles annotations.

    Nothing is kept from one to the next: what a class refers to is known to what was made of it,
    and a class that was made in a function goes when that does.

    Args:
        foreign: Returns what converts to a class of another library, or None.
    """

    def __init__(self, foreign: Callable[[Any], Convert | None]) -> None:
        self._foreign: Callable[[Any], Convert | None] = foreign

    def record(self, annotation: Any) -> Convert | None:
        """Return what converts data to a record; None if the annotation is no class of records.

        Raises:
            TypeError: The class, or one that it refers to, cannot be read.
        """
        return self._ended(_Compilation(self._foreign).record, annotation)

    def convert(self, annotation: Any) -> Convert | None:
        """Return what converts a value for an annotation; None if any value fits.

        Raises:
            TypeError: A class that it refers to cannot be read.
        """
        return self._ended(_Compilation(self._foreign).convert, annotation)

    def _ended(self, compiled: Callable[[Any], Convert | None], annotation: Any) -> Convert | None:
        try:
            return compiled(annotation)
        except RecursionError:
            msg = f"the type {name_of_type(annotation)} has no end"
        raise TypeError(msg)


class _Alias:
    """A name for a type, which may be within the type that it stands for."""

    def __init__(self) -> None:
        # Set when that type is known.
        self.convert: Convert | None = None

    def __call__(self, value: Any) -> Any:
        return value if self.convert is None else self.convert(value)


class _Compilation:
    """Compiles one annotation, and all classes and names that it refers to, itself included."""

    def __init__(self, foreign: Callable[[Any], Convert | None]) -> None:
        self._foreign: Callable[[Any], Convert | None] = foreign
        self._records: dict[Any, Record] = {}
        self._aliases: dict[Any, _Alias] = {}
        # The classes whose fields are looked at, the innermost last.
        self._inside: list[Any] = []

    def record(self, annotation: Any) -> Convert | None:
        if not isinstance(get_origin(annotation) or annotation, type):
            return None
        if (foreign := self._foreign(annotation)) is not None:
            return foreign
        if annotation in self._records:
            return self._records[annotation]
        parts = fields_of(annotation)
        if parts is None:
            return None
        record = Record(get_origin(annotation) or annotation)
        self._records[annotation] = record
        self._inside.append(annotation)
        record.fields = tuple(
            Field(one.key, kind_of(one.hint), self.convert(one.hint), one.required) for one in parts
        )
        self._inside.pop()
        record.tags = tuple(
            field
            for field, part in zip(record.fields, parts, strict=True)
            if get_origin(plain_annotation(part.hint)) is Literal
        )
        return record

    def convert(self, annotation: Any) -> Convert | None:
        annotation = plain_annotation(annotation)
        if annotation is typing.Self and self._inside:
            return self.record(self._inside[-1])
        if alias_of(annotation) is not None:
            return self._alias(annotation)
        origin, args = get_origin(annotation), get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return self._any_of(args)
        if origin is Literal:
            return literal(args)
        if annotation is None:
            return nothing
        kind = origin or annotation
        is_class = isinstance(kind, type) and kind is not object
        return self._of_class(annotation, kind, args) if is_class else None

    def _alias(self, annotation: Any) -> Convert | None:
        if annotation in self._aliases:
            return self._aliases[annotation]
        if _is_itself(annotation):
            msg = f"the type {name_of_type(annotation)} stands for itself"
            raise TypeError(msg)
        alias = self._aliases[annotation] = _Alias()
        alias.convert = self.convert(_meaning(annotation))
        return alias.convert

    def _of_class(self, annotation: Any, kind: type, args: tuple[Any, ...]) -> Convert:
        return self.record(annotation) or self._of_other_class(annotation, kind, args)

    def _of_other_class(self, annotation: Any, kind: type, args: tuple[Any, ...]) -> Convert:
        if kind is type(None):
            return nothing
        if issubclass(kind, enum.Enum):
            return member(kind)
        if issubclass(kind, Mapping):
            return self._mapping(kind, args)
        if (parts := fields_of_tuple(annotation)) is not None:
            of_items = [self.convert(one.hint) for one in parts]
            return named_tuple(kind, of_items, sum(one.required for one in parts))
        if kind in _ITERABLES or (issubclass(kind, Collection) and not issubclass(kind, TEXTS)):
            return self._collection(kind, args)
        return instance(kind)

    def _any_of(self, annotations: tuple[Any, ...]) -> Convert | None:
        choices: list[Choice] = []
        for one in annotations:
            convert = self.convert(one)
            if convert is None:
                return None
            kind = get_origin(plain_annotation(one)) or plain_annotation(one)
            is_quick = kind_of(one) is not None
            is_class = isinstance(kind, type)
            # Not `Self`, of which no reader would know what it is.
            name = convert.kind.__name__ if isinstance(convert, Record) else name_of_type(one)
            choices.append(Choice(name, kind if is_class else None, is_quick, convert))
        return any_of(choices)

    def _mapping(self, kind: Any, args: tuple[Any, ...]) -> Convert:
        if issubclass(kind, Counter):
            args = (*args, int)
        if len(args) != 2:  # noqa: PLR2004 - a key and a value
            return mapping(kind, None, None)
        made = get_origin(args[1]) or args[1]
        factory = made if made in FACTORIES else None
        return mapping(kind, self.convert(args[0]), self.convert(args[1]), factory)

    def _collection(self, kind: Any, args: tuple[Any, ...]) -> Convert:
        if any(map(_is_unpacked, args)):
            args = ()  # items of several types, in a number that is not known
        is_fixed = issubclass(kind, tuple) and bool(args) and args[-1] is not Ellipsis
        of_items = [self.convert(one) for one in args if one is not Ellipsis]
        return collection(kind, of_items, is_fixed=is_fixed)


def plain_annotation(annotation: Any) -> Any:
    """Return an annotation without what says nothing of values."""
    while True:
        origin = get_origin(annotation)
        if origin in (typing.Annotated, typing.Final) or qualifier_of(annotation):
            annotation = get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__  # a NewType
        elif isinstance(annotation, typing.TypeVar):
            annotation = _bound(annotation)
        else:
            return annotation


def _is_unpacked(annotation: Any) -> bool:
    return get_origin(annotation) is typing.Unpack or getattr(annotation, "__unpacked__", False)


def _bound(parameter: typing.TypeVar) -> Any:
    """Return what a type parameter stands for where nothing is given for it."""
    if parameter.__constraints__:
        return typing.Union[parameter.__constraints__]  # noqa: UP007 - as many as there are
    return parameter.__bound__ or Any


def alias_of(annotation: Any) -> Any:
    """Return the name that is given to a type, as by `type Name = ...`; None if it is no name."""
    # By the name of the class: typing_extensions has one of its own.
    for one in (annotation, get_origin(annotation)):
        if type(one).__name__ == "TypeAliasType":
            return one
    return None


def _meaning(annotation: Any) -> Any:
    """Return the type that a name stands for."""
    alias = alias_of(annotation)
    known = dict(zip(alias.__type_params__, get_args(annotation), strict=False))
    return substituted(meaning_of_alias(alias), known)


def _is_itself(alias: Any) -> bool:
    """Return whether a name stands for itself, or for that or another type."""
    left, seen = [_meaning(alias)], []
    while left:
        one = plain_annotation(left.pop())
        if one == alias:
            return True
        if get_origin(one) in (typing.Union, types.UnionType):
            left += get_args(one)
        elif alias_of(one) is not None and one not in seen:
            seen.append(one)
            left.append(_meaning(one))
    return False


def resolved_alias(annotation: Any) -> Any:
    """Return an annotation without the names for it, and without what says nothing of values."""
    seen: list[Any] = []
    while alias_of(annotation := plain_annotation(annotation)) and annotation not in seen:
        seen.append(annotation)
        annotation = _meaning(annotation)
    return annotation


def kind_of(annotation: Any) -> type | None:
    """Return the very type whose values fit an annotation without a look; None if there is none."""
    annotation = resolved_alias(annotation)
    return annotation if annotation in (str, int, float, bool, bytes) else None


def name_of_type(annotation: Any) -> str:
    """Return an annotation as a message shows it."""
    if annotation is None or annotation is type(None):
        return "None"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
