"""Run only the tests whose ids a file lists, in its order: a plugin of pytest.

    python -m pytest -p tests.mutants.only --only=FILE tests/model/test_dag.py ...

A test that a fault has given another id is left out. pytest collects whole files, whatever is
chosen from them: so the files are named as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file with the ids, one a line."""
    parser.addoption("--only", type=Path, required=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose, and put in order."""
    listed = config.getoption("only").read_text().splitlines()
    place = {name: number for number, name in enumerate(listed)}
    chosen = [item for item in items if item.nodeid in place]
    items[:] = sorted(chosen, key=lambda item: place[item.nodeid])
