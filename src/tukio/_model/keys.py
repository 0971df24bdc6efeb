"""The keys of a template document: which are ours, and which of the others are likely mistakes.

Owns:   the keys, and how near to one of them another key must be to count as misspelt.

Other keys are data of the user's own. A key that is nearly one of ours is a fault: a limit with
a letter missing in its name would be no limit, and nobody would be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .display import LONGEST_COMPARED, plain
from .errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TASK_KEYS: Final = frozenset(
    {
        "collect",
        "compensate",
        "config",
        "id",
        "idle_timeout",
        "join",
        "map",
        "name",
        "on_error",
        "on_timeout",
        "retry",
        "timeout",
        "topics",
        "workflow",
    }
)
WORKFLOW_KEYS: Final = frozenset(
    {
        "closing_timeout",
        "compensate_on",
        "finally",
        "defaults",
        "graph",
        "id",
        "meta",
        "on_error",
        "policy",
        "schema",
        "tasks",
        "timeout",
        "title",
        "topics",
    }
)

SHORT: Final = 5
"""Of known keys with fewer letters, only two that are swapped count: others are words, too."""


def find_misspelt(path: str, keys: Iterable[object], known: frozenset[str]) -> Iterator[Fault]:
    """Yield a fault for each key that is nearly a known one.

    Args:
        path: What comes before a key in the path of its fault.
        keys: The keys of a document, any objects.
        known: The known keys.
    """
    for key in keys:
        # Most are known; a call for each would cost as much as all the rest.
        near = None if key in known else _meant_by(key, known)
        if near is not None:
            advice = f"did you mean {near!r}? data of your own go into 'meta', or by another key"
            yield Fault(f"{path}{plain(key)}", "unknown key", advice)


def spelt(document: Mapping[str, Any], key: str, known: frozenset[str]) -> str:
    """Return the key by which a document has what a known key is for.

    That is the known key, or a misspelt one if only that is there: then what is under it is read
    all the same, because a fault that is there only until the key is mended is none.

    Args:
        document: The document of a template or a task.
        key: The known key.
        known: All known keys of such a document.
    """
    if key in document:
        return key
    return next((other for other in document if _meant_by(other, known) == key), key)


def _meant_by(key: object, known: frozenset[str]) -> str | None:
    """Return the known key that another one is nearly; None if there is none."""
    if not isinstance(key, str) or key in known or len(key) > LONGEST_COMPARED:
        return None
    return next((one for one in sorted(known) if _resembles(str(key), one)), None)


def _resembles(key: str, known: str) -> bool:
    """Return whether one slip of the fingers turns a known key into another one."""
    if sorted(key) == sorted(known):
        pairs = [place for place in range(len(key)) if key[place] != known[place]]
        return len(pairs) == 2 and pairs[1] == pairs[0] + 1  # noqa: PLR2004 - swapped
    if len(known) < SHORT or abs(len(key) - len(known)) > 1:
        return False
    shorter, longer = sorted((key, known), key=len)
    start = next((n for n, letter in enumerate(shorter) if letter != longer[n]), len(shorter))
    rest = longer[start + 1 :]
    return rest == (shorter[start + 1 :] if len(key) == len(known) else shorter[start:])
