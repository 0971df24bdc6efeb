"""What these tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.flow import Tasks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def task() -> Iterator[Tasks]:
    """Register tasks by `@task`; they are forgotten after the test."""
    tasks = Tasks()
    yield tasks
    tasks.forget()
