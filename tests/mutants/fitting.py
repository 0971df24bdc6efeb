"""Run the tests that are likeliest to notice the fault in a copy of the checkout, then the others.

    python -m tests.mutants.fitting ORIGINAL

Called in the copy. Ends with what pytest ends with; the first red test ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = ("model", "loop", "events", "step", "tasks", "run", "engine", "backends")
OF_ALL = ("guarantees", "compat", "test_architecture.py", "testing/test_everywhere.py")
OF_WHOLE_RUNS = ("reference",)


def changed(original: Path) -> str:
    """Return the folder of the package that holds the fault; empty if there is none."""
    package = Path("src", "tukio")
    for path in sorted(package.rglob("*.py")):
        if path.read_bytes() != (original / path).read_bytes():
            return path.relative_to(package).parts[0]
    return ""


def main() -> int:
    """Run the tests, those of the changed folder first."""
    own = changed(Path(sys.argv[1])).lstrip("_")
    others = [folder for folder in TESTS if folder != own]
    order = [*([own] if own in TESTS else []), *OF_ALL, *others, *OF_WHOLE_RUNS]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    chosen = {"TUKIO_PROFILE": "less", "TUKIO_BACKENDS": "asyncio,trio"}
    return subprocess.run(
        [*command, *(f"tests/{name}" for name in order)], check=False, env=os.environ | chosen
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
