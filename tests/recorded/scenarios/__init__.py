"""What is played on tukio 1.1.2 and on tukio 2: a name for each scenario, and its function.

A scenario is a coroutine function that is called with a `recorded.stage.Stage`. It uses only what
tukio 1.x has, on Python 3.9 as well, and only what is meant to stay as it was.
"""

from __future__ import annotations

import inspect
from typing import Any

from . import data, ends, engine, joins, pieces, policies, tasks, topics

SCENARIOS: dict[str, Any] = {
    f"{module.__name__.rpartition('.')[2]}_{name}": function
    for module in (data, ends, joins, tasks, topics, policies, engine, pieces)
    for name, function in vars(module).items()
    if inspect.iscoroutinefunction(function)
    and function.__module__ == module.__name__
    and not name.startswith("_")
}
