"""How the package logs: by one module, in constant messages, with nothing shown by its `repr`."""

from __future__ import annotations

import ast

import pytest

from support.log_calls import CALLS, METHODS, SOURCES


@pytest.mark.parametrize("module", SOURCES)
def test_only_one_module_imports_logging(module: str) -> None:
    """All others log through it."""
    found: set[str | None] = set()
    for node in ast.walk(SOURCES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    assert "logging" not in found


def test_each_message_is_a_constant_on_one_line() -> None:
    """What varies is an argument, and so goes through `logged`; none is shown by its `repr`."""
    assert len(CALLS) > 10
    for module, call in CALLS:
        assert isinstance(call.func, ast.Attribute)
        assert call.func.attr in METHODS, module
        [message, *_] = call.args
        assert isinstance(message, ast.Constant), (module, ast.unparse(call))
        assert isinstance(message.value, str)
        assert message.value.isprintable()
        assert "%r" not in message.value
        assert {keyword.arg for keyword in call.keywords} <= {"exc_info", "extra", "stack"}


def test_each_logger_of_the_package_is_a_log() -> None:
    """Whoever logs in a module has it under the name that the search looks for."""
    using = {module for module, _ in CALLS}
    made = {
        module
        for module, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Log"
    }
    assert using == made
