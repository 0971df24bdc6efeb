"""Who is measured: this package, the limits of what could be done by hand, 1.x, and the peers."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, replace
from typing import Literal

OURS = "tukio"
LIMIT = "bare-anyio"
BEFORE = "tukio-1.1.2-mended"

TO_LIMIT = "/ bare anyio"
TO_BEFORE = "/ 1.1.2 mended"
TO_OURS = "/ tukio"
"""Heads of columns of ratios."""

BACKENDS = ("asyncio", "uvloop", "trio")


@dataclass(frozen=True)
class Environment:
    """Where a contender runs.

    Attributes:
        name: What it is called on disk.
        requirements: What is installed there.
        python: Version of Python, such as `3.9`; None is the one that runs this.
        mended: Whether the two keywords that newer Pythons removed are mended in tukio 1.1.2.
    """

    name: str
    requirements: tuple[str, ...]
    python: str | None = None
    mended: bool = False


@dataclass(frozen=True)
class Contender:
    """Somebody who does the work.

    Attributes:
        name: What it is called in tables and on the command line.
        about: What it is.
        module: Where its work is, below `benchmarks.contenders`.
        backends: What it runs on.
        environment: Where it runs; None is the environment that runs this.
        clock: What counts: processor time or, for one that waits for a disk, the clock on the wall.
        most: So many workflows at once are measured at most, for the time they take or for what
            it can do; None for no such limit.
    """

    name: str
    about: str
    module: str
    backends: tuple[str, ...] = ("asyncio",)
    environment: Environment | None = None
    clock: Literal["cpu", "wall"] = "cpu"
    most: int | None = None

    @property
    def is_peer(self) -> bool:
        """Whether it has to be installed first."""
        return self.environment is not None


def find(name: str) -> Contender:
    """Return the contender with a name.

    Raises:
        LookupError: There is none.
    """
    try:
        return CONTENDERS[name]
    except KeyError:
        msg = f"no contender is called {name!r} - choose from {', '.join(CONTENDERS)}"
        raise LookupError(msg) from None


def _same(*distributions: str) -> tuple[str, ...]:
    """Return requirements for what is installed here, in the same version."""
    found = []
    for name in distributions:
        try:
            found.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _peer(name: str, about: str, module: str) -> Contender:
    return Contender(name, about, module, environment=Environment(name, (name,)))


def _durable(name: str, about: str, module: str, most: int) -> Contender:
    return replace(_peer(name, about, module), clock="wall", most=most)


CONTENDERS: dict[str, Contender] = {
    contender.name: contender
    for contender in (
        Contender(OURS, "this package", "tukio2", BACKENDS),
        Contender(
            LIMIT,
            "by hand: an anyio task group per workflow, a child task per task",
            "bare_anyio",
            BACKENDS,
        ),
        Contender(
            "bare-asyncio",
            "by hand: an asyncio.TaskGroup per workflow, a task per task",
            "bare_asyncio",
            ("asyncio", "uvloop"),
        ),
        Contender(
            "bare-trio",
            "by hand: a trio nursery per workflow, a child task per task",
            "bare_trio",
            ("trio",),
        ),
        Contender(
            "tukio-1.1.2",
            "the last 1.x as published, on the newest Python that runs it",
            "tukio1",
            environment=Environment("tukio-1.1.2", ("tukio==1.1.2",), python="3.9"),
        ),
        Contender(
            BEFORE,
            "the last 1.x with its two removed keywords mended, on the Python of the others",
            "tukio1",
            ("asyncio", "uvloop"),
            Environment(BEFORE, ("tukio==1.1.2", *_same("uvloop")), mended=True),
        ),
        _peer("pydantic-graph", "typed graphs, in memory, on anyio", "peer_pydantic_graph"),
        _peer("langgraph", "state graphs in supersteps, in memory", "peer_langgraph"),
        _peer("llama-index-workflows", "event-driven steps, in memory", "peer_llama_index"),
        _durable("dbos", "durable workflows, here on SQLite", "peer_dbos", 100),
        # On SQLite its server answers 503 to some of a hundred flows at once.
        _durable("prefect", "flows that a server keeps, here its own on SQLite", "peer_prefect", 1),
    )
}
