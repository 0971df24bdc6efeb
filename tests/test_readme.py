"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_the_example_prints_what_is_shown(library: str) -> None:
    """On both libraries that it names."""
    (example,), (output, *_) = blocks("python"), blocks("text")
    program = example.replace('backend="asyncio"', f'backend="{library}"')
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )

    assert result.stderr == ""
    assert result.stdout == output
