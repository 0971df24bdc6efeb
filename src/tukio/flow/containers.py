"""Collections: what converts a list, a dict or a tuple, and what is in it.

A list is what JSON has for each collection, and a dict for each mapping, so the others are made of
these. A text is no collection here, although its characters are one.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final

from .._model.invalid_input import Misfit
from .wrong import Wrong, joined, unlike, words_of

if TYPE_CHECKING:
    from .records import Convert

TEXTS: Final = (str, bytes, bytearray, memoryview)
"""The types that are single values, although Python has them as sequences."""

FACTORIES: Final = frozenset({int, float, str, list, dict, set})
"""The types of values by which a `defaultdict` knows what to make of nothing."""


def mapping(
    kind: Any, of_key: Convert | None, of_value: Convert | None, made: Any = None
) -> Convert:
    """Return what takes the mappings of a kind.

    Args:
        kind: The class.
        of_key: Converts each key.
        of_value: Converts each value.
        made: What a `defaultdict` that is made of a dict makes its values with.
    """
    # Others are made of a dict. A dict is all that JSON has.
    is_made = kind is not dict and not inspect.isabstract(kind)

    def convert_mapping(value: Any) -> Any:
        is_one = isinstance(value, kind)
        if not is_one and not (is_made and isinstance(value, Mapping)):
            raise unlike(value, kind.__name__)
        misfits: list[Misfit] = []
        found = value
        if of_key is not None or of_value is not None:
            found = _items(value, of_key, of_value, misfits)
        if misfits:
            raise Wrong(misfits)
        if is_one and found is value:
            return value
        return _rebuilt_mapping(kind, value, found, made) if is_made else found

    return convert_mapping


def _items(
    value: Any, of_key: Convert | None, of_value: Convert | None, misfits: list[Misfit]
) -> Any:
    """Return the items of a mapping, converted; the mapping itself if none is another then."""
    found: dict[Any, Any] = {}
    is_same = True
    for place, (key, item) in enumerate(value.items()):
        new_key, new_item = key, item
        # A key is data, and so it is not told.
        if of_key is not None:
            try:
                new_key = of_key(key)
            except Wrong as wrong:
                where = f"[key {place}]"
                misfits += [
                    Misfit(joined(where, one.path), f"the key {one.problem}")
                    for one in wrong.misfits
                ]
        if of_value is not None:
            new_item = tried(of_value, item, "[key {}]", place, misfits)
        is_same = is_same and new_key is key and new_item is item
        found[new_key] = new_item
    return value if is_same else found


def _rebuilt_mapping(kind: Any, value: Any, found: Any, made: Any) -> Any:
    if issubclass(kind, defaultdict):
        made = getattr(value, "default_factory", made)
        return kind(made, found)
    return _called(kind, found)


def collection(kind: Any, of_items: Sequence[Convert | None], *, is_fixed: bool) -> Convert:
    """Return what takes the collections of a kind.

    Args:
        kind: The class.
        of_items: Converts each item; one for each place if their number is fixed.
        is_fixed: Whether their number is fixed.
    """
    is_abstract = inspect.isabstract(kind)
    is_set = issubclass(kind, AbstractSet)
    is_made = is_set or (not is_abstract and kind is not list)
    is_plain = all(one is None for one in of_items)

    def convert_collection(value: Any) -> Any:
        is_one = isinstance(value, kind) and not isinstance(value, (*TEXTS, Mapping))
        if not is_one and not (is_made and isinstance(value, list)):
            raise unlike(value, kind.__name__)
        if is_fixed and len(value) != len(of_items):
            raise Wrong([Misfit("", f"must have {len(of_items)} items, not {len(value)}")])
        found = value
        if not is_plain:
            if not isinstance(value, Collection):
                raise unlike(value, "list")  # what can be read only once
            found = _each(value, of_items, is_fixed=is_fixed)
        if is_one and found is value:
            return value
        if is_abstract:
            return _called(frozenset, found) if is_set else found
        return _called(kind, found)

    return convert_collection


def named_tuple(kind: Any, of_items: Sequence[Convert | None], fewest: int) -> Convert:
    """Return what takes the named tuples of a class, and the lists for them.

    Args:
        kind: The class.
        of_items: Converts the item of each field.
        fewest: The number of items that must be there.
    """
    most = len(of_items)
    many = f"{most}" if fewest == most else f"{fewest} to {most}"

    def convert_named_tuple(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, list | tuple):
            raise unlike(value, kind.__name__)
        if not fewest <= len(value) <= most:
            raise Wrong([Misfit("", f"must have {many} items, not {len(value)}")])
        items = _each(value, of_items, is_fixed=True)
        try:
            return kind(*items)
        except ValueError as error:
            raise Wrong([Misfit("", words_of(error))]) from error

    return convert_named_tuple


def tried(
    convert: Convert | None, value: Any, where: str, place: int, misfits: list[Misfit]
) -> Any:
    """Return a converted value; keep what is wrong with it among the misfits.

    Args:
        convert: Converts it; None leaves it as it is.
        value: The value.
        where: The path to it, with a gap for its place.
        place: Its place.
        misfits: Gets what is wrong with it.
    """
    if convert is None:
        return value
    try:
        return convert(value)
    except Wrong as wrong:
        misfits += wrong.at(where.format(place))
        return value


def _each(value: Any, of_items: Sequence[Convert | None], *, is_fixed: bool) -> Any:
    """Return a list of the items, converted; what they are in itself if none is another then.

    Raises:
        Wrong: Some of them do not fit.
    """
    misfits: list[Misfit] = []
    found: list[Any] = []
    is_same = True
    for place, item in enumerate(value):
        new = tried(of_items[place if is_fixed else 0], item, "[{}]", place, misfits)
        is_same = is_same and new is item
        found.append(new)
    if misfits:
        raise Wrong(misfits)
    return value if is_same else found


def _called(kind: Any, items: Any) -> Any:
    """Return items in a collection of a class."""
    try:
        return kind(items)
    except (TypeError, ValueError):
        # As an item of a set that has no hash, or a class that is made otherwise.
        msg = f"has items of which no {kind.__name__} can be made"
    raise Wrong([Misfit("", msg)])
