"""Users who start runs and disturb them, in one engine after the other.

Owns:   what happens to runs and to engines, by dice, and the count of it. The guarantees are
        checked for a sample of the runs.
Knows:  anyio; neither real nor virtual time.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio

import tukio
from support.flow import Tasks
from support.leaks import no_leaks
from support.silence import silence
from tukio.broker import workflow_exec_topics
from tukio.testing import Timeline, check_guarantees

from .memory import look, problems
from .workflows import random_template, register_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from .memory import Look

USERS = 60
"""How many start runs at once, each one after the other."""

TEMPLATES = 25
"""How many templates an engine has."""

SAMPLE = 0.1
"""The part of the runs whose guarantees are checked: their events are kept."""

WARM_UP = 0.25
"""The part of the engines after which memory should be flat."""

SILENCE = 5.0
"""Seconds between two lines of figures."""

LIFE = (0.2, 1.2)
"""Seconds that an engine lives."""


class Crash(Exception):
    """What an engine is left by, now and then."""


class Load:
    """One engine after the other, and what is done with each.

    Args:
        dice: Decides everything.
        users: How many start runs at once.

    Attributes:
        counts: How often what happened.
        looks: What was alive after each engine.
    """

    def __init__(self, dice: Random, users: int = USERS) -> None:
        self.counts: Counter[str] = Counter()
        self.looks: list[Look] = []
        self._dice: Random = dice
        self._users: int = users
        self._over: bool = False

    @property
    def ended(self) -> int:
        """How many runs have ended."""
        return sum(self.counts[f"runs {state.value}"] for state in tukio.FutureState)

    async def live(self, seconds: float) -> None:
        """Use an engine for a while, end it in some way, and look at what is left."""
        self._over = False
        async with no_leaks():
            try:
                with anyio.CancelScope() as outside:
                    await self._use(seconds, outside)
            except* Crash:
                pass
        self.looks.append(look())

    async def _use(self, seconds: float, outside: anyio.CancelScope) -> None:
        async with tukio.Engine(cleanup_timeout=1) as engine:
            for number in range(TEMPLATES):
                await engine.load(random_template(self._dice, f"w{number}"))
            async with anyio.create_task_group() as group:
                for _ in range(self._users):
                    group.start_soon(self._user, engine)
                await anyio.sleep(seconds)
                await self._end(engine, outside)

    async def _end(self, engine: tukio.Engine, outside: anyio.CancelScope) -> None:
        end = self._dice.choice(("left", "stopped", "hurried", "forced", "cancelled", "crashed"))
        self.counts[f"engines {end}"] += 1
        match end:
            case "stopped":
                await engine.stop()
            case "hurried":
                await engine.stop(grace=0.01)
            case "forced":
                await engine.stop(force=True)
            case "cancelled":
                outside.cancel()
            case "crashed":
                raise Crash
            case _:
                self._over = True

    # What a user does ----------------------------------------------------------------------------

    async def _user(self, engine: tukio.Engine) -> None:
        while not self._over:
            name = f"w{self._dice.randrange(TEMPLATES)}"
            run = await engine.trigger(name, {"n": 0})
            if isinstance(run, tukio.Refusal):
                self.counts[f"refusals {run.reason.name}"] += 1
                if run.reason is tukio.Reason.STOPPING:
                    return
                await anyio.sleep(0.001)
            elif self._dice.random() < SAMPLE:
                await self._watched(engine, run)
            elif self._dice.random() < SAMPLE:
                # Not watched: a rescued run goes on under the same id, and ends once more.
                await self._rescued(engine, run)
            else:
                await self._disturbed(engine, run)

    async def _watched(self, engine: tukio.Engine, run: tukio.Workflow) -> None:
        """Disturb a run, and check the guarantees when it is over."""
        timeline = Timeline(_start=anyio.current_time())
        _, topic = workflow_exec_topics(run.uid)
        engine.broker.register(timeline._note, topic)
        try:
            await self._disturbed(engine, run)
        finally:
            engine.broker.unregister(timeline._note, topic)
        try:
            check_guarantees(run, timeline)
        except AssertionError as error:
            error.add_note(f"{run.template.as_dict()}\n{timeline}")
            raise
        self.counts["runs checked"] += 1

    async def _disturbed(self, engine: tukio.Engine, run: tukio.Workflow) -> None:
        """Do something to a run, and wait for its end."""
        deed = self._dice.choice(DEEDS)
        if deed is not None:
            await anyio.sleep(self._dice.choice((0, 0.001, 0.01)))
            self.counts[f"deeds {deed.__name__}"] += 1
            await deed(engine, run)
        await self._waited_for(run)

    async def _rescued(self, engine: tukio.Engine, run: tukio.Workflow) -> None:
        """Take a report of a run, cancel it, and go on from the report."""
        await anyio.sleep(self._dice.choice((0, 0.001, 0.01)))
        text = tukio.report_to_json(run.report())
        run.cancel()
        await self._waited_for(run)
        try:
            again = await engine.rescue(run.template, tukio.report_from_json(text))
        except tukio.RescueError as error:
            # It had not started, or its time was up.
            self.counts[f"rescues refused: {error.reason[:12]}..."] += 1
            return
        if not isinstance(again, tukio.Refusal):
            self.counts["rescues"] += 1
            await self._waited_for(again)

    async def _waited_for(self, run: tukio.Workflow) -> None:
        state = await run.wait()
        self.counts[f"runs {state.value}"] += 1


async def cancel(engine: tukio.Engine, run: tukio.Workflow) -> None:
    """Cancel it, twice."""
    run.cancel()
    run.cancel()


async def time_out(engine: tukio.Engine, run: tukio.Workflow) -> None:
    """Cancel it as if its time were up."""
    run.timeout()


async def cancel_one(engine: tukio.Engine, run: tukio.Workflow) -> None:
    """Cancel its latest task."""
    for step in [*run.tasks][-1:]:
        step.cancel()


async def suspend(engine: tukio.Engine, run: tukio.Workflow) -> None:
    """Suspend it for a while; nobody would resume it if the user were cancelled meanwhile."""
    run.suspend()
    try:
        await anyio.sleep(0.01)
    finally:
        if run.state is tukio.FutureState.suspended:
            run.resume()


async def give_up(engine: tukio.Engine, run: tukio.Workflow) -> None:
    """Stop waiting for it."""
    with anyio.move_on_after(0.005):
        await run.wait()


async def tell(engine: tukio.Engine, run: tukio.Workflow) -> None:
    """Send its tasks an event that they may listen to."""
    await engine.data_received({"n": 1}, "news")


DEEDS: tuple[Any, ...] = (*(None,) * 8, cancel, time_out, cancel_one, suspend, give_up, tell)
"""What is done to a run; mostly nothing."""


@contextmanager
def quiet() -> Iterator[None]:
    """Register the tasks for a while, and keep their failures out of the log."""
    task = Tasks()
    register_tasks(task)
    try:
        with silence():
            yield
    finally:
        task.forget()


async def soak(load: Load, dice: Random, seconds: float, say: Callable[[str], object]) -> list[str]:
    """Put load on the running backend.

    Args:
        load: Counts what happens.
        dice: Says how long an engine lives.
        seconds: For how long.
        say: Takes a line of figures, every few seconds and at the end.

    Returns:
        What is wrong with the memory of the process; nothing, if nothing is.

    Raises:
        BrokenGuarantee: A run does not hold what was promised.
        Leak: An engine left something behind.
    """
    start = said = anyio.current_time()
    while (now := anyio.current_time()) < start + seconds:
        if now >= said + SILENCE:
            say(_figures(load, now - start))
            said = now
        await load.live(min(dice.uniform(*LIFE), start + seconds - now))
    say(_figures(load, anyio.current_time() - start))
    return problems(load.looks[int(len(load.looks) * WARM_UP) :])


def _figures(load: Load, seconds: float) -> str:
    last = load.looks[-1] if load.looks else look()
    memory = "" if last.mib is None else f", {last.mib:.1f} MiB"
    return (
        f"{seconds:6.1f} s: {load.ended} runs, {load.ended / seconds:.0f} runs/s,"
        f" {load.counts['runs checked']} checked, {len(load.looks)} engines{memory},"
        f" {last.objects} objects"
    )
