"""What the calling code runs in: the context variables of the package for that.

Owns:   the variables. Who sets them says what they hold.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

surroundings: ContextVar[tuple[Any, Any]] = ContextVar("tukio_task")
"""The step that the code runs in, and its workflow, in a pair of the step's own.

The workflow stands beside the step, because a step does not refer to its workflow. Set by the
driver, in the context of each step.
"""

serving: ContextVar[tuple[Any, Any]] = ContextVar("tukio_engine")
"""A weak reference to the engine whose block or handler the code runs in, and the pair of the step
that this is in; None without a step.

If the code runs in another step by now, that is further in.
"""
