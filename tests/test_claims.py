"""What the pages claim of the package is so: versions, limits, names, figures.

Each claim is read from the page, and compared with where it comes from.
"""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from tukio._events import queue, stream
from tukio._model import not_started, size_limits
from tukio._model.display import LONGEST_LOGGED
from tukio._model.findings import MOST_FAULTS
from tukio._model.keys import TASK_KEYS, WORKFLOW_KEYS
from tukio._model.state import TaskExecState, WorkflowExecState

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOURCE = Path(tukio.__file__).parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SECURITY = (ROOT / "SECURITY.md").read_text()
CHOICE, COMPATIBILITY, SUPPORT = (
    (ROOT / "docs" / f"{name}.md").read_text() for name in ("choice", "compatibility", "support")
)


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row of the tables of a page, without those that head a table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


def row(text: str, first: str) -> list[str]:
    """Return the further cells of the row that begins with a cell."""
    [found] = [cells for cells in rows(text) if cells[0] == first]
    return found[1:]


def code(text: str) -> set[str]:
    """Return what a text shows as code."""
    return set(re.findall(r"`([^`]+)`", text))


# Versions -----------------------------------------------------------------------------------------


PYTHON = "Programming Language :: Python :: "


def classified(under: str) -> list[str]:
    """Return what the classifiers say below one of them."""
    found: list[str] = PROJECT["classifiers"]
    return [each.removeprefix(under) for each in found if each.startswith(under)]


def test_the_pythons_of_the_classifiers_are_those_that_are_tested() -> None:
    """The oldest of them is the oldest that pip lets have it."""
    tested = [cells[0] for cells in rows(SUPPORT) if re.fullmatch(r"3\.\d+", cells[0])]
    assert tested == re.findall(r"^3\.\d+$", "\n".join(classified(PYTHON)), re.MULTILINE)
    assert {row(SUPPORT, python)[0] for python in tested} == {"yes"}
    assert PROJECT["requires-python"] == f">={tested[0]}"
    assert classified(f"{PYTHON}Implementation :: ") == ["CPython"]


def test_the_systems_of_the_classifiers_are_those_that_are_tested() -> None:
    """Whoever adds one runs the tests there."""
    systems = {name: row(SUPPORT, name)[0] for name in ("Linux", "macOS", "Windows")}
    tested = [name for name, answer in systems.items() if answer.startswith("yes")]
    assert [each.split(" :: ")[-1] for each in classified("Operating System :: ")] == tested


def floors() -> dict[str, str]:
    """Return the lowest version of each package that is asked for."""
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *(one for extra in extras.values() for one in extra)]
    found = [re.match(r"(\w+)>=([\d.]+)", each) for each in asked]
    return {one[1]: one[2] for one in found if one is not None}


@pytest.mark.parametrize(
    ("backend", "package"),
    [
        ("asyncio, through anyio", "anyio"),
        ("uvloop, on asyncio", "uvloop"),
        ("trio", "trio"),
    ],
)
def test_the_lowest_versions_are_those_that_pip_asks_for(backend: str, package: str) -> None:
    """And the newest is not below."""
    lowest, newest, _ = row(SUPPORT, backend)
    assert lowest == f"{package} {floors()[package]}"
    assert newest.startswith(f"{package} ")
    numbers = [[int(part) for part in re.findall(r"\d+", each)] for each in (lowest, newest)]
    assert numbers == sorted(numbers)


def test_what_tests_of_users_need_is_what_pip_asks_for() -> None:
    """In the extra `testing`."""
    assert f"pytest {floors()['pytest']} or newer" in SUPPORT
    assert f"hypothesis {floors()['hypothesis']} or newer" in SUPPORT


def test_the_pages_name_the_version_that_is_here() -> None:
    """A release that forgets them would promise what it has not looked at."""
    assert f"What is here now is {PROJECT['version']}" in COMPATIBILITY
    assert row(CHOICE, "**tukio**")[0] == PROJECT["version"]


# What stays ---------------------------------------------------------------------------------------


def test_every_module_with_public_names_is_listed() -> None:
    """Those at the top of the package that have an `__all__`."""
    modules = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py."))}
    known = {f"tukio.{name}" for name in modules}
    assert {name for name in known if hasattr(importlib.import_module(name), "__all__")} == known
    listed = code(row(COMPATIBILITY, "names")[0])
    assert listed == known | {"tukio", "__all__"}


def test_every_key_of_a_template_is_listed() -> None:
    """Those of a workflow, and those of a task."""
    of_workflow, of_task = row(COMPATIBILITY, "keys of templates")[0].split("; ")[:2]
    assert code(of_workflow) == WORKFLOW_KEYS
    assert code(of_task) == TASK_KEYS


def test_every_type_of_event_is_listed() -> None:
    """In the order in which the engine has them."""
    listed = re.findall(r"`((?:workflow|task)-\w+)`", row(COMPATIBILITY, "events")[0])
    assert listed == [*WorkflowExecState.values(), *TaskExecState.values()]


def logged() -> tuple[set[str], set[str]]:
    """Return the loggers in the source, and the fields that are handed to them."""
    logging = [path for path in SOURCE.rglob("*.py") if "testing" not in path.parts]
    text = "\n".join(path.read_text() for path in logging)
    loggers = set(re.findall(r'\bLog\("([^"]+)"\)', text))
    return loggers, set(re.findall(r'"(tukio_(?:run|template|task)\w*)"', text))


def test_every_logger_and_field_is_listed() -> None:
    """People filter by them."""
    loggers, fields = logged()
    assert code(row(COMPATIBILITY, "logs")[0]) == loggers | fields


# What is trusted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claim",
    [
        f"{size_limits.MOST_TASKS:,} tasks",
        f"{size_limits.MOST_EDGES:,} links",
        f"{size_limits.MOST_VALUES:,} values",
        f"nested {size_limits.DEEPEST} levels deep",
        f"at most {not_started.LONGEST_ID} characters",
        f"cut to {LONGEST_LOGGED} characters",
        f"holds {queue.INBOX_SIZE:,} events, a stream {stream.BUFFER:,}",
    ],
)
def test_a_limit_is_what_the_page_says(claim: str) -> None:
    """It is a number of the source."""
    assert claim in " ".join(SECURITY.split())


def test_of_faults_the_first_hundred_are_reported() -> None:
    """In words on the page."""
    assert MOST_FAULTS == 100
    assert "of very many faults the first hundred are reported" in " ".join(SECURITY.split())


REACHES_OUT = {
    *("ctypes", "ftplib", "http", "io", "marshal", "mmap", "multiprocessing", "pickle", "runpy"),
    *("shelve", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "urllib"),
}
CALLS_OUT = {"__import__", "compile", "eval", "exec", "open"}
OF_THE_SYSTEM = {"register_at_fork"}
"""What is used of `os`: a process that is forked forgets what only its parent has."""


OF_PROCESSES = {f"flow/{name}.py" for name in ("process_calls", "processes", "worker")}
"""The modules for tasks with `process=True`."""


def nodes() -> Iterator[ast.AST]:
    """Yield all that is in the package, but for the tools for tests, and for tasks in processes."""
    for path in SOURCE.rglob("*.py"):
        place = path.relative_to(SOURCE)
        if "testing" not in place.parts and place.as_posix() not in OF_PROCESSES:
            yield from ast.walk(ast.parse(path.read_text()))


def test_nothing_of_the_package_reaches_out_of_the_process() -> None:
    """No file, no port, no other process, no pickle is read, and no text is run as code."""
    imported: set[str] = set()
    called: set[str] = set()
    of_the_system: set[str] = set()
    for node in nodes():
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
            assert node.module != "os"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(node.func.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of_the_system |= {node.attr} if node.value.id == "os" else set()
    assert "anyio" in imported
    assert "len" in called
    assert imported & REACHES_OUT == set()
    assert called & CALLS_OUT == set()
    assert of_the_system == OF_THE_SYSTEM


# What it costs ------------------------------------------------------------------------------------


def measured(case: str) -> list[list[str]]:
    """Return the rows of a case in the results of the benchmarks."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    [section] = re.findall(rf"^## {case}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return rows(section)


def peer(name: str, work: str, number: str) -> str:
    """Return how many times as long as tukio another one takes."""
    [found] = [cells for cells in measured("peers") if cells[:4] == [name, "asyncio", work, number]]
    return found[5].partition(" ")[0]


PEERS = ("bare-anyio", "pydantic-graph", "langgraph", "llama-index-workflows", "dbos")


@pytest.mark.parametrize("name", PEERS)
def test_what_others_cost_is_what_was_measured(name: str) -> None:
    """In the run that `RESULTS.md` shows."""
    number = "100" if name == "dbos" else "1,000"
    costs = [peer(name, work, number) for work in ("noop", "pause")]
    assert row(CHOICE, f"{number} at once: {name}") == costs


def figure(case: str, name: str, head: str, **wanted: str) -> str | None:
    """Return the median in a column of a case, on asyncio; None if the row is not there."""
    heads, *others = measured(case)
    wanted |= {"contender": name, "backend": "asyncio"}
    for cells in others:
        row_of = dict(zip(heads, cells, strict=True))
        if wanted.items() <= row_of.items():
            return row_of[head].partition(" ")[0]
    return None


@pytest.mark.parametrize("name", [*PEERS, "prefect"])
def test_what_policies_maps_and_children_cost_elsewhere_is_what_was_measured(name: str) -> None:
    """A cell is empty where a peer has no such thing."""
    number = {"workflows at once": "1" if name == "prefect" else "100"}
    costs = [
        figure("peers-policies", name, "/ tukio", work="retry noop", **number),
        figure("peers-maps", name, "/ tukio", work="map pause", items="100"),
        figure("peers-children", name, "/ tukio", work="child", **number),
    ]
    often = "one at a time" if name == "prefect" else "100 at once"
    assert row(CHOICE, f"{name}, {often}") == [cost or "" for cost in costs]


@pytest.mark.parametrize(
    "name", ["tukio", "bare-anyio", "langgraph", "llama-index-workflows", "dbos"]
)
def test_what_a_workflow_takes_that_waits_is_what_was_measured(name: str) -> None:
    """Of memory, and of tasks of the event loop."""
    words = ("KiB each", "tasks of the loop each")
    found = [
        figure("peers-back-off", name, word, **{"workflows at once": "2,000"}) for word in words
    ]
    assert row(CHOICE, f"one that waits: {name}") == found


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("asyncio", "tukio"),
        ("asyncio", "bare-asyncio"),
        ("trio", "tukio"),
        ("trio", "bare-trio"),
    ],
)
def test_what_it_costs_by_hand_is_what_was_measured(backend: str, name: str) -> None:
    """Where tukio is dearer, too."""
    [found] = [cells for cells in measured("pause") if cells[:3] == [name, backend, "1,000"]]
    ratio = found[4].partition(" ")[0]
    words = " ".join(CHOICE.split())
    [said] = re.findall(r"By hand it can be had for less: (.*?)\. Spread", words)
    of_backend = said.split("; ")[backend == "trio"]
    assert f"tukio takes {ratio}" in of_backend or f"*{name}* {ratio}" in of_backend
