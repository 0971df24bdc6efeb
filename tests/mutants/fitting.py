"""Run the tests that may notice the fault in a copy of the checkout.

    python -m tests.mutants.fitting FOLDER

Called in the copy. The folder has the checkout without a fault, as `original`, and what `noting`
has put down of it. It ends with the first red test, or with 0 if there is none.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from .choice import Notes, changed_lines, chosen_for

if TYPE_CHECKING:
    from collections.abc import Iterable

ENVIRONMENT = {"TUKIO_PROFILE": "less", "TUKIO_BACKENDS": "asyncio,trio"}
"""With which the tests are run, when they are noted, too."""

AT_FIRST = (20, 400)
"""How many tests are tried, and how many after them; then all others.

Before a test runs, all the files of those that are tried with it are imported.
"""

NO_TEST_HANGS = ("-o", "faulthandler_timeout=30", "-o", "faulthandler_exit_on_timeout=true")
"""A fault that makes a test wait for ever is noticed within these seconds."""

GREEN, RED, NONE_RAN = 0, 1, 5
"""What pytest ends with: it ends with the last one if it was to run tests that are not there."""

NO_PYTHON = "what was drawn is no Python"
"""What is printed in place of all else then: it counts neither as noticed nor as a survivor."""


def changed(original: Path) -> Path:
    """Return the module that holds the fault, as a path in a checkout.

    Raises:
        LookupError: No module does.
    """
    for path in sorted(Path("src", "tukio").rglob("*.py")):
        if path.read_bytes() != (original / path).read_bytes():
            return path
    msg = f"{Path.cwd()} is as {original}: there is no fault"
    raise LookupError(msg)


def tried(tests: list[str]) -> int:
    """Run tests up to the first red one; return what pytest ends with.

    Processes that are left when it ends are killed: a test may end before one that it has started.
    """
    only = Path("only")
    only.write_text("\n".join(tests))
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *NO_TEST_HANGS]
    with subprocess.Popen(
        [*command, "-p", "tests.mutants.only", f"--only={only}", *files],
        env=os.environ | ENVIRONMENT,
        start_new_session=True,
    ) as process:
        code = process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return GREEN if code == NONE_RAN else code


def batches(tests: Iterable[str]) -> list[list[str]]:
    """Divide tests into what is tried at once."""
    rest = iter(tests)
    parts = [list(islice(rest, size)) for size in AT_FIRST]
    return [part for part in (*parts, list(rest)) if part]


def main() -> int:
    """Run the tests that execute the changed lines."""
    folder = Path(sys.argv[1])
    module = changed(folder / "original")
    try:
        compile(module.read_text(), module, "exec")
    except SyntaxError:
        sys.stdout.write(f"{NO_PYTHON}\n")
        return RED
    original = folder / "original" / module
    lines = changed_lines(original.read_text(), module.read_text())
    codes = map(tried, batches(chosen_for(Notes(folder), original, lines)))
    return next((code for code in codes if code != GREEN), GREEN)


if __name__ == "__main__":
    sys.exit(main())
