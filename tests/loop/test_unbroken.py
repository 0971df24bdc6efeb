"""G3: what interrupts a wait that must not be cut short comes out after it, and whole."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import anyio.lowlevel
import pytest

from support.native import current
from tukio._loop.unbroken import Interruptions


def delivered_while_handling(error: BaseException, kept: Interruptions) -> BaseException:
    """Return what is delivered by a clean-up that runs because of an error."""
    with pytest.raises(BaseException) as raised, ExitStack() as stack:
        stack.callback(kept.deliver)
        raise error
    return raised.value


@pytest.mark.backends("asyncio", "uvloop")
async def test_g3_a_cancellation_is_delivered_without_another_around_it() -> None:
    """Else some versions of anyio take both for that of their scope, and end both."""
    interruptions, waits = Interruptions(), 0

    async def wait() -> None:
        nonlocal waits
        waits += 1
        await asyncio.sleep(0)

    task = current()
    task.cancel()
    await interruptions.outlast(wait)
    assert waits == 2
    outer = asyncio.CancelledError("of the scope")
    delivered = delivered_while_handling(outer, interruptions)
    assert isinstance(delivered, asyncio.CancelledError)
    assert delivered is not outer
    assert delivered.__context__ is None
    assert task.uncancel() == 0


async def test_g7_other_context_of_what_ends_the_program_is_kept() -> None:
    """An error that was being handled tells where the program was."""
    interrupt, error = KeyboardInterrupt(), LookupError("stuck")
    interruptions = Interruptions(interrupt)
    await interruptions.outlast(anyio.lowlevel.checkpoint)
    assert delivered_while_handling(error, interruptions) is interrupt
    assert interrupt.__context__ is error
