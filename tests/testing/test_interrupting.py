"""Ctrl-C at every line of the package, for the workflows of users."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.silence import silence
from tukio.testing import BrokenThere, interrupt_everywhere
from tukio.testing.clock import BACKENDS, is_available

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

here = pytest.mark.parametrize("backend", [name for name in BACKENDS if is_available(name)])


@pytest.fixture
def make_run(task: Tasks) -> Callable[[tukio.Engine], Any]:
    """Return what starts a run of two tasks."""

    @task
    async def wait(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def end(event: tukio.Event) -> None:
        pass

    return lambda engine: engine.run_once(flow("wait end"), {})


@here
def test_a_program_may_be_interrupted_at_every_line(make_run: Any, backend: str) -> None:
    """It ends by that, and its run is over; each program is looked at."""
    seen: list[tukio.FutureState] = []
    with silence():
        lines = interrupt_everywhere(
            make_run, lambda run: seen.append(run.state), backend=backend, every=23
        )
    assert lines >= 20
    assert len(seen) >= lines // 3
    assert tukio.FutureState.cancelled in seen
    assert tukio.FutureState.pending not in seen


@here
def test_what_a_check_finds_is_told_with_the_line(make_run: Any, backend: str) -> None:
    """The first line at which it is found."""

    def check(run: tukio.Workflow) -> None:
        raise LookupError(run.state)

    with silence(), pytest.raises(BrokenThere, match=r"Ctrl-C at point .*py:\d+, in ") as caught:
        interrupt_everywhere(make_run, check, backend=backend, every=50)
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_program_that_fails_without_ctrl_c_is_none_to_interrupt(make_run: Any) -> None:
    """Its error is raised."""

    async def fails(engine: tukio.Engine) -> Any:
        raise LookupError

    with pytest.raises(LookupError):
        interrupt_everywhere(fails, backend="asyncio")


def test_a_program_that_goes_on_after_ctrl_c_is_told(make_run: Any) -> None:
    """Whoever swallows the cancellation keeps the program from its end."""

    async def swallows(engine: tukio.Engine) -> Any:
        run = await make_run(engine)
        while run.state is tukio.FutureState.pending:
            with suppress(anyio.get_cancelled_exc_class()):
                await run.wait()
        return run

    with silence(), pytest.raises(BrokenThere, match="Ctrl-C"):
        interrupt_everywhere(swallows, backend="asyncio")
