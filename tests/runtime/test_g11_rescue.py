"""G11: a rescued run goes on by itself, from any moment, and comes to the same outcome."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support.gallery import WORKFLOWS, register_tasks
from tukio.testing import rescue_everywhere

if TYPE_CHECKING:
    import tukio
    from support.flow import Tasks

every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


@pytest.mark.parametrize("through_json", [False, True], ids=["live", "json"])
@every_workflow
async def test_g11_a_run_is_rescued_after_every_event(
    task: Tasks, name: str, through_json: bool
) -> None:
    """Each time it comes to the outcome of a run that was left alone."""
    register_tasks(task)

    async def make_run(engine: tukio.Engine) -> Any:
        return await engine.run_once(WORKFLOWS[name], {"in": 0})

    events = await rescue_everywhere(make_run, through_json=through_json)
    assert events >= 4


async def suspended(engine: tukio.Engine, name: str) -> Any:
    """Start a run that is suspended and resumed several times."""
    run: Any = await engine.run_once(WORKFLOWS[name], {"in": 0})
    for seconds in (0, 0.5, 0.75):
        await anyio.sleep(seconds)
        run.suspend()
        await anyio.sleep(10 * seconds)
        run.resume()
    return run


# Being suspended uses up the limit of a workflow, so that it comes to another outcome.
@pytest.mark.parametrize("name", [name for name in WORKFLOWS if name != "workflow limit"])
async def test_g11_a_run_that_was_suspended_is_rescued_after_every_event(
    task: Tasks, name: str
) -> None:
    """Also right after it was suspended, and right after it was resumed."""
    register_tasks(task)
    events = await rescue_everywhere(partial(suspended, name=name))
    assert events >= 5
