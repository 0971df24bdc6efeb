"""What type checkers say of code form is what happens.

The checkers themselves look at `tests/typing`: at `right.py`, in which they find nothing, and at
`wrong.py`, in which they find something at each line.
"""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

TYPING = Path(__file__).parents[1] / "typing"
MARK = "  # type: ignore["


def test_what_is_right_can_be_executed() -> None:
    """Every chain and every flow of it."""
    runpy.run_module("tests.typing.right")


def lines() -> list[str]:
    """Return the statements of what is wrong that are no definitions, each with its comment."""
    text = (TYPING / "wrong.py").read_text()
    [*_, last_import] = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    assert last_import.end_lineno is not None
    first = last_import.end_lineno
    all_lines = text.splitlines()
    return [
        all_lines[node.lineno - 1]
        for node in ast.parse(text).body
        if node.lineno > first and isinstance(node, ast.Expr | ast.Assign)
    ]


def test_each_wrong_line_is_said_to_be() -> None:
    """So a line that a checker accepts is a comment that hides nothing, which is an error."""
    assert len(lines()) > 20
    assert [line for line in lines() if MARK not in line] == []
