"""The plan of the house: folders as layers, backends behind contracts, modules of a fair size.

Of the tests, too: none of their files is too long, and each guarantee is held by one of its own.
"""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tukio

# From the ground up: a module imports only modules of its own folder and of folders on lines above.
# Folders on one line do not import each other. What is only for annotations counts like the rest.
# What is in no folder is a roof: users import from there, and nothing below does.
FOLDERS: tuple[frozenset[str], ...] = (
    frozenset({"_model"}),
    frozenset({"_loop"}),
    frozenset({"_events"}),
    frozenset({"_step"}),
    frozenset({"_run"}),
    frozenset({"_tasks", "_engine", "_backends"}),
    frozenset({"roofs"}),
    frozenset({"testing", "flow"}),
)
HEIGHT = {folder: height for height, line in enumerate(FOLDERS) for folder in line}

# `task.workflow` is a Workflow, and `workflow.tasks` are TaskRuns: for type checkers only.
CIRCLE = {"_run.task_run", "_run.workflow"}

# Which modules import by name, and why.
BY_NAME = {
    "_engine.binding": "the backend in use; others need not even be installed",
    "_run.workflow": "Workflow(template) makes a run of the asyncio kind, as in 1.x",
    "_model.task_template": "TaskTemplate.new_task runs a task by itself, as in 1.x",
    "testing.clock": "the clock of the backend in use",
    "flow.worker": "a process finds a task by the name of its module",
}

# Which modules may import a backend; uvloop is a loop like any other, but for virtual time.
BACKENDS = {
    "asyncio": {
        "_loop.services",
        "_backends.asyncio.backend",
        "_backends.asyncio.factory",
        "_backends.asyncio.from_outside",
        "_backends.asyncio.from_thread",
        "_backends.asyncio.tree",
        "_backends.asyncio.new_task",
        "_backends.asyncio.standalone",
        "_backends.asyncio.task",
        "_backends.asyncio.workflow",
        "testing.loop",
        "testing.timers",
        "testing.order",
        "testing.clock",
        "testing.host",
    },
    "trio": {
        "_backends.trio.backend",
        "_backends.trio.from_thread",
        "_backends.trio.nurseries",
        "_backends.trio.protection",
        "testing.trio",
        "testing.guest",
    },
    "uvloop": {"testing.clock"},
}

# What belongs to an extra, and to which modules.
EXTRAS = {
    "hypothesis": {"testing.strategies"},
    "pytest": {
        "testing.plugin",
        "testing.mark",
        "testing.async_fixtures",
        "testing.outcomes",
        "testing.yielding",
    },
}

MOST_LINES = 350
MOST_LINES_OF_A_CLASS = 300
MOST_STATEMENTS = 30
MOST_LINES_OF_TESTS = 600

ROOT = Path(tukio.__file__).parent
TESTS = Path(__file__).parent


def name_of(path: Path) -> str:
    """Return the name of a module within the package; that of the package itself for the top."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "tukio"


SOURCES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}

every_module = pytest.mark.parametrize("module", SOURCES)


def imported(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """Return what a module imports: full dotted names, relative ones resolved.

    Args:
        source: Its text.
        module: Its name, as in the layers.
        is_package: Whether it is the `__init__` of a package.
    """
    full = ["tukio", *module.split(".")] if module != "tukio" else ["tukio"]
    package = full if is_package else full[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            # `from .task import run` imports a module, `from .errors import X` from one.
            inner = {f"{target}.{alias.name}" for alias in node.names}
            modules = {name for name in inner if name.removeprefix("tukio.") in SOURCES}
            found |= modules
            if inner != modules:
                found.add(target)
    return found


def imports_of(module: str) -> set[str]:
    """Return what a module of the package imports."""
    path = SOURCES[module]
    return imported(path.read_text(), module, is_package=path.name == "__init__.py")


def within(names: set[str]) -> set[str]:
    """Return those of some imported names that are modules of the package, by their short names."""
    return {
        name.removeprefix("tukio.") for name in names if name == "tukio" or name[:6] == "tukio."
    }


def outside(names: set[str]) -> set[str]:
    """Return the top packages of those of some imported names that are not of the package."""
    return {name.split(".")[0] for name in names} - {"tukio"}


# Layers


def folder_of(module: str) -> str:
    """Return the folder that a module is in: its layer."""
    first = module.split(".", maxsplit=1)[0]
    return first if first in HEIGHT else "roofs"


@every_module
def test_every_module_is_in_a_layer(module: str) -> None:
    """Where it stands is decided when it is made: a roof is at a path of 1.x, or is `errors`."""
    old = {"broker", "dag", "engine", "event", "utils", "workflow", "errors", "tukio", "task"}
    old |= {"_moved", "_public"}
    assert folder_of(module) != "roofs" or module.split(".", maxsplit=1)[0] in old


def test_every_folder_exists() -> None:
    """A folder that was removed or moved leaves no name behind."""
    assert {folder_of(module) for module in SOURCES} == HEIGHT.keys()


@every_module
def test_imports_point_downwards(module: str) -> None:
    """What decides never sees what carries out."""
    own = folder_of(module)
    wrong = {
        name
        for name in within(imports_of(module))
        if folder_of(name) != own and HEIGHT[folder_of(name)] >= HEIGHT[own]
    }
    assert wrong == set(), f"{module} must not import {', '.join(sorted(wrong))}"


def test_files_form_no_circle() -> None:
    """But for one of two files, which needs names for annotations only."""
    graph = {
        module: {
            name
            for name in within(imports_of(module)) & SOURCES.keys()
            # A roof that imports a package imports it for its names.
            if name != module and not {name, module} <= CIRCLE
        }
        for module in SOURCES
    }
    graphlib.TopologicalSorter(graph).prepare()


def test_the_one_circle_is_still_needed() -> None:
    """A waiver that nobody needs is taken back."""
    one, other = sorted(CIRCLE)
    assert other in within(imports_of(one))
    assert one in within(imports_of(other))


@every_module
def test_folders_are_no_roofs(module: str) -> None:
    """The `__init__` of a folder with an underscore has a docstring and nothing else."""
    path = SOURCES[module]
    if path.name == "__init__.py" and module.startswith("_"):
        assert [type(node) for node in ast.parse(path.read_text()).body] == [ast.Expr]


@every_module
def test_only_listed_modules_import_by_name(module: str) -> None:
    """Who reads the imports of the others has seen them all."""
    by_name = "importlib" in outside(imports_of(module))
    assert by_name == (module in BY_NAME)


# Backends and other packages


@pytest.mark.parametrize("module", [name for name in SOURCES if folder_of(name) == "_model"])
def test_what_decides_needs_only_the_standard_library(module: str) -> None:
    """It never awaits, and can be tested without a loop."""
    assert outside(imports_of(module)) <= sys.stdlib_module_names - BACKENDS.keys()
    tree = ast.parse(SOURCES[module].read_text())
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not any(isinstance(node, waits) for node in ast.walk(tree))


@every_module
def test_the_package_needs_only_anyio(module: str) -> None:
    """Everything else belongs to an extra."""
    third = outside(imports_of(module)) - sys.stdlib_module_names
    extras = (BACKENDS | EXTRAS).items()
    assert third <= {"anyio"} | {name for name, users in extras if module in users}


@every_module
def test_a_backend_is_imported_only_behind_its_port(module: str) -> None:
    """The rest runs on all of them alike."""
    backends = outside(imports_of(module)) & BACKENDS.keys()
    assert backends <= {name for name, users in BACKENDS.items() if module in users}


def modules_after(script: str) -> set[str]:
    """Return what is loaded after a script, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


TRIO, ASYNCIO = "tukio._backends.trio.backend", "tukio._backends.asyncio.backend"


def test_trio_is_not_imported_unless_it_is_in_use() -> None:
    """It need not even be installed."""
    script = (
        "import anyio, tukio\n"
        "async def main():\n"
        "    async with tukio.Engine(): pass\n"
        "anyio.run(main, backend='asyncio')"
    )
    looked_for = {"trio", "uvloop", TRIO, ASYNCIO, "tukio.testing"}
    assert modules_after(script) & looked_for == {ASYNCIO}


def test_the_means_of_tests_load_nothing_that_is_not_used() -> None:
    """Nor need anything be installed that only some of them are for."""
    script = "from tukio.testing import run, new_loop; new_loop('asyncio').close()"
    looked_for = {"trio", "uvloop", "hypothesis", "pytest", "tukio.testing.clock"}
    assert modules_after(script) & looked_for == {"tukio.testing.clock"}


# Size


@every_module
def test_a_module_fits_in_a_head(module: str) -> None:
    """It is split before it gets longer; so is a class."""
    text = SOURCES[module].read_text()
    lines = len(text.splitlines())
    assert lines <= MOST_LINES, f"{module} has {lines} lines"
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in classes}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES_OF_A_CLASS} == {}


def lengths(source: str) -> dict[str, int]:
    """Return the number of statements in each function of a source, docstring not counted."""
    return {
        f"{node.name}:{node.lineno}": sum(
            isinstance(inner, ast.stmt)
            for statement in node.body[ast.get_docstring(node) is not None :]
            for inner in ast.walk(statement)
        )
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@every_module
def test_a_function_fits_on_a_screen(module: str) -> None:
    """Inner functions count for the outer one, too."""
    found = lengths(SOURCES[module].read_text())
    assert {name: count for name, count in found.items() if count > MOST_STATEMENTS} == {}


# The tests


def test_a_file_of_tests_is_about_one_thing() -> None:
    """It is split before it gets longer; what its parts share is in tests/support."""
    lines = {
        str(path.relative_to(TESTS)): len(path.read_text().splitlines())
        for path in TESTS.rglob("*.py")
    }
    assert {path: count for path, count in lines.items() if count > MOST_LINES_OF_TESTS} == {}


@pytest.mark.parametrize("number", [*range(1, 13), 16])
def test_each_guarantee_has_its_file(number: int) -> None:
    """By its number; its row in the README links to it, and its tests bear the number."""
    [path] = (TESTS / "guarantees").glob(f"test_g{number}_*.py")
    [row] = re.findall(
        rf"^\| G{number} \|.*$", (TESTS.parent / "README.md").read_text(), re.MULTILINE
    )
    assert f"[{path.name}](tests/guarantees/{path.name})" in row
    names = re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    assert names
    assert [name for name in names if not name.startswith(f"test_g{number}_")] == []


# The search itself

SAMPLE = """
from __future__ import annotations
import os.path, tukio.dag
import typing as t
from typing import TYPE_CHECKING
from . import run, EngineError
from .._model import state
from .._model.errors import TukioError
from .run import Run
from tukio.utils import Listen
if TYPE_CHECKING:
    from .. import engine
if t.TYPE_CHECKING:
    import trio
class Late:
    def method(self):
        try:
            import uvloop.loop
        finally:
            from .._model.event import Event
"""


def test_the_search_for_imports_sees_every_form() -> None:
    """Those within functions, too, and those for type checkers."""
    found = imported(SAMPLE, "_run.driver")
    assert found == {
        "__future__",
        "os.path",
        "typing",
        "tukio.dag",
        "tukio._run.run",
        "tukio._run",
        "tukio._model.state",
        "tukio._model.errors",
        "tukio.utils",
        "tukio.engine",
        "trio",
        "uvloop.loop",
        "tukio._model.event",
    }
    assert outside(found) == {"__future__", "os", "typing", "uvloop", "trio"}
    assert within(found) >= {"_run", "_run.run", "dag", "_model.state"}
    package = imported("from .run import Run\nfrom . import driver", "_run", is_package=True)
    assert within(package) == {"_run.run", "_run.driver"}


def test_the_count_of_statements_leaves_out_only_the_docstring() -> None:
    """Each statement within another one counts."""
    source = '''
def short():
    """Say nothing."""
    return 1

async def longer():
    if True:
        def inner():
            "Doc."
            return 2
    return 3
'''
    assert lengths(source) == {"short:2": 1, "longer:6": 5, "inner:8": 1}
