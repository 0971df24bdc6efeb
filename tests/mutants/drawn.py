"""Draw faults at random, by cosmic-ray: `python -m tests.mutants.drawn [DRAWS] [--seed SEED]`.

Owns:   the draw, the copies of the checkout that faults are put into, and the account of survivors.
Knows:  the files of a session of cosmic-ray.

Where the listed mutants ask for what somebody thought of, these ask for the rest. It takes about
ten seconds a draw. The package itself is never changed.
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
from contextlib import closing
from pathlib import Path
from random import Random

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("_model", "_loop", "_events", "_step", "_run", "_tasks", "_engine", "_backends")
"""What decides and what runs."""

AT_ONCE = 2
LIMIT = 600
"""Seconds after which a mutant counts as noticed: it may wait for ever."""

WITHOUT_MEANING = ("core/ReplaceBinaryOperator_BitOr_%", "core/ReplaceTrueWithFalse")
"""Operators that change annotations for the most part, or defaults of fields."""

CONFIGURATION = """
[cosmic-ray]
module-path = {modules}
timeout = {limit}
excluded-modules = []
test-command = "{python} -m tests.mutants.fitting {root}"

[cosmic-ray.distributor]
name = "local"
"""


def prepared(copy: Path) -> Path:
    """Copy the checkout, list all faults there are, and return the file of the session."""
    for part in ("src", "tests", "examples"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "noxfile.py"):
        shutil.copy(ROOT / part, copy)
    modules = [str(copy / "src" / "tukio" / folder) for folder in FOLDERS]
    configuration = copy / "session.toml"
    configuration.write_text(
        CONFIGURATION.format(modules=modules, limit=LIMIT, python=sys.executable, root=ROOT)
    )
    session = copy / "session.sqlite"
    command = [sys.executable, "-m", "cosmic_ray.cli", "init", str(configuration), str(session)]
    subprocess.run(command, check=True, cwd=copy)
    return session


def draw(session: Path, dice: Random, count: int) -> None:
    """Leave so many faults in a session, and remove the others."""
    with closing(sqlite3.connect(session)) as database, database:
        for operator in WITHOUT_MEANING:
            database.execute("DELETE FROM mutation_specs WHERE operator_name LIKE ?", [operator])
        jobs = database.execute("SELECT job_id FROM mutation_specs ORDER BY job_id").fetchall()
        places = database.execute(
            "SELECT job_id FROM mutation_specs ORDER BY module_path, start_pos_row,"
            " start_pos_col, operator_name, occurrence"
        ).fetchall()
        assert len(jobs) == len(places)
        kept = dice.sample(places, min(count, len(places)))
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
        ).fetchall()
    return len(results), [diff for outcome, diff in results if outcome == "SURVIVED"]


def main() -> int:
    """Draw, try, and tell which faults have survived; red if more than one in twenty has."""
    parser = argparse.ArgumentParser("tests.mutants.drawn", description=__doc__)
    parser.add_argument("draws", nargs="?", type=int, default=500)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    chosen = parser.parse_args()
    print(f"--seed={chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="drawn-") as folder:
        sessions: list[Path] = []
        for number in range(AT_ONCE):
            copy = Path(folder, str(number))
            copy.mkdir()
            session = prepared(copy)
            draw(session, Random(f"{chosen.seed} {number}"), chosen.draws // AT_ONCE)
            sessions.append(session)
        command = [sys.executable, "-m", "cosmic_ray.cli", "exec"]
        running = [
            subprocess.Popen(
                [*command, session.with_suffix(".toml"), session],
                cwd=session.parent,
                env=os.environ | {"PYTHONPATH": f"{session.parent}/src"},
            )
            for session in sessions
        ]
        for process in running:
            process.wait()
        found = [survivors(session) for session in sessions]
    tried = sum(count for count, _ in found)
    alive = [diff for _, diffs in found for diff in diffs]
    print(*alive, sep="\n\n")
    print(f"{tried - len(alive)} of {tried} noticed")
    return 0 if tried and len(alive) * 20 <= tried else 1


if __name__ == "__main__":
    sys.exit(main())
