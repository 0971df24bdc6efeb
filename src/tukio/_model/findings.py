"""How the faults of a document are gathered: at most so many, whatever the document is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

from .errors import Fault

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

MOST_FAULTS = 100
"""The largest number of faults of one sort that are reported; further ones are only mentioned."""


def first_of(faults: Iterable[Fault]) -> list[Fault]:
    """Return the first of some faults; further ones are not searched for."""
    found = list(islice(faults, MOST_FAULTS + 1))
    if len(found) > MOST_FAULTS:
        found[-1] = Fault("", f"more than {MOST_FAULTS} faults", "mend these, then look again")
    return found


def is_hashable(value: Any) -> bool:
    """Return whether a value has a hash."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def is_in(value: Any, container: Container[Any]) -> bool:
    """Return whether a value, any object, is in a container."""
    return is_hashable(value) and value in container


def is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Return whether a value is a mapping, which nearly all that are asked about are dicts."""
    return type(value) is dict or isinstance(value, Mapping)


def type_of(value: Any) -> str:
    """Return the name of the type of a value, as JSON has it for null."""
    return "null" if value is None else type(value).__name__
