"""What is checked before a change goes in: `python -m nox`, or one session with `-s NAME`.

The Pythons are those of the classifiers in pyproject.toml. One that is not installed is skipped
with a word; `coverage` fails if no Python at all has run the tests.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.version import Version

# What was compiled once is read by the next process: tests start many.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = False
nox.options.sessions = ["lint", "typing", "tests", "lowest", "coverage", "soak", "bench-check"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
PACKAGE = ".[trio,uvloop]"
CODE = [name for name in ("src", "tests", "benchmarks", "noxfile.py") if Path(name).exists()]
DOCS_TESTS = [
    name
    for name in ("readme", "docs", "pages", "claims", "examples")
    if Path(f"tests/test_{name}.py").exists()
]
DATA = ".coverage."
RANDOM = "tests/reference"
# What each Python must do, whatever else: what is promised, and what 1.x did.
PROMISED = ("tests/guarantees", "tests/compat")
# Where trio goes another way than asyncio.
OF_TRIO = ("tests/backends", "tests/loop", *PROMISED[:1], "tests/testing/test_virtual_time.py")
# What the lowest versions of everything must do.
LOWEST = (*PROMISED, "tests/events", "tests/engine")
# What the pytest plugin does, beside any pytest.
PLUGIN = [
    f"tests/testing/test_{name}.py"
    for name in (
        "plugin",
        "outcomes",
        "async_fixtures",
        "fixtures_cut",
        "broken_off",
    )
]
# What anyio does for a step on trio.
CUT = [f"tests/guarantees/test_{name}.py" for name in ("g3_cancel", "g4_timeouts", "g5_cleanup")]
# The folders with properties of whole runs, and of what comes from outside.
DEEP = [f"tests/{folder}" for folder in ("reference", "model", "engine", "events", "run", "tasks")]


def install(session: nox.Session, *groups: str, package: bool = True) -> None:
    """Install dependency groups and, built as a user would get it, the package."""
    requirements = nox.project.dependency_groups(PROJECT, *groups)
    session.install(*requirements, *([PACKAGE] if package else []))


def lowest_of(*groups: str) -> list[str]:
    """Return what the package, its extras and some groups declare, each at its lowest version.

    Raises:
        ValueError: One of them has no lowest version.
    """
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(one for extra in extras for one in extra)]
    floors: dict[str, Version] = {}
    for text in [*declared, *nox.project.dependency_groups(PROJECT, *groups)]:
        one = Requirement(text)
        if one.extras and not one.specifier:
            # `anyio[trio]`: whatever anyio itself needs.
            continue
        [floor] = [Version(part.version) for part in one.specifier if part.operator == ">="]
        floors[one.name] = max(floor, floors.get(one.name, floor))
    return [f"{name}=={floor}" for name, floor in floors.items()]


@nox.session
def lint(session: nox.Session) -> None:
    """Layout, style, async traps, spelling, and the changelog fragments."""
    install(session, "lint", package=False)
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    # Of the tests, ruff looks at those of these rules that it has: all of them take a minute more.
    session.run("flake8", *(name for name in CODE if name != "tests"), "examples")
    session.run("codespell")
    session.run("towncrier", "build", "--draft", "--version", PROJECT["project"]["version"])


@nox.session
def typing(session: nox.Session) -> None:
    """Two type checkers, strict, and the types of every public name."""
    install(session, "typing")
    session.run("mypy", *CODE, "examples")
    # Named, for a pyrightconfig.json in a folder above would win.
    session.run("pyright", "--project", "pyproject.toml")
    session.run("pyright", "--verifytypes", "tukio", "--ignoreexternal")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests, on each Python, against the installed package. Arguments go to pytest."""
    install(session, "tests")
    pytest = ("-m", "pytest", "-n", "auto", "--dist", "worksteal")
    installed = [version for version in PYTHONS if shutil.which(f"python{version}")]
    if session.posargs:
        session.run("python", *pytest, *session.posargs)
        return
    # Everything with the newest Python, random workflows by the thousand among that; with the
    # oldest fewer examples, and on trio what it does otherwise.
    few = {"TUKIO_PROFILE": "less"}
    oldest, newest = installed[0], installed[-1]
    if session.python not in {oldest, newest}:
        session.run("python", *pytest, *PROMISED, env=few | {"TUKIO_TURNS": "asyncio,trio,uvloop"})
    if session.python == oldest:
        for old in Path().glob(f"{DATA}*"):
            old.unlink()
        # Measured once, which doubles the time: on asyncio, and what trio does otherwise on trio.
        of_trio = {"TUKIO_BACKENDS": "trio", "TUKIO_ELSE": "no"}
        measured = ("coverage", "run", *pytest)
        session.run(*measured, f"--ignore={RANDOM}", env=few | {"TUKIO_BACKENDS": "asyncio"})
        session.run(*measured, *OF_TRIO, env=few | of_trio)
    if session.python == newest:
        session.run("python", *pytest)


@nox.session(name="random")
def random_workflows(session: nox.Session) -> None:
    """Random workflows by the thousand, on each backend: those that are the same each time."""
    install(session, "tests")
    session.run("python", "-m", "pytest", "-n", "auto", *(session.posargs or [RANDOM]))


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The lowest versions of everything declared, on the oldest Python, do what is promised."""
    pytest = ("python", "-m", "pytest", "-q", "-n", "auto")
    few = {"TUKIO_PROFILE": "less", "TUKIO_TURNS": "asyncio,trio"}
    # What users get: an older pytest than that of the tests, which does not read their options.
    session.install(PACKAGE, *lowest_of(), "pytest-xdist")
    options = ("-pno:anyio", "--import-mode=importlib", *PLUGIN)
    session.run(*pytest, *options, env={"PYTHONPATH": ".:tests"})
    session.install(*lowest_of("tests"))
    session.run(*pytest, *(session.posargs or LOWEST), env=few)
    # Each may be the lowest beside the newest of the other.
    session.install("--upgrade", "anyio")
    session.run(*pytest, *CUT, env=few)


@nox.session
def quick(session: nox.Session) -> None:
    """The first thing to run after a change: lint, mypy, what decides, and the rest on asyncio."""
    install(session, "lint", "typing")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy", "src")
    chosen = {"TUKIO_BACKENDS": "asyncio", "TUKIO_PROFILE": "less"}
    slow = (RANDOM, "tests/soak", "tests/test_benchmarks.py", "tests/test_web_servers.py")
    left_out = [f"--ignore={name}" for name in slow]
    session.run("python", "-m", "pytest", "-n", "auto", *left_out, *session.posargs, env=chosen)


@nox.session
def coverage(session: nox.Session) -> None:
    """What the tests have reached, on the oldest Python that is installed."""
    session.install("coverage>=7.10")
    data = sorted(str(path) for path in Path().glob(f"{DATA}*"))
    if not data:
        session.error(f"no tests have run - install one of the Pythons {', '.join(PYTHONS)}")
    session.run("coverage", "combine", *data)
    session.run("coverage", "report")
    if shutil.which(f"python{PYTHONS[0]}"):
        # What decides awaits nothing: no line and no branch of it is out of reach of a test. Some
        # are there for the oldest Python alone.
        session.run("coverage", "report", "--include=*/tukio/_model/*", "--fail-under=100")


@nox.session
def deep(session: nox.Session) -> None:
    """`TUKIO_DEEPER` times as many random workflows, fifty unless given, and new ones each time."""
    install(session, "tests")
    pytest = ("pytest", "-n", "auto", *(session.posargs or DEEP))
    session.run(*pytest, env={"TUKIO_PROFILE": "deep"})


@nox.session(python="3.9")
def recorded(session: nox.Session) -> None:
    """The recordings are what tukio 1.1.2 does; with `-- write`, make them anew."""
    session.install("tukio==1.1.2")
    kept = Path("tests/recorded/recordings")
    made = kept if "write" in session.posargs else Path(session.create_tmp(), "recordings")
    session.run("python", "-W", "ignore", "tests/recorded/record.py", str(made))
    session.run("git", "diff", "--no-index", "--exit-code", str(kept), str(made), external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The README and the examples do what they say."""
    install(session, "docs")
    session.run("pytest", *[f"tests/test_{name}.py" for name in DOCS_TESTS])


@nox.session
def bench(session: nox.Session) -> None:
    """Measure. Arguments go to `python -m benchmarks`."""
    install(session, "benchmarks")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(name="bench-check")
def bench_check(session: nox.Session) -> None:
    """No workflow costs clearly more, against the same work by hand, than was promised."""
    install(session, "benchmarks")
    session.run("python", "-m", "benchmarks", "--check")


@nox.session
def mutants(session: nox.Session) -> None:
    """Break the engine on purpose, each time in another place: its tests must notice."""
    install(session, "tests")
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session(name="drawn-mutants")
def drawn_mutants(session: nox.Session) -> None:
    """Break the engine at random, 500 times: its tests must notice 95 in 100. `-- 50`: fewer."""
    install(session, "drawn")
    session.run("python", "-m", "tests.mutants.drawn", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Load every backend for half a minute in all. `-- 3600 trio`: one of them, for an hour."""
    install(session, "benchmarks")
    session.run("python", "-m", "soak", *(session.posargs or ["30"]), env={"PYTHONPATH": "tests"})
