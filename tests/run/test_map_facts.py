"""The facts of mapped tasks: what is kept as it happens says what a report says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.keeping import KeepingEngine
from support.maps import mapped, register_steps
from tukio._model.facts import ItemDue, ItemEnded, RunStarted, StepEnded, from_body, to_body
from tukio._model.record import read
from tukio._model.replay import Contradiction, replay
from tukio._model.rescue import facts_of
from tukio._model.shape import shape_of
from tukio._model.state import FutureState
from tukio._run.assembly import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.flow import Tasks
    from tukio._model.facts import Fact
    from tukio._step.items import Work

FINISHED, FAILED, TIMED_OUT = FutureState.finished, FutureState.exception, FutureState.timeout


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""
    register_steps(task)


def told(facts: Iterable[Fact]) -> list[Any]:
    """Return what facts tell of items: a report does not say of a result how it came about."""
    return sorted(
        (fact.place, fact.result, None if fact.error is None else fact.error[:2])
        for fact in facts
        if isinstance(fact, ItemEnded)
    )


async def test_each_end_of_an_item_is_kept() -> None:
    """With what stands for it; those that were cancelled or interrupted are to be run again."""
    items = [{"gives": 1}, {"bad": 1}, {"takes": 5}, {"skips": True}, {}]
    template = mapped(limit=3, tolerate=1, timeout=4)
    async with KeepingEngine() as engine:
        run = await engine.start(template, {"list": items})
        await anyio.sleep(2.5)
        report = run.report()
        kept = [from_body(to_body(fact)) for fact in engine.facts_of(run)]
        assert told(kept) == [
            (0, 1, None),
            (1, None, ("ValueError", "item 1, attempt 1")),
            (3, {"skips": True}, None),
            (4, {"of": 4}, None),
        ]
        assert not [fact for fact in kept if isinstance(fact, StepEnded)]
        made = tukio.WorkflowTemplate.from_dict(template)
        assert told(facts_of(read(report, made), shape_of(made))) == told(kept)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        await run.wait()
        ends = [fact for fact in engine.facts_of(run) if isinstance(fact, ItemEnded | StepEnded)]
        last = ItemEnded("each", 2, TIMED_OUT, {"takes": 5})
        assert ends[4] == last
        assert [fact.task for fact in ends[5:]] == ["each", "end"]
        assert run.report()["exec"]["order"] == ["each", "end"]


def replayed(*facts: Any, over: Any = "$.list", data: Any = None) -> Any:
    """Return the step of a mapped task, and what is known of its items, after some facts."""
    template = tukio.WorkflowTemplate.from_dict(mapped(over=over))
    shape = shape_of(template)

    class Run:
        """As much of a run as a step needs to be restored."""

        class environment:  # noqa: N801 - a field
            """What it shares."""

            kinds = KINDS

        class backend:  # noqa: N801 - a field
            """Its clock."""

            @staticmethod
            def time() -> float:
                """Return an instant."""
                return 0.0

            @staticmethod
            def instant(_: Any) -> float:
                """Return an instant."""
                return 0.0

    from tukio._model.gathering import plan_for

    run: Any = Run()
    plan: Any = plan_for(shape, KINDS.maker(shape), run)
    run.plan = plan
    start: Any = RunStarted("r", None, {"list": [0, 1, 2]} if data is None else data)  # type: ignore[arg-type]  # no time
    replay(plan, [start, *facts])
    return plan.steps[0]


def test_facts_lead_to_the_items() -> None:
    """In whatever order they are."""
    due = ItemDue("each", 2, (), None, 3.0)
    before = ItemDue("each", 0, ())
    ended = [ItemEnded("each", 1, FAILED, None), ItemEnded("each", 0, TIMED_OUT, 5)]
    facts = [before, due, *ended]
    work: Work = replayed(*facts).work
    assert work.items.total == 3
    assert work.items.results == {0: 5}
    assert work.items.late == {0}
    [error] = work.items.failed.values()
    assert str(error) == "Exception: the report does not say what the task raised"
    assert list(work.earlier) == [2]
    assert work.earlier[2].extras.first_at == -3.0


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([ItemEnded("each", 3, FINISHED, None)], "has 3 items, and others have begun"),
        ([ItemEnded("end", 0, FINISHED, None)], "nothing led to task 'end', whose items have"),
        ([ItemDue("none", 0, ())], "nothing led to task 'none', whose items have begun"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts: list[Any], reason: str) -> None:
    """There are no such items."""
    with pytest.raises(Contradiction, match=reason):
        replayed(*facts)


def test_facts_of_a_list_that_is_none_are_refused() -> None:
    """Unless the task is over: then nobody needs the list."""
    ended = ItemEnded("each", 0, FAILED, None, ("E", "x"))
    with pytest.raises(Contradiction, match="is no list"):
        replayed(ended, data={"list": 3})
    over = StepEnded("each", FINISHED, {"results": [None]}, end=datetime.now(UTC))
    work: Work = replayed(ended, over, data={"list": 3}).work
    assert work.items.total is None
    assert list(work.items.failed) == [0]


async def test_an_attempt_that_has_failed_is_kept() -> None:
    """As one at an item of its task."""
    retry = {"attempts": 2, "initial": 3, "jitter": "none"}
    async with KeepingEngine() as engine:
        run = await engine.start(mapped("page", {"retry": retry}), {"list": [{}, {"bad": 1}]})
        await anyio.sleep(2)
        [due] = [fact for fact in engine.facts_of(run) if isinstance(fact, ItemDue)]
        assert (due.task, due.place, len(due.attempts), due.tried) == ("each", 1, 1, 1.0)
        known = read(run.report(), run.template).steps["each"].items
        assert known is not None
        [same] = [fact for fact in known.facts("each", is_over=False) if isinstance(fact, ItemDue)]
        assert (same.attempts, same.due) == (due.attempts, due.due)
        run.cancel()
