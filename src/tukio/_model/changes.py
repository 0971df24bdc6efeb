"""Changes of a template, as those notice them who keep a copy of it.

Owns:   the fields of templates whose values can be changed in place, and the state of objects with
        slots.

A list of topics or a config can be changed by anybody who was handed it, without a word. So it is
noted who was: as long as nobody was, nothing has to be compared.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")

PLAIN = frozenset({str, int, float, bool, type(None)})
"""The most frequent types of values that nobody can change."""


class Changeable:
    """An object with fields whose values can be changed in place.

    Attributes:
        DATA: The slots that have the values of such fields.
        is_exposed: Whether somebody may hold such a value. Never set back once it is true, but for
            an object that was just made of data of its own.
    """

    __slots__ = ("is_exposed",)

    DATA: ClassVar[tuple[str, ...]] = ()

    is_exposed: bool

    def hand_out(self, value: Any) -> Any:
        """Return the value of such a field for a user, who may change it."""
        if not self.is_exposed and type(value) not in PLAIN:
            object.__setattr__(self, "is_exposed", True)
            self.note_change("")
        return value

    def take(self, slot: str, value: Any) -> None:
        """Set the value of such a field to one that a user may hold."""
        object.__setattr__(self, slot, value)
        if type(value) not in PLAIN:
            object.__setattr__(self, "is_exposed", True)
        self.note_change(slot)

    def note_change(self, name: str) -> None:
        """Called when a field may have changed: copies of the object may be out of date."""
        raise NotImplementedError


class Data(Generic[T]):
    """A field whose value can be changed in place; kept in a slot of its own."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._slot: str = f"_{name}"

    @overload
    def __get__(self, thing: None, owner: type) -> Self: ...

    @overload
    def __get__(self, thing: Changeable, owner: type) -> T: ...

    def __get__(self, thing: Changeable | None, owner: type) -> T | Self:
        if thing is None:
            return self
        return cast("T", thing.hand_out(getattr(thing, self._slot)))

    def __set__(self, thing: Changeable, value: T) -> None:
        thing.take(self._slot, value)


def own(value: Any) -> Any:
    """Return a deep copy of a value; the value itself if it cannot be copied."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if not value and (kind is dict or kind is list):
        # A shortcut for what most values are.
        return kind()
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001 - templates that were not validated may have any data
        return value


def state_without(thing: Any, *names: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the state of an object with slots, as `copy` and `pickle` take it.

    Args:
        thing: The object.
        names: The slots that are left out.
    """
    state: Any = object.__getstate__(thing)
    attributes, slots = state  # a pair, because there are slots
    return attributes, {name: value for name, value in slots.items() if name not in names}


def set_state(thing: Any, state: tuple[dict[str, Any] | None, dict[str, Any]]) -> None:
    """Give a new object the state of another one; the values are shared."""
    attributes, slots = state
    for name, value in {**(attributes or {}), **slots}.items():
        object.__setattr__(thing, name, value)


def exact(text: Any) -> Any:
    """Return a text of a user's subclass of `str`, such as an enum, as a plain text.

    Any other object is returned as it is.
    """
    return str.__str__(text) if isinstance(text, str) else text
