"""Time limits of workflows and tasks: which values are limits, and what follows at a task's limit.

Owns:   the words for `on_timeout` in a task, their meaning, and the faults in time limits.
Source: 1.x, where a task that has reached its limit leads on like any other.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final

from .changes import exact
from .display import nearest, shown
from .errors import Fault
from .findings import type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .task_template import TaskTemplate

LONGEST: Final = sys.float_info.max
"""The longest finite time limit, in seconds; JSON can have integers that are beyond any float."""

CONTINUE: Final = "continue"
FAIL: Final = "fail"
RETRY: Final = "retry"
ON_TIMEOUT: Final = (CONTINUE, FAIL, RETRY)
"""The values of `on_timeout`."""


def fails_at_limit(task: TaskTemplate) -> bool:
    """Return whether a task that has reached its limit has failed."""
    return task.on_timeout in (FAIL, RETRY)


def goes_well_at_limit(task: TaskTemplate) -> bool:
    """Return whether a task that has reached its limit counts as one that went well.

    That is so only where the template says it: 1.x went on in silence.
    """
    return task.on_timeout == CONTINUE


def find_limit_faults(path: str, value: Any) -> Iterator[Fault]:
    """Yield the faults in a time limit.

    Args:
        path: The path of the limit in its document.
        value: The limit, as the document has it.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = f"must be a number of seconds or null, not {type_of(value)} {shown(value)}"
        yield Fault(path, problem, "null or 0 is no limit", TypeError)
    elif not 0 <= value <= LONGEST and value != math.inf:  # NaN is no limit either
        yield Fault(path, f"{shown(value)} is not a time limit", "null or 0 is no limit")


def find_on_timeout_faults(path: str, value: Any) -> Iterator[Fault]:
    """Yield the fault of an `on_timeout` that is not one of the words for it.

    Args:
        path: The path of the key in its document.
        value: What the document has there.
    """
    word = exact(value)
    if word is not None and not (isinstance(word, str) and word in ON_TIMEOUT):
        problem = f"{shown(word)} is not one of {', '.join(ON_TIMEOUT)}"
        yield Fault(path, problem, nearest(word, ON_TIMEOUT))
