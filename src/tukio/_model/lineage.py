"""Which tasks of a template come before others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def ancestors_of(uid: str, parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the ids of all tasks that lead to a task, directly or not; the nearest ones first.

    Args:
        uid: The id of the task.
        parents: The ids of the parents of each task that has any; they may form a cycle.
    """
    found: dict[str, None] = {}
    level = [uid]
    while level:
        level = [one for known in level for one in parents.get(known, ()) if one not in found]
        level = [*dict.fromkeys(level)]
        found.update(dict.fromkeys(level))
    return list(found)
