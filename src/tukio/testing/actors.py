"""Actors: tasks that behave as their config says. Random workflows are made of these.

Owns:   the possible behaviours, and how each is performed.
Knows:  the same as any task of a user; nothing of the strategies that draw behaviours.

A behaviour is the `config` of a task named `actor`. If it never waits, it may also be the `config`
of a `prompt actor`, which has no `await` in its code. All keys are optional:

starts:    `error`: the holder of the actor cannot be made
chooses:   the positions of the successors that the actor chooses when it begins
turns:     the number of checkpoints that the actor passes first
seconds:   the seconds that the actor sleeps then
beats:     whether the actor shows a sign of life then; see `idle_timeout` of tasks
nests:     the seconds that each task of a group sleeps, which the actor starts and awaits then
nested:    `error`: the first task of that group to end raises instead
cancels:   whether the actor cancels itself then, and waits for that
awaits:    the number of events that the actor reads from its queue last; see the template's
           `topics`
ends:      `dict` (default: the inputs, the actor's id, and `heard`, the data of these events),
           `event` (the same as an event), `none`, `text`, `skip`, `task error`, `timeout error`,
           `error`
swallows:  the number of cancellations after which the actor starts over
shields:   the seconds that the actor shields its unwinding, after the next cancellation
when_cut:  the end after that: `passes` (default: by the cancellation), or one of `ends`
teardown:  the result of `teardown()`: `dict` returns one, `error` raises, else None is returned
cleans:    the seconds that `teardown()` takes
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from .._model.errors import SkipTask, TukioTaskError
from .._model.event import Event
from .._model.registry import REGISTRY
from .._run.current import current_task
from .._run.idle import heartbeat
from .._step.holder import TaskHolder
from .registration import registered

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    Data = dict[str, Any]

ACTOR = "actor"
"""The name that `Actor` is registered under."""

PROMPT_ACTOR = "prompt actor"
"""The name that `PromptActor`, which never waits, is registered under."""

MAY_GO_ON = "actor may go on"
"""The name that `may_go_on` is registered under."""

WAITS = frozenset({"turns", "seconds", "nests", "cancels", "awaits"})
"""The keys of a behaviour that waits, which a prompt actor cannot have."""


class Actor(TaskHolder):
    """Behaves as its config says; the docstring of this module has the keys.

    Args:
        config: The behaviour.
    """

    __slots__ = ("_heard",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config or {})
        self._heard: list[Data] = []
        if self.config.get("starts") == "error":
            raise ValueError(current_task().template.uid)

    async def execute(self, event: Event) -> object:
        """Perform the behaviour."""
        if "chooses" in self.config:
            self._choose(self.config["chooses"])
        for lives in range(self.config.get("swallows", 0), -1, -1):
            try:
                await self._work()
            except anyio.get_cancelled_exc_class():  # noqa: ASYNC103 - a bad task is what it plays
                if lives:
                    continue  # noqa: ASYNC104 - likewise
                if self.config.get("shields"):
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(self.config["shields"])
                if (how := self.config.get("when_cut", "passes")) == "passes":
                    raise
                return self._end_as(how, event.data)  # noqa: ASYNC104 - likewise
            break
        return self._end_as(self.config.get("ends", "dict"), event.data)

    async def teardown(self) -> Data | None:
        """Perform the clean-up."""
        if self.config.get("cleans"):
            await anyio.sleep(self.config["cleans"])
        if self.config.get("teardown") == "error":
            raise LookupError(current_task().template.uid)
        if self.config.get("teardown") == "dict":
            return {current_task().template.uid: "torn down"}
        return None

    @staticmethod
    def _choose(places: Collection[int]) -> None:
        task = current_task()
        # Those of the run: the template may have been edited since.
        shape = task.run.plan.shape
        successors = [shape.tasks[number].uid for number in shape.successors[task.number]]
        chosen = [uid for place, uid in enumerate(successors) if place in places]
        task.workflow.set_next_tasks(chosen)

    async def _work(self) -> None:
        self._heard = []
        for _ in range(self.config.get("turns", 0)):
            await anyio.lowlevel.checkpoint()
        if self.config.get("seconds"):
            await anyio.sleep(self.config["seconds"])
        if self.config.get("beats"):
            heartbeat()
        if naps := self.config.get("nests"):
            first = naps.index(min(naps)) if self.config.get("nested") == "error" else None
            async with anyio.create_task_group() as group:
                for number, seconds in enumerate(naps):
                    group.start_soon(_nap, seconds, number == first)
        if self.config.get("cancels"):
            current_task().cancel()
            await anyio.sleep_forever()
        assert self.queue is not None
        for _ in range(self.config.get("awaits", 0)):
            received = await self.queue.get()
            self._heard.append(dict(received.data))

    def _end_as(self, how: str, inputs: Any) -> object:
        uid = current_task().template.uid
        # What undoes a task is given its output, which may be anything.
        known = inputs if isinstance(inputs, dict) else {}
        result = {**known, uid: how} | ({"heard": self._heard} if self._heard else {})
        match how:
            case "dict":
                return result
            case "event":
                return Event(result)
            case "none":
                return None
            case "text":
                return "text"
            case "skip":
                raise SkipTask(uid)
            case "task error":
                raise TukioTaskError({"code": uid})
            case "timeout error":
                raise TimeoutError(uid)
            case _:
                raise ValueError(uid)


class PromptActor(Actor):
    """Behaves as its config says; the behaviour must not have any of `WAITS`.

    Args:
        config: The behaviour.
    """

    __slots__ = ()

    async def execute(self, event: Event) -> object:
        """Perform the behaviour."""
        if "chooses" in self.config:
            self._choose(self.config["chooses"])
        return self._end_as(self.config.get("ends", "dict"), event.data)


async def _nap(seconds: float, fails: bool) -> None:  # noqa: FBT001 - for a task group
    await anyio.sleep(seconds)
    if fails:
        raise ValueError(current_task().template.uid)


def may_go_on(error: BaseException, attempt: int) -> bool:
    """Say whether an actor is run again: once, and not after a `TukioTaskError`.

    Raises:
        LookupError: The error is a `TimeoutError` of the actor itself.
    """
    if type(error) is TimeoutError:
        raise LookupError(attempt)
    return attempt == 1 and not isinstance(error, TukioTaskError)


@contextmanager
def actors() -> Generator[None, None, None]:
    """Register the actors for one `with` block, in the place of tasks that have their names.

    And the predicate that their `retry_if` may have.
    """
    predicates = REGISTRY.predicates
    is_new = MAY_GO_ON not in predicates
    with registered({ACTOR: Actor, PROMPT_ACTOR: PromptActor}):
        if is_new:
            predicates.add(MAY_GO_ON, may_go_on)
        try:
            yield
        finally:
            if is_new:
                predicates.remove(MAY_GO_ON)
