"""What tasks return, as data: records become dicts, and the members of enums their values.

Owns:   which classes are records here, and how their instances are taken apart.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set as AbstractSet
from typing import Any, Final, TypeAlias

from .._model.candidate import place_of
from .._model.location import SCALARS
from .._model.registered import CODECS
from .foreign import dumper_of
from .per_class import PerClass

Dump: TypeAlias = Callable[[Any], Any]

PLAIN: Final = frozenset({dict, type(None), str, int, float, bool, list, tuple})
"""The types of most results that are data already; what is in them is the task's own affair."""


def dumped(result: Any) -> Any:
    """Return the result of a task as data: the fields of a record, or anything else as it is.

    Raises:
        ValueError: The result is a record that contains itself, or is nested too deeply.
    """
    kind = type(result)
    if kind in PLAIN:
        return result
    dump = _of_record(kind)
    if dump is None:
        return result
    try:
        return dump(result)
    except RecursionError:
        msg = f"a {place_of(kind)} contains itself, or is nested too deeply, and so is no data"
    raise ValueError(msg)


def _find_record(kind: Any) -> Dump | None:
    """Return what takes apart the instances of a class; None if it is no record."""
    if (foreign := dumper_of(kind)) is not None:
        return lambda value: _within(foreign(value))
    if dataclasses.is_dataclass(kind):
        return _by_names([(one.name, one.name) for one in dataclasses.fields(kind) if one.init])
    attributes: Any = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return _by_names([(one.alias, one.name) for one in attributes if one.init])
    return None


_of_record: Final = PerClass(_find_record)


def _by_names(names: Iterable[tuple[str, str]]) -> Dump:
    pairs = tuple(names)

    def dump(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, name in pairs:
            field = getattr(value, name)
            # Most are scalars; a call for each would be the larger part.
            found[key] = field if type(field) in SCALARS else _within(field)
        return found

    return dump


def _within(value: Any) -> Any:
    """Return what a field of a record has, as data."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if (take_apart := _COLLECTIONS.get(kind)) is not None:
        return take_apart(value)
    if CODECS.of(kind) is not None:
        # It goes through JSON as what it is.
        return value
    dump = _of_part(kind)
    return value if dump is None else dump(value)


def _list(value: Any) -> list[Any]:
    return [_within(item) for item in value]


def _tuple(value: Any) -> tuple[Any, ...]:
    return tuple(map(_within, value))


def _mapping(value: Any) -> dict[Any, Any]:
    return {_key(key): _within(item) for key, item in value.items()}


def _key(key: Any) -> Any:
    """Return a key as data; a record stays what it is, for no dict is a key."""
    kind = type(key)
    if kind in SCALARS or CODECS.of(kind) is not None:
        return key
    if isinstance(key, enum.Enum):
        return key.value
    return tuple(map(_key, key)) if isinstance(key, tuple) else key


def _set(value: Any) -> Any:
    """Return a set of what is in it, as data; a list if that has records, which become dicts."""
    items = _list(value)
    try:
        return frozenset(items) if isinstance(value, frozenset) else set(items)
    except TypeError:
        return items


_COLLECTIONS: Final[dict[type, Dump]] = {
    dict: _mapping,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    deque: _list,
}


def _find_part(kind: Any) -> Dump | None:
    """Return what takes apart the instances of a class that are in a record."""
    if issubclass(kind, enum.Enum):
        return lambda value: value.value
    if (record := _find_record(kind)) is not None:
        return record
    for others, dump in _OTHERS:
        if issubclass(kind, others):
            return dump
    return None


_OTHERS: Final[tuple[tuple[Any, Dump], ...]] = (
    (Mapping, _mapping),
    ((list, deque), _list),
    (tuple, _tuple),
    (AbstractSet, _set),
)
"""How the other collections are taken apart, which JSON does not have."""

_of_part: Final = PerClass(_find_part)
