"""Suites of users' own, run by pytest in pytest: what became of each test, and what was printed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Suite = Callable[..., "Result"]


class Result:
    """What became of a suite.

    Attributes:
        outcomes: Of each test, by its name: "passed", "failed", "skipped" or "error"; "passed
            error" if its clean-up has failed.
        text: What pytest has printed.
    """

    def __init__(self, result: pytest.RunResult) -> None:
        self.text: str = result.stdout.str()
        told = r"^\S+?::(\S+) (PASSED|FAILED|SKIPPED|ERROR)"
        self.outcomes: dict[str, str] = {}
        for name, outcome in re.findall(told, self.text, re.MULTILINE):
            before = self.outcomes.get(name)
            self.outcomes[name] = f"{before} {outcome.lower()}" if before else outcome.lower()

    def of(self, outcome: str) -> list[str]:
        """Return the names of the tests with an outcome."""
        return [name for name, its in self.outcomes.items() if its == outcome]

    def became(self, name: str) -> set[str]:
        """Return the outcomes of a test on all backends, and with all parameters."""
        told = {its for test, its in self.outcomes.items() if re.match(rf"(\w+::)?{name}\b", test)}
        assert told, self.text
        return told
