"""The examples print what they should, as programs of their own.

But for the oldest two, each tells at its top, below a sentence on what it shows, by what command it
is run, and what it prints.
"""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from support.forgetting import forgotten
from tukio.testing.clock import BACKENDS, is_available

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

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
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
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


# What each tells of itself ------------------------------------------------------------------------


def docstring(example: Path) -> str:
    """Return what stands at the top of an example."""
    return ast.get_docstring(ast.parse(example.read_text())) or ""


def told(name: str) -> tuple[list[str], str]:
    """Return the arguments that an example is run with, and what it prints, as it tells itself."""
    _, _, screen = docstring(EXAMPLES / f"{name}.py").partition("\n\n$ python ")
    command, _, output = screen.partition("\n")
    return command.split(), f"{output}\n"


def without_times(output: str) -> str:
    """Return what pytest prints, without how long it took."""
    return re.sub(r"\bin \d+\.\d+s", "in no time", output)


TOLD = sorted(path.stem for path in EXAMPLES.glob("*.py") if "\n$ python " in docstring(path))
TESTS = "test_reminder"
TRIO_ALONE = "nursery"


@pytest.mark.parametrize("name", TOLD)
def test_an_example_prints_what_it_tells(name: str) -> None:
    """In real time, on the backend that it names, by the command that it names."""
    if name in {TESTS, TRIO_ALONE} and not all(map(is_available, BACKENDS)):
        pytest.skip("a backend is not installed")
    arguments, output = told(name)
    assert without_times(run(*arguments)) == without_times(output)


@pytest.mark.parametrize("name", [name for name in TOLD if name not in {TESTS, TRIO_ALONE}])
async def test_an_example_prints_the_same_on_every_backend(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In virtual time; only the last line of the program would be another."""
    with forgotten():
        program = runpy.run_path(str(EXAMPLES / f"{name}.py"))
        await program["main"]()
    assert capsys.readouterr().out == told(name)[1]


def test_the_readme_of_the_examples_lists_them_all() -> None:
    """With the first sentence of each."""
    rows = re.findall(r"^\| \[(.+)\]\((.+)\) \| (.+) \|$", page(), re.MULTILINE)
    assert [name for name, target, _ in rows if name != target] == []
    listed = {name: sentence for name, _, sentence in rows}
    assert set(listed) == {path.name for path in EXAMPLES.glob("*.py")}
    assert {name: listed[name] for name in listed if name.removesuffix(".py") in TOLD} == {
        f"{name}.py": docstring(EXAMPLES / f"{name}.py").partition("\n")[0] for name in TOLD
    }


def page() -> str:
    """Return the page that lists the examples."""
    return (EXAMPLES / "README.md").read_text()
