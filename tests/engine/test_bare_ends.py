"""What ends the program leaves the engine bare, as if no nursery had been there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

import tukio
from support.flow import Tasks, flow
from tukio.testing import run
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("backend", BACKENDS)
def test_out_of_a_task(kind: Callable[[], BaseException], backend: str, task: Tasks) -> None:
    """So the exit status is that of the task, and Ctrl-C is Ctrl-C."""
    error = kind()

    @task
    async def ends(event: tukio.Event) -> None:
        raise error

    async def main() -> None:
        async with tukio.Engine() as engine:
            await engine.start(flow("ends"), {})
            await anyio.sleep(1)

    with pytest.raises(type(error)) as caught:
        run(main, backend=backend)
    assert caught.value is error
    assert error.__cause__ is None


@pytest.mark.backends("trio")
def test_others_beside_it_are_its_cause(task: Tasks) -> None:
    """Two tasks that end the program in one turn: none is lost."""

    @task
    async def ends(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise SystemExit(tukio.current_task().template.uid)

    async def main() -> None:
        async with tukio.Engine() as engine:
            for uid in "ab":
                await engine.start(flow(uid, names={uid: "ends"}, id=uid), {})
            await anyio.sleep(2)

    with pytest.raises(SystemExit) as caught:
        run(main, backend="trio")
    cause = caught.value.__cause__
    codes = {caught.value.code}
    if isinstance(cause, BaseExceptionGroup):
        codes |= {one.code for one in cause.exceptions if isinstance(one, SystemExit)}
    assert codes <= {"a", "b"}
