"""Values and names as messages show them: short, on one line, and without ever failing.

The values may be any data that was sent: a text of a megabyte, a number that Python refuses to
write out, a list in a list in a list.
"""

from __future__ import annotations

import reprlib
from difflib import get_close_matches
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, cast

from .changes import exact
from .guard import attempt

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST_LOGGED = 200
"""The largest number of characters of an id, a topic or a name in a line of the log."""

MOST_LOGGED = 5
"""The largest number of topics in a line of the log."""

MOST_NAMES = 12
"""The largest number of names that a message lists."""

MOST_CHARACTERS = 100
"""The largest number of characters of a value that a message shows."""

MOST_COMPARED = 200
"""The largest number of known names that are compared with an unknown one."""

LONGEST_COMPARED = 32
"""The length of the longest names that are compared: the time grows with its square."""

LONGEST_TEXT = 2_000
"""The largest number of characters of the text of an error that is kept."""

LONG_NUMBER = 300
"""The number of bits from which on an integer is not written out."""


class _Short(reprlib.Repr):
    """The `repr` of any object, shortened in the middle, and not deeper than a few levels."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = MOST_CHARACTERS

    def repr_int(self, x: int, level: int) -> str:
        """Return the digits of an integer, or only its length if it is long."""
        del level
        return repr(x) if x.bit_length() <= LONG_NUMBER else f"<int of {x.bit_length()} bits>"


_short = _Short()


def shown(value: object) -> str:
    """Return the `repr` of a value, shortened if it is long or deep."""
    text, problem = attempt(_short.repr, value)
    return kind_of(value) if problem is not None else escaped(text)


def escaped(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return a text on one line: cut if it is long, and without what a terminal would obey.

    Args:
        text: The text; of any kind of `str`.
        most: The largest number of characters to return.
    """
    # Of a subclass, every method may be the user's. One more than fits, to see whether it is cut.
    text = str.__getitem__(text, slice(most + 1))
    if not text.isprintable():
        text = "".join(
            one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
        )
    return text if len(text) <= most else f"{text[: most - 3]}..."


def kind_of(value: object) -> str:
    """Return the name of the class of a value, and nothing of the value itself."""
    try:
        return escaped(f"<a {type(value).__name__}>")
    except Exception:  # noqa: BLE001 - its metaclass may be the user's, too
        return "<an object>"


def logged(value: object) -> str | int | float | None:
    """Return a value as a line of the log shows it: escaped, short, and without any data.

    All that the package logs goes through this. Texts are ids, topics and names. Of numbers, None
    and texts the value is shown, of a function its name, and of anything else its class: its
    `repr` may show an event.
    """
    # Not `isinstance`, which asks the value for its class.
    kind = type(value)
    if value is None or kind is float or kind is bool:
        return cast("float | None", value)
    if issubclass(kind, str):
        return escaped(cast("str", value), LONGEST_LOGGED)
    if kind is int:
        number = cast("int", value)
        return number if number.bit_length() <= LONG_NUMBER else shown(number)
    if kind is tuple:
        few = cast("tuple[object, ...]", value)[:MOST_LOGGED]
        # What is deeper than topics is no topic.
        texts = [kind_of(one) if type(one) is tuple else str(logged(one)) for one in few]
        return escaped(", ".join(texts), LONGEST_LOGGED)
    return _name_of(value)


def _name_of(value: Any) -> str:
    """Return the name of a function, or of the class of anything else."""
    depth = MOST_LOGGED
    while issubclass(type(value), partial) and depth:
        # Its arguments are data; and it may be a part of itself.
        value, depth = partial.func.__get__(value), depth - 1
    if type(value) is MethodType:
        value = value.__func__
    if type(value) in {FunctionType, BuiltinFunctionType}:
        return escaped(f"{value.__module__}.{value.__qualname__}", LONGEST_LOGGED)
    return kind_of(value)


def plain(name: object) -> str:
    """Return a name as it is, if it is short and printable; otherwise its `repr`, shortened."""
    is_plain = isinstance(name, str) and len(name) <= MOST_CHARACTERS and name.isprintable()
    return str(name) if is_plain else shown(name)


def listed(names: Collection[object]) -> str:
    """Return the first of some names, and the number of names if these are not all."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return ", ".join(map(plain, islice(names, MOST_NAMES))) + more


def nearest(name: object, known: Collection[str], question: str = "") -> str:
    """Return advice on a name that is not among the known ones.

    Args:
        name: The name that was asked for.
        known: The names that exist.
        question: What may be amiss if none of them is near; added to their list.

    Returns:
        A question with the nearest known name, or a list of the known names.
    """
    word = plain(name)
    if len(word) <= LONGEST_COMPARED:
        some = islice((other for other in known if len(other) <= LONGEST_COMPARED), MOST_COMPARED)
        if near := get_close_matches(word, list(some), n=1):
            return f"did you mean {near[0]!r}?"
    advice = f"known: {listed(known)}" if known else "none is known yet"
    return f"{advice}; {question}" if question else advice


def bounded(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return a text, without its middle if it is longer than a limit."""
    if len(text) <= limit:
        return text
    gap = f" ... ({len(text):,} characters) ... "
    tail = limit // 4
    return f"{text[: max(limit - tail - len(gap), 0)]}{gap}{text[-tail:]}"


def name_of(error: BaseException) -> str:
    """Return the name of the type of an error."""
    # Not `type(error).__qualname__`, which a metaclass may have redefined.
    return bounded(exact(_QUALNAME(type(error))), MOST_CHARACTERS)


def text_of(error: BaseException) -> str:
    """Return the text of an error, shortened if it is long.

    Raises:
        KeyboardInterrupt, SystemExit: Raised meanwhile. Anything else that its `__str__` raises
            only leads to another text.
    """
    text, problem = attempt(str, error)
    if problem is not None:
        text = f"<a {name_of(error)} that cannot be shown>"
    return bounded(exact(text))


_QUALNAME: Any = vars(type)["__qualname__"].__get__


def escaped_id(uid: str) -> str:
    """Return an id as a part of a key, of which `/`, `[` and `%` tell the parts apart."""
    return uid.replace("%", "%25").replace("/", "%2F").replace("[", "%5B")
