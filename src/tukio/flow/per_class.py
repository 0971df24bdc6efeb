"""What is known of classes, for as long as each of them exists."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Known = TypeVar("Known")


class PerClass(Generic[Known]):
    """Finds something out about each class once, and forgets it with the class.

    Args:
        find: Returns what is to be known of a class. It must not refer to the class.
    """

    def __init__(self, find: Callable[[Any], Known]) -> None:
        self._find: Final = find
        # By their ids, which is twice as fast as by weak references.
        self._known: dict[int, Known] = {}
        self._classes: dict[int, weakref.ref[type]] = {}

    def __call__(self, kind: type) -> Known:
        """Return what is known of a class."""
        try:
            return self._known[id(kind)]
        except KeyError:
            pass
        key, known = id(kind), self._find(kind)

        def forget(_: object) -> None:
            # Called before the id may be that of another class.
            self._known.pop(key, None)
            self._classes.pop(key, None)

        self._classes[key] = weakref.ref(kind, forget)
        return self._known.setdefault(key, known)
