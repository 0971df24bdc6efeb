"""What is added to a KeyError of a task whose config lacks the key.

Owns:   when a KeyError comes from a config, and what the note on it says.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING

from .._model.display import nearest, shown

if TYPE_CHECKING:
    from .._model.task_template import TaskTemplate


def note_missing_key(error: KeyError, task: TaskTemplate) -> None:
    """Add a note that names the config that lacks the key, and the nearest key that it has.

    The line that raised the error must speak of a config, so that a KeyError of other data is left
    alone.

    Args:
        error: What the task raised.
        task: The template of the task.
    """
    key = error.args[0] if len(error.args) == 1 else None
    config = task._config
    if type(key) is not str or key in config or "config" not in _line_of(error):
        return
    # With keys that are strings of users' own classes, not even a name may be shown.
    keys = [name for name in config if type(name) is str]
    advice = nearest(key, keys) if keys else "it is empty"
    note = f"the config of task {shown(task.uid)} has no key {shown(key)} - {advice}"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _line_of(error: BaseException) -> str:
    """Return the line of source code that raised an error; empty if it is unknown."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
