"""Runs the jobs of a case: one process per measure, the contenders in turn, round after round.

A machine is never quiet. What disturbs one round disturbs all contenders of that round, so ratios
are taken within a round, and the median of them over the rounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .catalogue import CONTENDERS
from .environments import ROOT, CannotInstall, Environments

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cases import Effort, Job, Plan

    Measure = Callable[[Job, float], dict[str, Any]]

LONGEST_MEASURE = 300
"""Seconds after which a measure is given up."""


@dataclass
class Measured:
    """What came out of one job.

    Attributes:
        job: Which.
        values: Round -> the main figure, where it was measured.
        walls: Round -> that by the clock on the wall, for those who are measured by it.
        figures: Name -> round -> any other figure.
        versions: Name -> version, of Python and of the libraries that matter.
        problem: Why it was not measured; None if it was.
    """

    job: Job
    values: dict[int, float] = field(default_factory=dict)
    walls: dict[int, float] = field(default_factory=dict)
    figures: dict[str, dict[int, float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    problem: str | None = None

    def add(self, number: int, outcome: dict[str, Any]) -> None:
        """Take the outcome of a round."""
        self.problem = outcome.get("problem")
        if self.problem is not None:
            return
        self.versions = outcome["versions"]
        value = outcome[f"{CONTENDERS[self.job.contender].clock}_us"]
        if value is not None:
            self.values[number] = value
            self.walls[number] = outcome["wall_us"]
        for name, figure in outcome["figures"].items():
            self.figures.setdefault(name, {})[number] = figure


def run(plan: Plan, effort: Effort, measure: Measure, progress: Progress) -> list[Measured]:
    """Run all jobs of a plan, and return what came out in their order.

    A job with a problem is not tried again. There is at least one round, however late it is.

    Args:
        plan: What to run.
        effort: How often, and for how long.
        measure: Does one job for at least some seconds, and returns what a worker prints.
        progress: Told what is being done; knows how long it has been.
    """
    found = [Measured(job) for job in plan.jobs]
    rounds = min(effort.rounds, plan.rounds or effort.rounds)
    for number in range(rounds):
        if number and effort.seconds is not None and progress.seconds() > effort.seconds:
            break
        at = number * len(found) // rounds
        for measured in found[at:] + found[:at]:
            if measured.problem is None:
                progress.say(f"round {number + 1} of {rounds}: {measured.job}")
                measured.add(number, measure(measured.job, effort.enough))
    return found


class Processes:
    """Measures each job in a process of its own.

    Args:
        environments: Where the contenders are installed.
        longest: Seconds after which a measure is given up.
    """

    def __init__(self, environments: Environments, longest: float = LONGEST_MEASURE) -> None:
        self._environments = environments
        self._longest = longest

    def __call__(self, job: Job, enough: float) -> dict[str, Any]:
        """Do one job; whatever goes wrong is in the outcome."""
        contender = CONTENDERS[job.contender]
        try:
            python, variables = self._environments.command(contender.environment)
        except CannotInstall as exc:
            return {"problem": f"not installed: {exc}"}
        what = [contender.module, job.backend, job.work, str(job.size), str(enough)]
        command = [python, "-m", "benchmarks.worker", *what]
        try:
            done = subprocess.run(  # noqa: S603 - a worker of our own
                command,
                cwd=ROOT,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
                timeout=self._longest,
            )
        except subprocess.TimeoutExpired:
            return {"problem": f"not over after {self._longest:g} s"}
        return outcome_of(done)


def outcome_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the outcome that a worker printed last."""
    lines = done.stdout.strip().splitlines()
    try:
        outcome = json.loads(lines[-1])
        assert isinstance(outcome, dict)
    except (IndexError, ValueError, AssertionError):
        return {"problem": f"failed: the process ended with {done.returncode} and no result"}
    return outcome


class Progress:
    """One line on stderr that says what is going on; where that is no terminal, one per case."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._start = time.monotonic()
        self._case = ""

    def case(self, name: str) -> None:
        """Begin a case."""
        self._case = name
        if not self._live:
            self._write(f"{self._elapsed()} {name}\n")

    def say(self, text: str) -> None:
        """Say what is being done in it."""
        if self._live:
            self._write(f"\r\033[K{self._elapsed()} {self._case}, {text}")

    def clear(self) -> None:
        """Leave the line to what is printed next."""
        if self._live:
            self._write("\r\033[K")

    def end(self) -> None:
        """Say that all is done, and how long it took."""
        self._write(f"{self._elapsed()} done\n")

    def seconds(self) -> float:
        """Return how long it has been."""
        return time.monotonic() - self._start

    def _elapsed(self) -> str:
        return f"{self.seconds():5.0f} s"

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
