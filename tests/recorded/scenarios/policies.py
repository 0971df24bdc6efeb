"""The overrun policies: what happens to a trigger while an earlier run is at work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tukio.utils import FutureState

from ..stage import pause, this_workflow

if TYPE_CHECKING:
    from ..stage import Stage


async def _two_triggers(stage: Stage, policy: Any) -> None:
    """Trigger while a run is at work, and once more when all is over."""
    await stage.engine.load(stage.template("a b", {"a": pause(1)}, policy=policy))
    first = await stage.engine.trigger("flow", {"n": 1})
    await asyncio.sleep(0.5)
    second = await stage.engine.trigger("flow", {"n": 2})
    stage.note("second started", bool(second))
    await stage.over(*filter(None, [first, second]))
    third = await stage.engine.trigger("flow", {"n": 3})
    stage.note("third started", bool(third))
    await stage.over(third)


async def start_new(stage: Stage) -> None:
    """Both run."""
    await _two_triggers(stage, "start-new")


async def skip(stage: Stage) -> None:
    """The second is skipped."""
    await _two_triggers(stage, "skip")


async def skip_until_unlock(stage: Stage) -> None:
    """The second is skipped: nobody has unlocked the first."""
    await _two_triggers(stage, "skip-until-unlock")


async def default(stage: Stage) -> None:
    """That is the default."""
    await _two_triggers(stage, None)


async def abort_running(stage: Stage) -> None:
    """The first is cancelled, and the second starts when it is over."""
    await _two_triggers(stage, "abort-running")


async def abort_running_before_the_start(stage: Stage) -> None:
    """The second is there, but waits until the first has unwound."""

    @stage.task
    async def lingers(event: Any) -> None:
        stage.note("begins", event.data)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            stage.note("unwinds", event.data)
            raise

    await stage.engine.load(stage.template("a", {"a": "lingers"}, policy="abort-running"))
    first = await stage.engine.trigger("flow", {"n": 1})
    await asyncio.sleep(0.5)
    second = await stage.engine.trigger("flow", {"n": 2})
    stage.note("waits", [second.report()["exec"]["start"], second.report()["tasks"][0]["exec"]])
    await stage.over(first)
    stage.note("begun", FutureState.get(second).value)
    await stage.over(second)


async def unlock(stage: Stage) -> None:
    """A run lets others start once a task of its choice is over; the next is locked again."""

    @stage.task
    async def unlocks(event: Any) -> None:
        this_workflow().unlock_when_task_done()
        await asyncio.sleep(0.2)

    tasks = {"a": "unlocks", "b": pause(1)}
    await stage.engine.load(stage.template("a b", tasks, policy="skip-until-unlock"))
    started = []
    for number in range(8):
        started.append(await stage.engine.trigger("flow", {"n": number}))
        await asyncio.sleep(0.09)
    stage.note("started", [bool(one) for one in started])
    await stage.over(*filter(None, started))


async def skip_at_once(stage: Stage) -> None:
    """Of five at the same time, one starts."""
    await stage.engine.load(stage.template("a", {"a": pause(1)}, policy="skip"))
    calls = [stage.engine.data_received({"start": 0}) for _ in range(5)]
    results = await asyncio.gather(*calls)
    stage.note("counts", [len(result) for result in results])
    await stage.over(*[workflow for result in results for workflow in result])


async def skip_by_topic(stage: Stage) -> None:
    """A skipped template is left out of what `data_received` returns."""
    tasks = {"a": pause(1)}
    await stage.engine.load(stage.template("a", tasks, id="skips", policy="skip"))
    await stage.engine.load(stage.template("a", tasks, id="starts", policy="start-new"))
    first = await stage.engine.data_received({"n": 1})
    await asyncio.sleep(0.5)
    second = await stage.engine.data_received({"n": 2})
    stage.note("first", sorted(workflow.template.uid for workflow in first))
    stage.note("second", sorted(workflow.template.uid for workflow in second))
    await stage.over(*first, *second)


async def skip_while_suspended(stage: Stage) -> None:
    """A suspended run is at work."""
    workflow = await stage.start("a", {"a": pause(1)}, policy="skip")
    await asyncio.sleep(0.1)
    workflow.suspend()
    await asyncio.sleep(0.1)
    stage.note("started", await stage.engine.data_received({"n": 2}))
    workflow.resume()
    await stage.over(workflow)


async def new_policy_counts(stage: Stage) -> None:
    """The policy is that of the template as it is loaded now; runs are matched by its id."""
    tasks = {"a": pause(1)}
    first = await stage.start("a", tasks, policy="start-new")
    await stage.engine.load(stage.template("a", tasks, policy="skip"))
    stage.note("started", await stage.engine.data_received({"n": 2}))
    await stage.over(first)


async def run_once(stage: Stage) -> None:
    """`run_once` asks no policy and needs no loading, but its run counts for others."""
    template = stage.template("a", {"a": pause(1)}, policy="skip")
    first = await stage.engine.run_once(template, {"n": 1})
    second = await stage.engine.run_once(template, {"n": 2})
    stage.note("not loaded", await stage.engine.data_received({"n": 3}))
    await stage.engine.load(template)
    stage.note("skipped", bool(await stage.engine.trigger("flow", {"n": 4})))
    await stage.over(first, second)
