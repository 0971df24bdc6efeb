"""What the tests of code form share: a registry of their own."""

from __future__ import annotations

import pytest

from tukio.task import Registry


@pytest.fixture
def own() -> Registry:
    """Give a registry that no other test sees."""
    return Registry()
