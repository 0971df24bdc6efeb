"""The suite of a user, run by pytest with the plugin: in virtual time, on each backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tukio.testing import BACKENDS
from tukio.testing.clock import is_available

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

SUITE = Path(__file__).with_name("users_suite.py")

TESTS, SEEDS = 5, 10
"""The number of tests that run once on each backend, and of orders that another one tries."""


def test_the_suite_of_a_user_passes(pytester: pytest.Pytester) -> None:
    """Weeks in milliseconds; what it replaces is replaced for one test."""
    backends = [name for name in BACKENDS if is_available(name)]
    pytester.makeconftest('pytest_plugins = ["tukio.testing.plugin"]')
    pytester.makepyfile(test_trial=SUITE.read_text())
    result = pytester.runpytest_subprocess("-pno:cacheprovider", "-pno:asyncio", "-Werror")
    result.assert_outcomes(passed=len(backends) * (TESTS + SEEDS))
