"""What the tests of the pytest plugin share."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from support.suites import Result

if TYPE_CHECKING:
    from support.suites import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """Give a function that runs the tests of a file, and returns what became of them."""
    # By these pytest knows that it runs for a machine, to which it prints more.
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)

    def run_suite(source: str, *options: str) -> Result:
        pytester.makeconftest('pytest_plugins = ["tukio.testing.plugin"]')
        pytester.makepyfile(source)
        own = ["-v", "-pno:cacheprovider", "-o", "xfail_strict=true", "--strict-markers"]
        if find_spec("pytest_asyncio") and "no:asyncio" not in options:
            # Without, it warns of what it will do one day.
            own += ["-o", "asyncio_default_fixture_loop_scope=function"]
        # The process may have the plugin already, as no user's has: another test has imported it.
        last = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        return Result(pytester.runpytest_inprocess(*own, *options, *last))

    return run_suite
