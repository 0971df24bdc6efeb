"""How the faults of a document are gathered: at most so many, whatever the document is."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

from .display import shown
from .errors import Fault
from .location import SCALARS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

MOST_FAULTS = 100
"""The largest number of faults of one sort that are reported; further ones are only mentioned."""


def first_of(faults: Iterable[Fault]) -> list[Fault]:
    """Return the first of some faults; further ones are not searched for."""
    found = list(islice(faults, MOST_FAULTS + 1))
    if len(found) > MOST_FAULTS:
        found[-1] = Fault("", f"more than {MOST_FAULTS} faults", "mend these, then look again")
    return found


def find_uncopied(path: str, value: Any) -> Iterator[Fault]:
    """Yield a fault if data cannot be copied, because templates and runs have copies."""
    if type(value) in SCALARS or (type(value) is dict and not value):
        return
    try:
        deepcopy(value)
    except Exception as error:  # noqa: BLE001 - the value may be any object
        problem = f"cannot be copied: {shown(error)}"
        yield Fault(path, problem, "a template is made of plain data", TypeError)


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
