"""Throw-away environments for contenders that are not part of this project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .catalogue import Environment

ROOT = Path(__file__).resolve().parent.parent
INSTALL_SECONDS = 600

MENDS = (
    ("task/factory.py", "asyncio.Queue(loop=self._loop)", "asyncio.Queue()"),
    ("task/factory.py", "def tukio_factory(loop, coro):", "def tukio_factory(loop, coro, **_):"),
)
"""What newer Pythons removed from under tukio 1.1.2: file, what it says, what it should say."""


class CannotInstall(Exception):
    """A contender could not be installed; the text says why."""


def default_folder() -> Path:
    """Return where environments are kept from one run to the next."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(cache or tempfile.gettempdir()) / "tukio-benchmarks"


class Environments:
    """Makes environments when they are needed, once.

    Args:
        folder: Where; None is a folder in the user's cache, or the one for temporary files.
        pythons: Version -> interpreter, for those that are not found by themselves.
    """

    def __init__(self, folder: Path | None = None, pythons: dict[str, str] | None = None) -> None:
        self._folder = folder or default_folder()
        self._pythons = pythons or {}
        self._made: dict[str, Path | str] = {}

    def command(self, environment: Environment | None) -> tuple[str, dict[str, str]]:
        """Return the interpreter of an environment, and the variables to run it with.

        The project's own `src` comes first where nothing else is called tukio.

        Raises:
            CannotInstall: It does not exist and cannot be made.
        """
        if environment is None:
            path = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
            return sys.executable, {**_variables(), "PYTHONPATH": path}
        if environment.name not in self._made:
            try:
                self._made[environment.name] = self._make(environment)
            except CannotInstall as exc:
                self._made[environment.name] = str(exc)
        made = self._made[environment.name]
        if isinstance(made, str):
            raise CannotInstall(made)
        return str(made), {**_variables(), "PYTHONPATH": str(ROOT)}

    def _make(self, environment: Environment) -> Path:
        python = self._interpreter(environment)
        version = _run([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])
        folder = self._folder / f"{environment.name}-py{version.strip()}"
        found = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        done = folder / "installed.txt"
        wanted = "\n".join(environment.requirements)
        if done.exists() and done.read_text() == wanted:
            return found
        shutil.rmtree(folder, ignore_errors=True)
        _run([python, "-m", "venv", str(folder)])
        _run([str(found), "-m", "pip", "install", "--quiet", *environment.requirements])
        if environment.mended:
            mend(installed(found))
        done.write_text(wanted)
        return found

    def _interpreter(self, environment: Environment) -> str:
        version = environment.python
        if version is None:
            return sys.executable
        for candidate in [self._pythons.get(version), *candidates(version)]:
            if candidate and _is_python(candidate, version):
                return candidate
        msg = f"no Python {version} was found - name one with --python{version.replace('.', '')}"
        raise CannotInstall(msg)


def candidates(version: str) -> Iterator[str]:
    """Yield where a Python of some version may be."""
    yield shutil.which(f"python{version}") or ""
    pyenv, uv = shutil.which("pyenv"), shutil.which("uv")
    if pyenv:
        versions = Path(_answer(pyenv, "root")) / "versions"
        yield from sorted(str(path) for path in versions.glob(f"{version}.*/bin/python"))
    if uv:
        yield _answer(uv, "python", "find", version)


def _is_python(candidate: str, version: str) -> bool:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    return _answer(candidate, "-c", ask) == version


def _answer(*command: str) -> str:
    """Return what a command prints; nothing if it fails."""
    try:
        return _run(list(command)).strip()
    except CannotInstall:
        return ""


def installed(python: Path) -> Path:
    """Return where the tukio is that an interpreter has installed: not one on a path of ours.

    Raises:
        CannotInstall: There is none.
    """
    return Path(_run([str(python), "-c", "import tukio; print(tukio.__path__[0])"]).strip())


def mend(package: Path) -> None:
    """Mend a copy of tukio 1.1.2.

    Args:
        package: The folder of the package.

    Raises:
        CannotInstall: It does not look as expected.
    """
    for name, old, new in MENDS:
        file = package / name
        text = file.read_text(encoding="utf-8")
        if text.count(old) != 1:
            msg = f"tukio 1.1.2 cannot be mended: {name} has not exactly one {old!r}"
            raise CannotInstall(msg)
        file.write_text(text.replace(old, new), encoding="utf-8")


def _variables() -> dict[str, str]:
    """Return the variables of this process, but for the path on which it finds this package."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - commands of our own
            command,
            env=_variables(),
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise CannotInstall(str(exc)) from exc
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise CannotInstall(errors[-1] if errors else f"{command[:4]} failed without a word")
    return done.stdout
