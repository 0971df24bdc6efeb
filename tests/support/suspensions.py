"""Ways to suspend a run, for the tests of what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio.testing.clock import settle

if TYPE_CHECKING:
    Log = list[tuple[float, str]]

SUSPENDED, PENDING = tukio.FutureState.suspended, tukio.FutureState.pending


def suspend(run: Any) -> bool:
    """Suspend a run, and fail if nothing is left of it that could be resumed.

    An engine would wait for such a run for ever, and the test with it.
    """
    suspended: bool = run.suspend()
    if suspended and run._run.is_empty():
        run.resume()
        pytest.fail("a run was suspended, and nothing keeps it from being over")
    return suspended


async def pause(run: Any, seconds: float) -> None:
    """Suspend a run for some seconds."""
    assert run.suspend()
    assert run.state is SUSPENDED
    await anyio.sleep(seconds)
    assert run.state is SUSPENDED
    assert run.resume()
    assert run.state is PENDING


async def suspended(engine: tukio.Engine, count: int, **fields: Any) -> list[Any]:
    """Start some runs of one `nap`, suspend them after a second, and let them unwind."""
    template = flow("nap", **fields)
    runs: list[Any] = [await engine.run_once(template, {"n": n}) for n in range(count)]
    await anyio.sleep(1)
    assert all(run.suspend() for run in runs)
    await settle()
    return runs
