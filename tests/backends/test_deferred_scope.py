"""A scope that is changed from outside its loop: the change waits until the loop runs."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors
from support.steps import slow
from tukio._backends.asyncio.deferred_scope import DeferredScope
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")


def test_a_deferred_scope_shows_the_scope_as_it_is_now() -> None:
    """And changes it when the loop says so."""
    later: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    async def main() -> None:
        with anyio.CancelScope() as scope:
            deferred = DeferredScope(scope, lambda *call: later.append((call[0], call[1:])))
            deferred.deadline = 5
            deferred.cancel()
            shown = (deferred.deadline, deferred.cancel_called, deferred.cancelled_caught)
            assert shown == (math.inf, False, False)
            for function, arguments in later:
                function(*arguments)
            shown = (deferred.deadline, deferred.cancel_called, deferred.cancelled_caught)
            assert shown == (5, True, False)
            await anyio.sleep(1)
        assert deferred.cancelled_caught

    anyio.run(main)


@pytest.mark.parametrize("way", ["cancel", "suspend", "stop_at"])
def test_g3_a_run_is_cut_while_its_loop_stands_still(task: Tasks, backend: str, way: str) -> None:
    """As a program of 1.x does between two calls of `run_until_complete`."""
    begun = slow(task)
    with no_asyncio_errors():
        loop: Any = new_loop(backend)
        engine = tukio.Engine(loop=loop)
        run: Any = loop.run_until_complete(engine.run_once(flow("slow", timeout=60), {"n": 1}))
        loop.run_until_complete(asyncio.sleep(1))
        if way == "cancel":
            run.cancel()
        elif way == "suspend":
            run.suspend()
        else:
            run._run.stop_at(loop.time() + 2)
        loop.run_until_complete(asyncio.sleep(3))
        assert loop.time() == 4
        assert run.done() is (way != "suspend")
        run.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        assert run.state is tukio.FutureState.cancelled
        loop.close()
    assert begun == [1]
