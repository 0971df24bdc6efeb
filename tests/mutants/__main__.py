"""Apply each fault to a copy of the package, and see whether its tests turn red.

    python -m tests.mutants [WORD ...]    only the mutants that have all these words in their names

The package itself is never changed. It fails if a mutant survives or cannot be applied, and before
that if the tests are not green without any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .mutant import Mutant

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "tukio"

AT_ONCE = 2
"""How many mutants are tried at once."""

LIMIT = 120
"""Seconds after which tests count as red: a mutant may wait for ever."""

GREEN, RED = 0, 1
"""What pytest ends with; anything else says that the tests did not run."""


class Unsound(Exception):
    """The list, or the tests without a mutant, are not as they should be."""


def mutated(mutant: Mutant) -> str:
    """Return the text of the module that a mutant is in, with its fault.

    Raises:
        Unsound: What it replaces is not there exactly once.
    """
    text = (PACKAGE / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        msg = (
            f"{mutant.name}: its text is in {mutant.file} {text.count(mutant.old)} times, not once"
        )
        raise Unsound(msg)
    return text.replace(mutant.old, mutant.new)


def tested(tests: Iterable[str], mutant: Mutant | None) -> tuple[int, str]:
    """Run tests against a copy of the package; return what pytest ended with, and its last line.

    Args:
        tests: The files, below `tests`.
        mutant: The fault to apply; None for none.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        shutil.copytree(PACKAGE, Path(folder, "tukio"), ignore=shutil.ignore_patterns("*.pyc"))
        if mutant is not None:
            Path(folder, "tukio", mutant.file).write_text(mutated(mutant))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        own = {"PYTHONPATH": folder, "TUKIO_PROFILE": "mutants"}
        # What is found is not to be tried first when the tests are run for themselves.
        own["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{folder}/hypothesis"
        try:
            done = subprocess.run(
                [*command, *(f"tests/{test}" for test in tests)],
                cwd=ROOT,
                env=os.environ | own,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return RED, f"not over after {LIMIT} s"
    lines = (done.stdout + done.stderr).strip().splitlines()
    ended = f"pytest ended with {done.returncode}, without a word"
    shown = [line for line in lines if line.startswith("FAILED ")] or lines[-1:] or [ended]
    return done.returncode, shown[0].removeprefix("FAILED tests/").split(" - ")[0]


def verdict(mutant: Mutant) -> str | None:
    """Try a mutant, and print what became of it; return what is wrong, None if it was killed."""
    start = time.monotonic()
    code, line = tested(mutant.tests, mutant)
    fate = {GREEN: "SURVIVED", RED: "killed"}.get(code, f"pytest ended with {code}")
    print(
        f"{fate:9} {time.monotonic() - start:5.1f} s  {mutant.name}\n{'':19}by {line}", flush=True
    )
    return None if code == RED else f"{fate}: {mutant.name} - {mutant.why}"


def main(words: list[str]) -> int:
    """Try the mutants; return what the process ends with."""
    mutants = [mutant for mutant in MUTANTS if all(word in mutant.name for word in words)]
    for mutant in mutants:
        mutated(mutant)
    files = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for code, line in pool.map(lambda file: tested([file], None), files):
            if code != GREEN:
                msg = f"the tests are not green without a mutant: {line}"
                raise Unsound(msg)
        wrong = [problem for problem in pool.map(verdict, mutants) if problem is not None]
    print(f"\n{len(mutants) - len(wrong)} of {len(mutants)} mutants killed", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
