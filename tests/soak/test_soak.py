"""The load itself, in virtual time; and the verdict on memory, which must be able to say no."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import anyio
import pytest

import tukio
from tukio._model.registry import TaskRegistry
from tukio.testing import BrokenGuarantee

from .load import Load, quiet, soak
from .memory import MOST_MIB, MOST_OBJECTS, Look, look, problems, resident

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_the_load_reaches_every_ending_and_leaves_nothing() -> None:
    """A few virtual seconds of it, with the guarantees checked; an hour is a matter of patience."""
    lines: list[str] = []
    dice = Random(7)
    load = Load(dice, users=4)
    before = look()
    names = set(TaskRegistry.all())
    with quiet():
        await soak(load, dice, 2, lines.append)

    # The timers of virtual time that were called off are dropped when their time has come.
    await anyio.sleep(10)
    assert look().left == before.left
    assert set(TaskRegistry.all()) == names
    counts = load.counts
    for state in ("finished", "exception", "cancelled", "timeout"):
        assert counts[f"runs {state}"]
    assert counts["runs checked"] > 10
    assert counts["rescues"] > 5
    assert counts["refusals SKIPPED"]
    [line] = lines
    assert f" {load.ended} runs, " in line


async def test_a_broken_guarantee_ends_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the template and the timeline of the run."""
    dice = Random(7)
    announce = tukio.broker.Broker.emit_exec_event

    def twice(broker: tukio.broker.Broker, kind: str, *args: object) -> None:
        for _ in range(2 if kind == "workflow-end" else 1):
            announce(broker, kind, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(tukio.broker.Broker, "emit_exec_event", twice)
    with quiet(), pytest.RaisesGroup(BrokenGuarantee, flatten_subgroups=True) as broken:
        await soak(Load(dice, users=4), dice, 2, print)

    leaf: BaseException = broken.value
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    assert str(leaf) == "G2: 2 terminal events instead of one"
    assert "workflow-begin" in leaf.__notes__[0]


NOTHING: Counter[str] = Counter()


def series(
    count: int, mib: Callable[[int], float | None], objects: Callable[[int], int]
) -> list[Look]:
    """Return looks at a process, one after the other."""
    return [Look(mib(number), objects(number), NOTHING) for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_a_process_that_stays_as_it_is_is_flat(count: int) -> None:
    """Also where the system does not tell its memory; and one that breathes."""
    assert problems(series(count, lambda _: 50.0, lambda _: 30_000)) == []
    assert problems(series(count, lambda _: None, lambda _: 30_000)) == []
    assert problems(series(count, lambda n: 50.0 + n % 3, lambda n: 30_000 + 500 * (n % 3))) == []


def test_a_process_that_grows_is_not() -> None:
    """By a little for each engine."""
    [memory] = problems(series(30, lambda n: 50 + MOST_MIB * n / 15, lambda _: 30_000))
    assert memory == "10.7 MiB more at the end than after the warm-up"
    [objects] = problems(series(30, lambda _: 50.0, lambda n: 30_000 + MOST_OBJECTS * n // 15))
    assert objects == "2667 objects more at the end than after the warm-up"


def test_nothing_of_a_run_may_be_left() -> None:
    """Not once."""
    looks = [Look(50.0, 30_000, NOTHING), Look(50.0, 30_000, Counter(TaskRun=2))]
    assert problems([*looks, looks[0]]) == ["still alive: {'TaskRun': 2}"]


async def test_what_is_alive_is_seen() -> None:
    """A run that someone holds."""
    before = look()
    template = tukio.WorkflowTemplate.from_dict({"tasks": [{"id": "a", "name": "a"}]})

    async def a(event: object) -> None:
        pass

    tukio.register("a")(a)
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {})
    found = look().left - before.left
    assert {"Run": 1, "TaskRun": 1}.items() <= found.items()
    del run
    assert not look().left - before.left
    TaskRegistry.all().pop("a")
    mib = resident()
    assert mib is None or mib > 5
