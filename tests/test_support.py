"""What the other tests stand on: cancellation at every await."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from support.checkpoints import cancel_at_every_await


async def test_a_body_is_cancelled_at_each_of_its_awaits() -> None:
    """Once per suspension, from the first to the last; what lies behind is not reached."""
    story: list[str] = []
    told: list[list[str]] = []

    async def body() -> None:
        story.clear()
        for name in "abc":
            story.append(name)
            await anyio.sleep(1)
        story.append("end")

    async def check(point: int) -> None:
        assert point == len(story)
        told.append(story.copy())

    assert await cancel_at_every_await(body, check) == 3
    assert told == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert story == ["a", "b", "c", "end"]


async def test_a_body_may_finish_its_shielded_clean_up() -> None:
    """The check sees the world after the clean-up, outside the cancelled scope."""
    is_clean = False

    async def body() -> None:
        nonlocal is_clean
        is_clean = False
        try:
            await anyio.sleep(1)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
            is_clean = True

    async def check(_: int) -> None:
        await anyio.lowlevel.checkpoint()
        assert is_clean

    assert await cancel_at_every_await(body, check) == 2


async def test_the_tasks_of_a_body_are_cut_off_with_it() -> None:
    """A task group of the body is left only when its tasks have unwound."""
    alive: set[int] = set()

    async def child(number: int) -> None:
        alive.add(number)
        try:
            await anyio.sleep(number)
        finally:
            alive.discard(number)

    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(1, 4):
                tasks.start_soon(child, number)
                await anyio.lowlevel.checkpoint()

    async def check(_: int) -> None:
        await anyio.lowlevel.checkpoint()
        assert not alive

    # On asyncio a checkpoint may be two suspensions, so only the least is the same everywhere.
    assert await cancel_at_every_await(body, check) >= 4


async def test_a_broken_postcondition_tells_where() -> None:
    """The error is that of the check, with a note."""

    async def body() -> None:
        for _ in range(3):
            await anyio.sleep(1)

    async def check(point: int) -> None:
        await anyio.lowlevel.checkpoint()
        assert point < 2

    with pytest.raises(AssertionError) as broken:
        await cancel_at_every_await(body, check)
    assert broken.value.__notes__[-1] == "the body was cancelled at its await number 2"
