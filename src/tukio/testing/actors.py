"""A task that does what its config says: what random workflows are made of.

Owns:   the behaviours there are, and how each is performed.
Knows:  what any task of a user may; nothing of the strategies that draw behaviours.

A behaviour is the `config` of a task named `actor`; or, if it never waits, of a `prompt actor`,
which has no `await` in its code. What is left out is not done:

starts:    `error`: its holder cannot be made
chooses:   the places of the successors that it goes on with, said at its begin
turns:     how many checkpoints it passes first
seconds:   how long it sleeps then
nests:     how long each task of a group sleeps that it starts and waits for after that
nested:    `error`: the first of these to end raises instead
awaits:    how many events it takes out of its queue in the end; see `topics` of the template
ends:      `dict` (default: its inputs, its id, and `heard`, the data of these events), `event`
           (the same as an event), `none`, `text`, `skip`, `task error`, `timeout error`, `error`
swallows:  how often it answers a cancellation by starting over
shields:   how many seconds it shields its unwinding after that
when_cut:  `passes` (default: it ends by the cancellation), or one of `ends`
teardown:  what its `teardown()` does: `dict` returns one, `error` raises, else nothing
cleans:    how many seconds that takes
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from .._model.errors import SkipTask, TukioTaskError
from .._model.event import Event
from .._run.current import current_task
from .._step.holder import TaskHolder
from .registration import registered

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    Data = dict[str, Any]

ACTOR = "actor"
"""The name that it is registered under."""

PROMPT_ACTOR = "prompt actor"
"""The name of the one that never waits."""

WAITS = frozenset({"turns", "seconds", "nests", "awaits"})
"""The words that take an actor that can wait."""


class Actor(TaskHolder):
    """Does what its config says; the head of this module has the words.

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
        successors = task.workflow.template.dag.successors(task.template)
        chosen = [each.uid for place, each in enumerate(successors) if place in places]
        task.workflow.set_next_tasks(chosen)

    async def _work(self) -> None:
        self._heard = []
        for _ in range(self.config.get("turns", 0)):
            await anyio.lowlevel.checkpoint()
        if self.config.get("seconds"):
            await anyio.sleep(self.config["seconds"])
        if naps := self.config.get("nests"):
            first = naps.index(min(naps)) if self.config.get("nested") == "error" else None
            async with anyio.create_task_group() as group:
                for number, seconds in enumerate(naps):
                    group.start_soon(_nap, seconds, number == first)
        assert self.queue is not None
        for _ in range(self.config.get("awaits", 0)):
            received = await self.queue.get()
            self._heard.append(dict(received.data))

    def _end_as(self, how: str, inputs: Data) -> object:
        uid = current_task().template.uid
        result = {**inputs, uid: how} | ({"heard": self._heard} if self._heard else {})
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
    """Does what its config says, as long as that is nothing to wait for.

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


@contextmanager
def actors() -> Generator[None, None, None]:
    """Register the actors for the length of a `with` block.

    Raises:
        ValueError: Another task has the name of one. Nothing was registered.
    """
    with registered(ACTOR, Actor, "execute"), registered(PROMPT_ACTOR, PromptActor, "execute"):
        yield
