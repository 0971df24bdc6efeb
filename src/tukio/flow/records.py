"""Records: how one is made out of data, and what is said of data that does not fit.

Owns:   the order in which a field is looked at: its key, its very type, what converts it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from .._model.invalid_input import Misfit
from .fields import is_typed_dict
from .wrong import Wrong, said, unlike, words_of

Convert: TypeAlias = Callable[[Any], Any]
"""Returns a value as an annotation wants it, or raises `Wrong`."""


_MISSING: Final = object()


class Field(NamedTuple):
    """One field of a record.

    Attributes:
        key: Its key in data.
        kind: The very type of most values that fit; these need no look.
        convert: Converts others; None if any value fits.
        required: Whether it must be there.
    """

    key: str
    kind: type | None
    convert: Convert | None
    required: bool


class Record:
    """How data becomes a record of one class.

    Args:
        kind: The class: a dataclass, an attrs class or a TypedDict.
    """

    def __init__(self, kind: Any) -> None:
        self.kind: Any = kind
        self.is_dict: bool = is_typed_dict(kind)
        # Set when all classes that it refers to are known: it may refer to itself.
        self.fields: tuple[Field, ...] = ()
        self.tags: tuple[Field, ...] = ()

    def quickly(self) -> Convert:
        """Return a function that does the same, and sooner if each value is of its very type."""
        positional = self._positional()
        if positional is None:
            return self
        make = self.kind

        def convert(data: Any) -> Any:
            # A subclass may have values for keys that are not there.
            if type(data) is not dict:
                return self(data)
            values: list[Any] = []
            for key, kind in positional:
                value = data.get(key, _MISSING)
                if type(value) is not kind:
                    # A default counts, or something is wrong, which is found out once more.
                    return self(data)
                values.append(value)
            try:
                return make(*values)
            except ValueError as error:
                wrong = _refused(error)
            raise wrong

        return convert

    def _positional(self) -> tuple[tuple[str, type], ...] | None:
        """Return key and type of each field, if that is all there is to say of each; else None."""
        try:
            taken = inspect.signature(self.kind, follow_wrapped=False).parameters.values()
        except (ValueError, TypeError):
            return None
        # An `__init__` that is written by hand has an order of its own.
        is_in_order = all(one.kind is one.POSITIONAL_OR_KEYWORD for one in taken)
        if not is_in_order or [one.name for one in taken] != [one.key for one in self.fields]:
            return None
        found: list[tuple[str, type]] = []
        for key, kind, _, _ in self.fields:
            if kind is None:
                return None
            found.append((key, kind))
        return tuple(found)

    def __call__(self, data: Any) -> Any:
        """Return the record for some data; further keys are left alone.

        Raises:
            Wrong: The data does not fit.
        """
        if not isinstance(data, Mapping):
            if not self.is_dict and isinstance(data, self.kind):
                return data
            raise unlike(data, self.kind.__name__)
        found = self._fields_in(data)
        if self.is_dict:
            return {**data, **found}
        try:
            return self.kind(**found)
        except ValueError as error:
            wrong = _refused(error)
        raise wrong

    def untagged(self, data: Mapping[Any, Any]) -> list[Misfit]:
        """Return why the fields that have one of a few values cannot be those of this class."""
        misfits: list[Misfit] = []
        _ = _looked_at(self.tags, data, misfits)
        return misfits

    def _fields_in(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the fields that are in some data, converted.

        Raises:
            Wrong: One does not fit, or one is missing; all that is wrong is told.
        """
        misfits: list[Misfit] = []
        found = _looked_at(self.fields, data, misfits)
        if misfits:
            raise Wrong(misfits)
        return found


def _looked_at(
    fields: tuple[Field, ...], data: Mapping[Any, Any], misfits: list[Misfit]
) -> dict[str, Any]:
    """Return the fields that are in some data, converted, and add what is wrong to the misfits."""
    found: dict[str, Any] = {}
    for key, kind, convert, required in fields:
        value = data.get(key, _MISSING)
        if value is _MISSING:
            if required:
                misfits.append(Misfit(key, "missing"))
            continue
        try:
            found[key] = value if convert is None or type(value) is kind else convert(value)
        except Wrong as wrong:
            misfits += wrong.at(key)
    return found


def _refused(error: ValueError) -> Wrong:
    """Return what is raised for what a class itself says of its fields; its words are its own."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is not None and frame.tb_frame.f_globals.get("__name__") == "attr.validators":
        # The words of these go on with the value: "must be > 3: 1", "must be in [1] (got 2)".
        words = str(error.args[0]).partition(" (")[0].partition(": ")[0]
        return Wrong([Misfit("", said(words))])
    wrong = Wrong([Misfit("", words_of(error))])
    wrong.__cause__ = error
    return wrong
