"""Coroutines that are driven by hand, and awaited where they suspend."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from tukio._loop.coroutines import ENDED, EscapedExit, finish_awaiting, one_by_one

who: ContextVar[str] = ContextVar("who", default="nobody")


class Trap:
    """Yields itself to whoever drives the coroutine, as what a backend waits for does."""

    def __await__(self) -> Any:
        answer = yield self
        return answer


async def work(story: list[Any]) -> str:
    """Wait twice, and tell who runs this each time."""
    who.set("work")
    try:
        story.append((who.get(), await Trap()))
        story.append((who.get(), await Trap()))
    finally:
        story.append((who.get(), "left"))
    return "done"


def begun(story: list[Any]) -> Any:
    """Return a coroutine that awaits another one, which waits in a context of its own."""
    context, coro = copy_context(), work(story)
    trap = context.run(coro.send, None)
    assert isinstance(trap, Trap)
    awaiting: Any = finish_awaiting(context, coro, trap)
    assert awaiting.send(None) is trap
    return awaiting


def test_the_rest_of_a_coroutine_runs_in_its_own_context() -> None:
    """Answers go in, and the result comes out."""
    story: list[Any] = []
    awaiting = begun(story)
    assert isinstance(awaiting.send("first"), Trap)
    with pytest.raises(StopIteration) as end:
        awaiting.send("second")
    assert end.value.value == "done"
    assert story == [("work", "first"), ("work", "second"), ("work", "left")]
    assert who.get() == "nobody"


def test_whoever_is_closed_closes_what_is_awaited() -> None:
    """As Python does with all that waits when the loop is gone: at once, and in its context."""
    story: list[Any] = []
    awaiting = begun(story)
    awaiting.close()
    assert story == [("work", "left")]


@pytest.mark.parametrize("first", [False, True], ids=["thrown", "sent"])
def test_an_exit_that_a_coroutine_raises_by_itself_is_told_from_that(first: bool) -> None:
    """It is an error of the coroutine, and nothing is being closed."""

    async def leaves() -> None:
        try:
            await Trap()
        finally:
            raise GeneratorExit("mine")

    coro = leaves()
    trap = coro.send(None)
    awaiting: Any = finish_awaiting(copy_context(), coro, trap)
    awaiting.send(None)
    with pytest.raises(EscapedExit) as escaped:
        awaiting.send(None) if first else awaiting.throw(LookupError())
    assert str(escaped.value.error) == "mine"


def test_a_runner_runs_one_coroutine_after_another() -> None:
    """It says when it has ended with one, and waits for the next."""
    story: list[Any] = []
    _, send = one_by_one()
    for _ in range(2):
        assert isinstance(send(work(story)), Trap)
        assert isinstance(send(1), Trap)
        assert send(2) is ENDED
    assert [what for _, what in story] == [1, 2, "left"] * 2
