"""The calls of loggers in the source of the package."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import tukio

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(tukio.__file__).parent
LOGGERS = {"log", "logger", "logging"}
# The source: all but the module that logs, and the one that reads the log.


def logs_of(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a logger in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            asks = node.func.attr == "tells"
            if isinstance(owner, ast.Name) and owner.id in LOGGERS and not asks:
                yield node


SOURCES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text())
    for path in sorted(ROOT.rglob("*.py"))
    if path not in {ROOT / "_model" / "logs.py", ROOT / "testing" / "faults.py"}
}
CALLS = [(name, call) for name, tree in SOURCES.items() for call in logs_of(tree)]
MESSAGES = {call.args[0].value for _, call in CALLS if isinstance(call.args[0], ast.Constant)}

METHODS = {"debug", "info", "warning", "error", "exception"}
"""The methods by which the package logs."""
