"""The plan of the house: layers, backends behind ports, and modules that fit in a head."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tukio

if TYPE_CHECKING:
    from collections.abc import Iterator

# From the ground up: a module imports only modules of layers above its own in this list. What is
# only for annotations (under `if TYPE_CHECKING:`) does not count, and neither does the import that
# `ports` makes of the one backend in use, by name.
# A new module goes on the lowest line it can; modules on one line do not import each other.

# Values and synchronous rules.
DECIDES: tuple[tuple[str, ...], ...] = (
    ("wording",),
    ("places",),
    ("errors",),
    ("event",),
    ("dag",),
    ("state",),
    ("policy",),
    ("registry",),
    ("bounds",),
    ("faults",),
    ("template",),
    ("selector",),
    ("plan",),
    ("encoding", "refusal"),
    ("report",),
)

# What runs them.
CARRIES_OUT: tuple[tuple[str, ...], ...] = (
    (
        "coroutines",
        "task.inbox",
        "task.parents",
        "task.holder",
        "task.timeout",
        "task.at_rest",
        "task.stack",
        "task.current",
    ),
    ("task.mailbox", "task.snapshot", "task.call", "task.ties"),
    ("task.run",),
    ("task.join",),
    ("ports", "stream", "outcome"),
    ("workers",),
    ("subscription",),
    ("broker", "suspension", "watchdog"),
    ("run",),
    ("driver",),
    ("workflow",),
    ("task.alone",),
    ("task.factory",),
    ("task.task", "ports.loop", "ports.nurseries"),
    ("ports.asyncio", "ports.trio"),
    ("home", "instances"),
    ("engine",),
)

# What users import from.
NAMES: tuple[tuple[str, ...], ...] = (
    ("task.template",),
    ("task",),
    ("utils",),
    ("tukio",),
)

# What stands around the engine: it may use all of it, and nothing of it may use this.
AROUND: tuple[tuple[str, ...], ...] = (
    ("testing.standstill", "testing.order", "testing.registration", "testing.timeline"),
    ("testing.loop", "testing.trio", "testing.recording"),
    ("testing.clock", "testing.actors"),
    ("testing.invariants", "testing.strategies"),
    ("testing.watch", "testing.replaying"),
    ("testing.points", "testing.playing"),
    ("testing.everywhere", "testing.plugin"),
    ("testing",),
)

LAYERS = DECIDES + CARRIES_OUT + NAMES + AROUND
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}

# Which modules may import a backend; uvloop is a loop like any other, but for virtual time.
BACKENDS = {
    "asyncio": {
        "ports.asyncio",
        "ports.loop",
        "task.factory",
        "task.task",
        "testing.loop",
        "testing.order",
        "testing.clock",
    },
    "trio": {"ports.nurseries", "ports.trio", "testing.trio"},
    "uvloop": {"testing.clock"},
}

# What belongs to an extra, and to which modules.
EXTRAS = {
    "hypothesis": {"testing.strategies"},
    "pytest": {"testing.plugin"},
}

MOST_LINES = 400
MOST_STATEMENTS = 30

ROOT = Path(tukio.__file__).parent


def name_of(path: Path) -> str:
    """Return the name of a module within the package; that of the package itself for the top."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "tukio"


SOURCES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}

every_module = pytest.mark.parametrize("module", SOURCES)


def runs(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node of a tree, but for what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield other
                yield from runs(other)
        else:
            yield node
            yield from runs(node)


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
    for node in runs(ast.parse(source)):
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


@every_module
def test_every_module_is_in_a_layer(module: str) -> None:
    """Where it stands is decided when it is made."""
    assert module in HEIGHT, f"{module} is in no layer - add it to LAYERS in this file"


def test_every_layer_is_of_modules_that_exist_and_are_named_once() -> None:
    """A module that was removed or moved leaves no name behind."""
    names = [name for layer in LAYERS for name in layer]
    assert [name for name in names if name not in SOURCES] == []
    assert len(names) == len(set(names))


@every_module
def test_imports_point_downwards(module: str) -> None:
    """What decides never sees what carries out; there is no circle."""
    unknown = len(LAYERS)
    upwards = {
        name
        for name in within(imports_of(module))
        if HEIGHT.get(name, unknown) >= HEIGHT.get(module, unknown)
    }
    assert upwards == set(), f"{module} must not import {', '.join(sorted(upwards))}"


# Backends and other packages


@pytest.mark.parametrize("module", [name for layer in DECIDES for name in layer])
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


def test_trio_is_not_imported_unless_it_is_in_use() -> None:
    """It need not even be installed."""
    script = (
        "import anyio, tukio\n"
        "async def main():\n"
        "    async with tukio.Engine(): pass\n"
        "anyio.run(main, backend='asyncio')"
    )
    looked_for = {"trio", "uvloop", "tukio.ports.trio", "tukio.ports.asyncio", "tukio.testing"}
    assert modules_after(script) & looked_for == {"tukio.ports.asyncio"}


def test_the_means_of_tests_load_nothing_that_is_not_used() -> None:
    """Nor need anything be installed that only some of them are for."""
    script = "from tukio.testing import run, new_loop; new_loop('asyncio').close()"
    looked_for = {"trio", "uvloop", "hypothesis", "pytest", "tukio.testing.clock"}
    assert modules_after(script) & looked_for == {"tukio.testing.clock"}


# Size


@every_module
def test_a_module_fits_in_a_head(module: str) -> None:
    """It is split before it gets longer."""
    lines = len(SOURCES[module].read_text().splitlines())
    assert lines <= MOST_LINES, f"{module} has {lines} lines"


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


# The search itself

SAMPLE = """
from __future__ import annotations
import os.path, tukio.dag
import typing as t
from typing import TYPE_CHECKING
from . import run, EngineError
from .. import state
from ..errors import TukioError
from .run import TaskRun
from tukio.template import Listen
if TYPE_CHECKING:
    from .. import engine
else:
    from .. import policy
if t.TYPE_CHECKING:
    import trio
class Late:
    def method(self):
        try:
            import uvloop.loop
        finally:
            from ..event import Event
"""


def test_the_search_for_imports_sees_every_form() -> None:
    """Those within functions too, and those for type checkers not."""
    found = imported(SAMPLE, "task.join")
    assert found == {
        "__future__",
        "os.path",
        "typing",
        "tukio.dag",
        "tukio.task.run",
        "tukio.task",
        "tukio.state",
        "tukio.errors",
        "tukio.template",
        "tukio.policy",
        "uvloop.loop",
        "tukio.event",
    }
    assert outside(found) == {"__future__", "os", "typing", "uvloop"}
    assert within(found) >= {"task", "task.run", "dag", "policy"}
    package = imported("from .run import TaskRun\nfrom . import join", "task", is_package=True)
    assert within(package) == {"task.run", "task.join"}


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
