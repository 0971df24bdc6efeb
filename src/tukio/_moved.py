"""Old spellings, kept for one release: names and modules that 2.0.0a1 had elsewhere.

Using an old spelling gives a `DeprecationWarning` with the new one. So old pickles still load.
"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Any, Final

from . import broker, dag, errors
from ._engine import refusal
from ._events import queue, stream
from ._model import (
    policy,
    registry,
    report_json,
    selector,
    size_limits,
    state,
    task_template,
    template,
)
from ._run import current, task_run

NAMES: Final[dict[str, ModuleType]] = {
    "Broker": broker,
    "TopicManager": broker,
    "DAG": dag,
    "CleanupTimedOut": errors,
    "DAGValidationError": errors,
    "Fault": errors,
    "IllegalMove": errors,
    "InvalidResult": errors,
    "RecordedError": errors,
    "TemplateGraphError": errors,
    "WorkflowRootTaskError": errors,
}
"""Name that `tukio` itself had -> the module that has it now."""

MODULES: Final[dict[str, tuple[ModuleType, ...]]] = {
    "tukio.bounds": (size_limits,),
    "tukio.encoding": (report_json,),
    "tukio.policy": (policy,),
    "tukio.refusal": (refusal,),
    "tukio.registry": (registry,),
    "tukio.selector": (selector,),
    "tukio.state": (state,),
    "tukio.stream": (stream,),
    "tukio.template": (template, task_template),
    "tukio.task.current": (current,),
    "tukio.task.inbox": (queue,),
    "tukio.task.run": (task_run,),
}
"""Name of a module that was removed -> the modules that have its names now."""


def find_moved(name: str) -> Any:
    """Return the object that `tukio` had under a name, with a warning.

    Raises:
        AttributeError: `tukio` never had that name.
    """
    module = NAMES.get(name)
    if module is None:
        old = sys.modules.get(f"tukio.{name}")
        if isinstance(old, _OldModule):
            return old
        msg = f"module 'tukio' has no attribute {name!r}"
        raise AttributeError(msg)
    _warn(f"tukio.{name}", f"{module.__name__}.{name}", stacklevel=3)
    return getattr(module, name)


def install_old_modules() -> None:
    """Make the removed modules importable."""
    for name in MODULES:
        sys.modules.setdefault(name, _OldModule(name))


class _OldModule(ModuleType):
    """Stands for a module that was removed."""

    def __getattr__(self, name: str) -> Any:
        # Without a warning for names like `__file__`, which tools ask every module for.
        modules = () if name.startswith("__") else MODULES[self.__name__]
        for module in modules:
            if name in vars(module):
                thing = vars(module)[name]
                public = getattr(thing, "__module__", module.__name__)
                _warn(f"{self.__name__}.{name}", f"{public}.{name}", stacklevel=3)
                return thing
        msg = f"module {self.__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def _warn(old: str, new: str, *, stacklevel: int) -> None:
    where = "no public name any more" if "._" in new else f"now {new}"
    msg = f"{old} is {where}; the old spelling goes with the next release"
    warnings.warn(msg, DeprecationWarning, stacklevel=stacklevel)
