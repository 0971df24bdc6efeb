"""What the README shows is what happens, and what `help(tukio)` shows."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tukio

README = Path(__file__).parent.parent / "README.md"

EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""A program, and right below it what it prints."""

EXAMPLES: list[tuple[str, str]] = EXAMPLE.findall(README.read_text())


def test_each_program_shows_what_it_prints() -> None:
    """None is left out by the test below."""
    assert README.read_text().count("```python") == len(EXAMPLES) == 2


@pytest.mark.parametrize("library", ["asyncio", "trio"])
@pytest.mark.parametrize(("program", "output"), EXAMPLES, ids=["hello", "workflow"])
def test_an_example_prints_what_is_shown(program: str, output: str, library: str) -> None:
    """On both libraries that it names."""
    assert program.count('backend="asyncio"') == 1
    assert printed(program.replace('backend="asyncio"', f'backend="{library}"')) == output


def test_the_help_opens_with_a_program() -> None:
    """It prints what is said beside the line that prints."""
    assert tukio.__doc__ is not None
    indented = re.findall(r"^(?: {4}.*\n|\n)+", tukio.__doc__, re.MULTILINE)
    program = textwrap.dedent(max(indented, key=len))
    assert program.strip().startswith("import anyio\nimport tukio\n")
    [shown] = re.findall(r"print\(run\.output\)  # (.*)", program)
    assert printed(program) == f"{shown}\n"


def printed(program: str) -> str:
    """Run a program, and return what it prints; it must not complain."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    return result.stdout
