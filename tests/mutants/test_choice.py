"""A fault that is drawn is tried with the tests that execute its lines, the quickest first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from coverage import CoverageData

from .choice import BY_IMPORT, ENOUGH, Notes, changed_lines, chosen_for, lines_around
from .fitting import AT_FIRST, batches
from .noting import CONFIGURATION

ROOT = Path(__file__).parent.parent.parent

MODULE = """\
LIMIT = 3


class Sum:
    start = 0

    @property
    def double(self):
        return (
            2
            * self.start
        )

    def whole(self, values):
        if values:
            return sum(values)
        return 0


def other():
    return LIMIT
"""

STORY = """\
import subprocess
import sys
import time
import tukio

def test_slow():
    time.sleep(0.05)

def test_quick():
    assert tukio.Event({}).data == {}

def test_program():
    program = "import tukio; assert tukio.Event({}).data == {}"
    subprocess.run([sys.executable, "-c", program], check=True)
"""


def noted(folder: Path, executed: dict[str, list[int]], **seconds: float) -> tuple[Notes, Path]:
    """Write notes on `MODULE`; return them, and its file."""
    module = folder / "module.py"
    module.write_text(MODULE)
    data = CoverageData(str(folder / "lines"))
    for test, lines in executed.items():
        data.set_context(test)
        data.add_lines({str(module): lines})
    data.write()
    (folder / "seconds.json").write_text(json.dumps(seconds))
    return Notes(folder), module


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        (MODULE.replace("return 0", "return 1"), [17]),
        (MODULE.replace("    @property\n", ""), [7]),
        (
            MODULE.replace("(\n            2\n            * self.start\n        )", "3"),
            [9, 10, 11, 12],
        ),
        (MODULE.replace("    start = 0\n", "    start = 0\n    end = 1\n"), [6]),
    ],
)
def test_the_lines_of_a_fault_are_those_that_it_changes(after: str, lines: list[int]) -> None:
    """The numbers are those of the module without it."""
    assert list(changed_lines(MODULE, after)) == lines


@pytest.mark.parametrize(
    ("line", "around"),
    [
        (1, [(1, 1), (1, 21)]),
        (5, [(5, 5), (4, 17), (1, 21)]),
        (7, [(7, 8), (7, 12), (4, 17), (1, 21)]),
        (11, [(9, 12), (7, 12), (4, 17), (1, 21)]),
        (15, [(15, 15), (14, 17), (4, 17), (1, 21)]),
    ],
)
def test_a_line_belongs_to_its_statement_and_to_all_around(
    line: int, around: list[tuple[int, int]]
) -> None:
    """Of a statement that holds others, what stands before these."""
    assert [(lines[0], lines[-1]) for lines in lines_around(MODULE, line)] == around


def test_the_tests_of_a_fault_execute_its_statement_and_the_quickest_is_first(
    tmp_path: Path,
) -> None:
    """One that executes another line of the function is not among them."""
    executed = {BY_IMPORT: [1, 4, 5, 7, 14], "first": [9, 10], "quick": [9], "odd": [15, 16]}
    notes, module = noted(tmp_path, executed, first=2, quick=1, odd=0.5)
    assert chosen_for(notes, module, range(11, 12)) == ["quick", "first"]
    assert chosen_for(notes, module, range(12, 16)) == ["odd", "quick", "first"]


def test_what_is_imported_is_tried_with_the_tests_around_it(tmp_path: Path) -> None:
    """Those that execute it again, of the class, of the module, then any; as far as time goes."""
    executed = {BY_IMPORT: [1, 4, 5, 7, 14, 20], "around": [21], "within": [15], "again": [5]}
    times = {"around": 1, "within": 2, "again": 3, "any": ENOUGH - 6, "more": ENOUGH}
    notes, module = noted(tmp_path, executed, **times)
    assert chosen_for(notes, module, range(5, 6)) == ["again", "within", "around", "any"]


def test_a_line_that_no_test_executes_is_tried_with_those_around_it(tmp_path: Path) -> None:
    """It may be one that ends in another process."""
    notes, module = noted(tmp_path, {"near": [15], "far": [21]}, near=2, far=1)
    assert chosen_for(notes, module, range(17, 18)) == ["near", "far"]


def test_a_process_that_only_imports_a_line_does_not_count(tmp_path: Path) -> None:
    """What it executes beyond that does, under the id of the test that has started it."""
    executed = {BY_IMPORT: [1, 20], "near": [16], "test_program (call)": [1, 20, 16]}
    notes, module = noted(tmp_path, executed)
    assert notes.of(module) == {
        1: {BY_IMPORT},
        16: {"near", "test_program"},
        20: {BY_IMPORT},
    }


def test_a_few_tests_are_tried_before_many() -> None:
    """All are, in their order."""
    tests = [str(number) for number in range(sum(AT_FIRST) + 5)]
    tried = batches(tests)
    assert [len(part) for part in tried] == [*AT_FIRST, 5]
    assert [test for part in tried for test in part] == tests
    assert batches(tests[:3]) == [tests[:3]]


def test_what_is_noted_says_which_test_executes_what_and_how_long(tmp_path: Path) -> None:
    """That is, in the processes that it starts, too."""
    (tmp_path / "test_story.py").write_text(STORY)
    (tmp_path / "coveragerc").write_text(CONFIGURATION.format(folder=tmp_path))
    # This test may itself be measured.
    others = {key: value for key, value in os.environ.items() if "COVERAGE" not in key}
    others |= {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTEST_CURRENT_TEST": ""}
    coverage = [sys.executable, "-m", "coverage"]
    measured = f"--rcfile={tmp_path / 'coveragerc'}"
    options = ["-p", "tests.mutants.noting", f"--noted={tmp_path}", "--rootdir=."]
    for command in (
        [*coverage, "run", measured, "-m", "pytest", *options, "test_story.py"],
        [*coverage, "combine", measured],
    ):
        subprocess.run(command, cwd=tmp_path, env=others, check=True)
    notes = Notes(tmp_path)
    executed = notes.of(ROOT / "src" / "tukio" / "_model" / "event.py")
    assert set().union(*executed.values()) == {
        BY_IMPORT,
        "test_story.py::test_quick",
        "test_story.py::test_program",
    }
    assert notes.seconds["test_story.py::test_slow"] > 0.05


def test_only_what_is_listed_is_run_in_its_order(tmp_path: Path) -> None:
    """What is not there is left out."""
    (tmp_path / "test_story.py").write_text(STORY)
    names = [f"test_story.py::test_{name}" for name in ("quick", "lost", "slow")]
    (tmp_path / "only").write_text("\n".join(names))
    options = ["-v", "-p", "tests.mutants.only", "--only=only", "--rootdir=.", "test_story.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    passed = [line.split()[0] for line in done.stdout.splitlines() if " PASSED " in line]
    assert passed == [names[0], names[2]]
