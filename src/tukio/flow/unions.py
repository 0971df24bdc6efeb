"""Annotations with several choices: which of them a value is, and why it is none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from .._model.invalid_input import Misfit
from .records import Record
from .wrong import OtherKind, Wrong, unlike

if TYPE_CHECKING:
    from .records import Convert

MOST_OF_EACH: Final = 3
"""The largest number of misfits that are told of each of several choices."""


_Told: TypeAlias = list[tuple[str, Wrong]]
"""What is wrong with a value for each of several types, by their names."""


class Choice(NamedTuple):
    """One of several types.

    Attributes:
        name: Its name, as messages show it.
        kind: Its class; None if it is none.
        is_quick: Whether each value of that very class fits, without a look.
        convert: Converts a value to it.
    """

    name: str
    kind: type | None
    is_quick: bool
    convert: Convert


def any_of(choices: Sequence[Choice]) -> Convert:
    """Return what takes a value for the first of some types that it fits.

    One that needs no conversion comes before one that does. Of records, those are left out whose
    fields with one of a few values, as `kind: Literal["circle"]`, have another one.
    """
    names = " or ".join(one.name for one in choices)
    quick = frozenset(one.kind for one in choices if one.is_quick)
    # Not so for a dict, which is what the data of a record is.
    first = {one: _with_first(one, choices) for one in (list, tuple, set, frozenset)}
    records = [one for one in choices if isinstance(one.convert, Record)]

    def convert_any(value: Any) -> Any:
        kind = type(value)
        if kind in quick:
            return value
        misfits: _Told = []
        left = first.get(kind, choices)
        if len(records) > 1 and isinstance(value, Mapping):
            left = _tagged(left, value, misfits)
        for name, _, _, convert in left:
            try:
                return convert(value)
            except OtherKind:
                continue
            except Wrong as wrong:
                misfits.append((name, wrong))
        raise _none_of(misfits) if misfits else unlike(value, names)

    return convert_any


def _with_first(kind: type, choices: Sequence[Choice]) -> Sequence[Choice]:
    """Return the choices, those of a class before the others."""
    return sorted(choices, key=lambda one: one.kind is not kind)


def _tagged(choices: Sequence[Choice], data: Mapping[Any, Any], misfits: _Told) -> list[Choice]:
    """Return the choices that the tags in some data leave; if these leave none, tell why."""
    left: list[Choice] = []
    told: _Told = []
    for one in choices:
        found = one.convert.untagged(data) if isinstance(one.convert, Record) else []
        if found:
            told.append((one.name, Wrong(found)))
        else:
            left.append(one)
    if told and not any(isinstance(one.convert, Record) for one in left):
        misfits += told
    return left


def _none_of(told: _Told) -> Wrong:
    """Return what is wrong with a value that is none of several types: a little for each."""
    if len(told) == 1:
        return told[0][1]
    return Wrong(
        [
            Misfit(path, f"{problem}, as {name}")
            for name, wrong in told
            for path, problem in wrong.misfits[:MOST_OF_EACH]
        ]
    )
