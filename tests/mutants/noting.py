"""Note which lines each test executes, and how long it takes: a plugin of pytest.

    coverage run --rcfile=FOLDER/coveragerc -m pytest -p tests.mutants.noting --noted=FOLDER

coverage.py measures, and calls what it measures by the id of the test. A process that a test
starts is measured, too, under the id of the test, if the installed coverage.py begins by itself in
new processes. What is executed by an import, before the first test, is under no id.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Generator

CONFIGURATION = """
[run]
source_pkgs = tukio
parallel = true
data_file = {folder}/lines
context = ${{PYTEST_CURRENT_TEST}}
"""
"""pytest keeps the id of the running test in that variable, and processes inherit it."""

seconds: dict[str, float] = defaultdict(float)
"""How long each test took, by its id, with its fixtures."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the folder of the notes."""
    parser.addoption("--noted", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes to come be measured."""
    os.environ["COVERAGE_PROCESS_START"] = str(config.getoption("noted") / "coveragerc")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Put down what happens under the id of the test."""
    coverage = Coverage.current()
    assert coverage is not None
    coverage.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        coverage.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the phases of a test."""
    seconds[report.nodeid] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down how long the tests took; the processes of pytest-xdist know only of their own."""
    if not hasattr(session.config, "workerinput"):
        (session.config.getoption("noted") / "seconds.json").write_text(json.dumps(seconds))
