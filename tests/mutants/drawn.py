"""Draw faults at random, by cosmic-ray: `python -m tests.mutants.drawn [DRAWS] [--seed SEED]`.

Owns:   the draw, the copies of the checkout that faults are put into, and the account of survivors.
Knows:  the files of a session of cosmic-ray.

Where the listed mutants ask for what somebody thought of, these ask for the rest. First all tests
are run once, to note which lines each of them executes (`noting`); then each fault is tried with
the tests that execute its lines (`fitting`). The package itself is never changed.

With `--folder` nothing is lost when it is stopped: it goes on from what is there, the notes and
what was drawn.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from random import Random

from .fitting import ENVIRONMENT, NO_PYTHON
from .noting import CONFIGURATION as MEASURED

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("_model", "_loop", "_events", "_step", "_run", "_tasks", "_engine", "_backends")
"""What decides and what runs."""

TESTS = (
    *("model", "loop", "events", "step", "tasks", "run", "engine", "backends", "guarantees"),
    *("compat", "testing", "reference", "test_architecture.py"),
)
"""Those that are told apart by what they execute, below `tests`."""

AT_ONCE = 2
LIMIT = 3600
"""Seconds after which a mutant counts as noticed; a test that waits for ever ends much earlier."""

WITHOUT_MEANING = (
    *("core/ReplaceBinaryOperator_BitOr_%", "core/ReplaceTrueWithFalse"),
    *("core/ReplaceComparisonOperator_Is_Eq", "core/ReplaceComparisonOperator_IsNot_NotEq"),
)
"""Operators that change annotations for the most part, or defaults of fields; and those that change
nothing: what is looked for by `is`, a member or a class, is equal to itself alone."""

CONFIGURATION = """
[cosmic-ray]
module-path = {modules}
timeout = {limit}
excluded-modules = []
test-command = "{python} -m tests.mutants.fitting {folder}"

[cosmic-ray.distributor]
name = "local"
"""


class Unsound(Exception):
    """The tests are not as they should be without a fault."""


def noted(folder: Path) -> None:
    """Copy the checkout, and note which lines each test executes.

    Raises:
        Unsound: A test is red.
    """
    original = folder / "original"
    # With what is compiled: processes that cosmic-ray starts would compile it each time.
    for part in ("src", "tests", "examples", "docs"):
        shutil.copytree(ROOT / part, original / part, dirs_exist_ok=True)
    for part in ("pyproject.toml", "README.md", "noxfile.py"):
        shutil.copy(ROOT / part, original)
    measured = folder / "coveragerc"
    measured.write_text(MEASURED.format(folder=folder))
    coverage = [sys.executable, "-m", "coverage"]
    options = ("-q", "-p", "no:cacheprovider", "-n", str(AT_ONCE), "-p", "tests.mutants.noting")
    tests = [f"tests/{name}" for name in TESTS]
    pytest = ["-m", "pytest", *options, f"--noted={folder}", *tests]
    done = subprocess.run(
        [*coverage, "run", f"--rcfile={measured}", *pytest],
        cwd=original,
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(original / "src")},
        check=False,
    )
    if done.returncode:
        msg = "the tests are not green without a fault"
        raise Unsound(msg)
    subprocess.run([*coverage, "combine", "-q", f"--rcfile={measured}"], cwd=folder, check=True)


def prepared(folder: Path, number: int) -> Path:
    """Copy the original, list all faults there are, and return the file of the session."""
    copy = folder / str(number)
    shutil.copytree(folder / "original", copy)
    modules = [str(copy / "src" / "tukio" / name) for name in FOLDERS]
    configuration = copy / "session.toml"
    configuration.write_text(
        CONFIGURATION.format(modules=modules, limit=LIMIT, python=sys.executable, folder=folder)
    )
    session = copy / "session.sqlite"
    command = [sys.executable, "-m", "cosmic_ray.cli", "init", str(configuration), str(session)]
    subprocess.run(command, check=True, cwd=copy)
    return session


def is_for_checkers(module: str, row: int) -> bool:
    """Return whether a line decides what type checkers alone see."""
    return "TYPE_CHECKING" in lines_of(module)[row - 1]


@cache
def lines_of(module: str) -> list[str]:
    """Return the lines of a module, by its path."""
    return Path(module).read_text().splitlines()


def draw(session: Path, dice: Random, count: int) -> None:
    """Leave so many faults in a session, and remove the others."""
    with closing(sqlite3.connect(session)) as database, database:
        for operator in WITHOUT_MEANING:
            database.execute("DELETE FROM mutation_specs WHERE operator_name LIKE ?", [operator])
        places = database.execute(
            "SELECT job_id, module_path, start_pos_row FROM mutation_specs ORDER BY module_path,"
            " start_pos_row, start_pos_col, operator_name, occurrence"
        ).fetchall()
        jobs = [(job,) for job, module, row in places if not is_for_checkers(module, row)]
        kept = dice.sample(jobs, min(count, len(jobs)))
        database.execute("CREATE TEMP TABLE kept (job_id)")
        database.executemany("INSERT INTO kept VALUES (?)", kept)
        for table in ("mutation_specs", "work_items"):
            database.execute(
                f"DELETE FROM {table} WHERE job_id NOT IN (SELECT job_id FROM kept)"  # noqa: S608
            )


def survivors(session: Path) -> tuple[int, list[str]]:
    """Return how many faults were tried, and those that no test has noticed."""
    with closing(sqlite3.connect(session)) as database:
        results = database.execute(
            "SELECT test_outcome, diff FROM work_results WHERE worker_outcome = 'NORMAL'"
            " AND output NOT LIKE ? ORDER BY rowid",
            [f"{NO_PYTHON}%"],
        ).fetchall()
    return len(results), [diff for outcome, diff in results if outcome == "SURVIVED"]


def sessions_in(folder: Path, draws: int, seed: int) -> list[Path]:
    """Return the sessions in a folder; draw them, if there are none."""
    if not (folder / "lines").exists():
        noted(folder)
    sessions = sorted(folder.glob("*/session.sqlite"))
    if not sessions:
        for number in range(AT_ONCE):
            session = prepared(folder, number)
            draw(session, Random(f"{seed} {number}"), draws // AT_ONCE)
            sessions.append(session)
    return sessions


def begun(session: Path) -> subprocess.Popen[bytes]:
    """Begin to try the faults of a session that were not tried so far."""
    copy = session.parent
    # One that was stopped may have left its fault there.
    shutil.copytree(copy.parent / "original" / "src", copy / "src", dirs_exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "cosmic_ray.cli", "exec", session.with_suffix(".toml"), session],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": f"{copy}/src"},
    )


def tried(session: Path) -> tuple[int, int]:
    """Try what was drawn, print each survivor; return how many were tried, and have survived."""
    process = begun(session)
    printed = 0
    while True:
        is_over = process.poll() is not None
        count, alive = survivors(session)
        for diff in alive[printed:]:
            print(f"{diff}\n", flush=True)
        printed = len(alive)
        if is_over:
            return count, printed
        time.sleep(1)


def main() -> int:
    """Draw, try, and tell which faults have survived; red if more than one in twenty has."""
    parser = argparse.ArgumentParser("tests.mutants.drawn", description=__doc__)
    parser.add_argument("draws", nargs="?", type=int, default=500)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--folder", type=Path, help="where it goes on, or begins; it is kept")
    chosen = parser.parse_args()
    print(f"--seed={chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="drawn-") as temporary:
        folder = (chosen.folder or Path(temporary)).resolve()
        sessions = sessions_in(folder, chosen.draws, chosen.seed)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            counts = list(pool.map(tried, sessions))
    count, alive = (sum(numbers) for numbers in zip(*counts, strict=True))
    print(f"{count - alive} of {count} noticed")
    return 0 if count and alive * 20 <= count else 1


if __name__ == "__main__":
    sys.exit(main())
