"""G16: what Ctrl-C has cut on asyncio is undone all the same, or it is told why not."""

from __future__ import annotations

import gc
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.cuts import cut
from support.flow import step_of
from support.undone import register, taking
from tukio._run import driver, settling
from tukio._run.ledger import Ledger
from tukio._run.run import Run
from tukio._run.salvage import take_what_is_over
from tukio._run.whole import MapStep
from tukio.testing import run as run_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks
    from support.undone import Undo

ITEMS = [{"takes": 2}, {"takes": 1}, {"takes": 3, "bad": 1}, {"takes": 4, "skips": True}]
RETRY = {"attempts": 2, "initial": 1, "jitter": "none"}

pytestmark = pytest.mark.parametrize("host", ["asyncio", "uvloop"])


@pytest.fixture
def undone(task: Tasks) -> list[Undo]:
    """Register what is run; give what is undone."""
    return register(task)


@pytest.fixture(autouse=True)
def _without_complaints() -> Iterator[None]:
    """Keep asyncio from complaining of tasks whose exceptions have ended the program."""
    log = logging.getLogger("asyncio")
    log.setLevel(logging.CRITICAL)
    yield
    gc.collect()
    log.setLevel(logging.NOTSET)


def played(host: str, template: dict[str, Any], cutting: Any, items: Any = ITEMS) -> Any:
    """Run a workflow to its end as a program that Ctrl-C cuts; return the run, which is over."""
    runs: list[Any] = []

    async def program() -> None:
        async with tukio.Engine() as engine:
            runs.append(await engine.start(template, {"list": items}))
            await runs[0].wait()

    with suppress(KeyboardInterrupt), cutting:
        run_on(program, backend=host)
    [run] = runs
    assert run.state is not tukio.FutureState.pending
    return run


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (settling, "_keep_error"),
        (Ledger, "keep_end"),
        (settling, "_tell"),
        (MapStep, "take"),
        (MapStep, "note"),
        (MapStep, "_next"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_g16_items_that_ctrl_c_has_cut_as_they_ended(
    host: str, undone: list[Undo], owner: Any, name: str, before: bool
) -> None:
    """Each that has finished is undone once, and the map waits for none of them in vain."""
    for nth in range(1, 9):
        called: list[int] = []
        undone.clear()
        template = taking(keys={"retry": RETRY}, limit=3, tolerate=1)
        run = played(host, template, cut(owner, name, nth, before=before, called=called))
        if len(called) < nth:
            break
        [whole] = [step for step in run.tasks if step.template.uid == "each"]
        done = sorted(f"each[{place}].compensate" for place in whole.work.items.done())
        assert sorted(step.template.uid for step in run.closing) == done
        told = {one.uid for one in undone} | set(run.unhandled)
        assert set(done) <= told
    assert nth > 1


@pytest.mark.parametrize(
    "place",
    [(driver, "finished"), (driver, "settle"), (MapStep, "end_if_over"), (MapStep, "_settle")],
    ids=lambda place: place[1],
)
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_g3_an_item_that_ctrl_c_has_cut_as_it_ended_fails_no_run(
    host: str, undone: list[Undo], place: tuple[Any, str], before: bool
) -> None:
    """It counts as none of the failures that are tolerated: the run was cancelled."""
    del undone
    for nth in range(1, 9):
        called: list[int] = []
        cutting = cut(*place, nth, before=before, called=called)
        run = played(host, taking("split", limit=3), cutting, [{"takes": 2}, {"takes": 1}, {}, {}])
        [whole] = [step for step in run.tasks if step.template.uid == "each"]
        if len(called) < nth:
            break
        last = run.state is tukio.FutureState.finished
        assert run.state is tukio.FutureState.cancelled or last
        assert whole.work.open == {}
        assert whole.driver is None
    assert nth > 1


@pytest.mark.parametrize("state", ["finished", "exception", "retried"])
def test_g16_an_item_whose_end_was_kept_by_half(host: str, undone: list[Undo], state: str) -> None:
    """It has begun, and no more is known: nobody waits for it."""

    async def program() -> None:
        template = taking(undo={"name": "give_back", "begun": True})
        async with tukio.Engine() as engine:
            run: Any = await engine.start(template, {"list": ITEMS})
            await anyio.sleep(0.5)
            whole = step_of(run, "each")
            [item, *_] = whole.work.open
            item.state = tukio.FutureState(state)
            item.ended_at = None if state == "finished" else 0.5
            take_what_is_over(whole)
            assert item not in whole.work.open
            assert item.state.value == "cancelled"
            run.cancel()
            await run.wait()

    run_on(program, backend=host)
    assert "each[0]" in [one.undoes.template.uid for one in undone]


@pytest.mark.parametrize("name", ["wait_for", "keep_deadline"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_g16_an_attempt_that_is_cut_as_it_is_put_off(
    host: str, undone: list[Undo], name: str, before: bool
) -> None:
    """It is not waited for, and the others go on."""
    template = taking(undo={"name": "unwilling", "retry": RETRY}, tolerate=1)
    for nth in range(1, 9):
        called: list[int] = []
        undone.clear()
        run = played(host, template, cut(Run, name, nth, before=before, called=called))
        if len(called) < nth:
            break
        states = {step.template.uid: step.state.value for step in run.closing}
        assert states.keys() == {"each[0].compensate", "each[1].compensate"}
    assert nth > 1
