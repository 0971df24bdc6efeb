"""Types of the user's own that go through JSON: each has a codec, by registration.

Owns:   the registered types and their names. Only what is registered is ever called: a document
        that names another type gets nothing of it.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Codec:
    """How the values of one type go through JSON.

    Attributes:
        kind: The type; subclasses of it are other types.
        name: The name of the type in documents.
        encode: Returns what a value is made of.
        decode: Returns the value that is made of this.
    """

    kind: type[Any]
    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


class Codecs:
    """The codecs of the process.

    Attributes:
        built_in: The types that have a form anyway.
    """

    def __init__(self) -> None:
        # Both have the same codecs.
        self._by_type: dict[type, Codec] = {}
        self._by_name: dict[str, Codec] = {}
        self.built_in: frozenset[type] = frozenset()

    def add(self, codec: Codec) -> None:
        """Add a codec.

        Raises:
            ValueError: The type has a form already, or another type has the name.
        """
        kind = codec.kind
        if kind in self.built_in or kind in self._by_type:
            msg = f"{kind.__qualname__} has a form in JSON already - register each type once"
            raise ValueError(msg)
        if codec.name in self._by_name:
            other = self._by_name[codec.name].kind.__qualname__
            msg = f"{codec.name!r} is the name of {other} already - give another name=..."
            raise ValueError(msg)
        self._by_type[kind] = self._by_name[codec.name] = codec

    def remove(self, kind: type) -> None:
        """Forget the codec of a type.

        Raises:
            KeyError: The type is not registered.
        """
        del self._by_name[self._by_type.pop(kind).name]

    def kinds(self) -> set[type]:
        """Return the registered types."""
        return set(self._by_type)

    def of(self, kind: type) -> Codec | None:
        """Return the codec of a type."""
        return self._by_type.get(kind)

    def named(self, name: str) -> Codec | None:
        """Return the codec of the type with a name."""
        return self._by_name.get(name)


CODECS: Final = Codecs()


def codec(
    kind: type[T],
    encode: Callable[[T], Any] | None = None,
    decode: Callable[[Any], T] | None = None,
    *,
    name: str | None = None,
) -> type[T]:
    """Register a type, so that its values go through the JSON of reports without loss.

    Values of a type that is not registered come back as lost, and a rescue refuses to pass them on.
    Register a type once in each process that writes or reads reports with its values, before. For
    an enum or a dataclass the functions may be left out, and this may be used as a decorator. A
    member of an enum is then kept by its name. A dataclass is kept by its fields, and comes back
    without a call of its `__init__` and `__post_init__`.

        tukio.codec(Money, lambda money: [money.amount, money.unit], lambda parts: Money(*parts))

    Args:
        kind: The type. Values of its subclasses are of other types.
        encode: Called with a value; returns data that it is made of: anything that goes through
            JSON itself, values of other registered types included. If it raises, the value is lost.
        decode: Called with this data; returns the value. If it raises, or returns anything but an
            instance of the type, the value is lost.
        name: The name of the type in documents; None is its module and qualified name. Keep the
            name when the type moves.

    Returns:
        The type.

    Raises:
        TypeError: `kind` is no type, or there are not both functions. Nothing was registered.
        ValueError: The type has a form already, built in or registered, or another type has the
            name. Nothing was registered.
    """
    if not isinstance(kind, type):
        msg = f"expected a type to register, not {kind!r}"
        raise TypeError(msg)
    if encode is None and decode is None:
        encode, decode = _usual(kind)
    if not callable(encode) or not callable(decode):
        msg = f"{kind.__qualname__} needs both functions, encode and decode"
        raise TypeError(msg)
    CODECS.add(Codec(kind, name or f"{kind.__module__}.{kind.__qualname__}", encode, decode))
    return kind


def _usual(kind: type[Any]) -> tuple[Any, Any]:
    """Return the functions for an enum or a dataclass; None for any other type."""
    if issubclass(kind, enum.Enum):
        return _of_member, _member_of(kind)
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return _fields_of(names), _with_fields(kind, names)
    return None, None


def _of_member(member: enum.Enum) -> Any:
    """Return the name of a member; for what has none, as a combination of flags, its value."""
    is_named = type(member).__members__.get(member._name_ or "") is member
    return member._name_ if is_named else [member._value_]


def _member_of(kind: type[enum.Enum]) -> Callable[[Any], enum.Enum]:
    return lambda known: kind[known] if isinstance(known, str) else kind(*known)


def _fields_of(names: list[str]) -> Callable[[Any], dict[str, Any]]:
    def encode(value: Any) -> dict[str, Any]:
        if more := [name for name in getattr(value, "__dict__", ()) if name not in names]:
            msg = f"attributes that are no fields: {more}"
            raise ValueError(msg)
        return {name: getattr(value, name) for name in names}

    return encode


def _with_fields(kind: type[Any], names: list[str]) -> Callable[[Any], Any]:
    def decode(fields: dict[str, Any]) -> Any:
        if set(fields) != set(names):
            msg = f"the fields are {names} now"
            raise ValueError(msg)
        value = object.__new__(kind)
        for name in names:
            object.__setattr__(value, name, fields[name])
        return value

    return decode
