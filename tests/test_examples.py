"""The examples print what they should, as programs of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tukio.testing.clock import is_available

EXAMPLES = Path(__file__).parent.parent / "examples"

OUTPUT = """\
In task2 (f1): {'initial': 'data'}
In task2 (f2): {'initial': 'data', 'f1': 'data from task2'}
In task1 (f3): {'initial': 'data', 'f1': 'data from task2', 'f2': 'data from task2'}
In task1 (f4): {'initial': 'data', 'f1': 'data from task2', 'f2': 'data from task2'}
In task2 (f5): {'f3': 'data from task1'}
In task1 (f6): {'f4': 'data from task1'}
"""


def run(*arguments: str | Path) -> str:
    """Run Python with every warning an error, and return what it prints; it must not complain."""
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.stderr == ""
    assert result.returncode == 0
    return result.stdout


# The sample leaves its loop open, as it always did; of that Python may complain.
LOOP_LEFT_OPEN = ("-W", "ignore:unclosed:ResourceWarning")


def test_the_sample_of_1_x_runs_as_it_is() -> None:
    """Code written for 1.x: loose mode, a loop of its own, asyncio's current task."""
    assert run(*LOOP_LEFT_OPEN, EXAMPLES / "readme.py") == OUTPUT


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="get_event_loop() makes no loop since Python 3.14"
)
def test_the_sample_of_1_x_runs_on_the_default_loop() -> None:
    """As it was first written: that Python warns of it since 3.12 is the only warning."""
    program = (EXAMPLES / "readme.py").read_text()
    assert program.count("asyncio.new_event_loop()") == 1
    program = program.replace("asyncio.new_event_loop()", "asyncio.get_event_loop()")
    no_loop_yet = ("-W", "ignore:There is no current event loop:DeprecationWarning")
    assert run(*LOOP_LEFT_OPEN, *no_loop_yet, "-c", program) == OUTPUT


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_the_structured_example_prints_the_same_on_every_backend(backend: str) -> None:
    """In declared order, which no backend may change."""
    if not is_available(backend):
        pytest.skip(f"{backend} is not installed")
    assert run(EXAMPLES / "structured.py", "--backend", backend) == OUTPUT
