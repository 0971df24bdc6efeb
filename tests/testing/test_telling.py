"""What the helpers raise says by itself what was wrong: the words of the check, bounded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support.flow import flow
from support.hostile_texts import Fails, Tells
from tukio.testing import (
    BrokenGuarantee,
    BrokenThere,
    act_everywhere,
    cancel_everywhere,
    fail_everywhere,
    leave_everywhere,
    no_faults,
    rescue_everywhere,
)
from tukio.testing.faults import CANNOT_GO_ON
from tukio.testing.telling import LONGEST, place, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import tukio
    from support.flow import Tasks


@pytest.fixture
def make_run(task: Tasks) -> Callable[[tukio.Engine], Any]:
    """Return what starts a run of one task."""

    @task
    async def work(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        return {"n": 1}

    return lambda engine: engine.run_once(flow("work"), {})


def wrong(run: tukio.Workflow, timeline: Any) -> None:
    """Check what does not hold."""
    assert sorted(run.outputs) == ["nothing", "like", "it"], "its own words"


async def wrong_in_a_group(run: tukio.Workflow, timeline: Any) -> None:
    """Check the same in a task of its own."""
    async with anyio.create_task_group() as group:
        group.start_soon(_fails_later, run)


async def _fails_later(run: tukio.Workflow) -> None:
    await anyio.sleep(1)
    wrong(run, None)


WAYS: list[Callable[..., Any]] = [
    cancel_everywhere,
    fail_everywhere,
    leave_everywhere,
    lambda make_run, check: act_everywhere(make_run, lambda run: None, check),
]


@pytest.mark.parametrize("check", [wrong, wrong_in_a_group])
@pytest.mark.parametrize("way", WAYS, ids=["cancel", "fail", "leave", "act"])
async def test_what_a_check_found_is_in_the_message(way: Any, make_run: Any, check: Any) -> None:
    """With what pytest says of the `assert`, also out of a group; the point and the events too."""
    with pytest.raises(BrokenThere) as caught:
        await way(make_run, check)
    text = str(caught.value)
    assert "at point 1, " in text.splitlines()[0]
    assert "AssertionError: its own words\nassert [" in text
    assert " == ['nothing', 'like', 'it']" in text
    assert "workflow-begin" in text
    assert text.index("its own words") < text.index("     0.000  workflow-begin")


async def test_what_a_rescue_came_to_is_in_the_message(task: Tasks) -> None:
    """There it is not the words of a check; here JSON cannot carry what a task has returned."""
    same = object()

    @task
    async def odd(event: tukio.Event) -> dict[str, object]:
        return {"n": same}

    def start(engine: tukio.Engine) -> Any:
        return engine.run_once(flow("odd other", names={"other": "odd"}), {})

    words = r"'task-end' of 'odd': RescueError: .* other.inputs.n was lost on its way through JSON"
    with pytest.raises(BrokenThere, match=words):
        await rescue_everywhere(start)


def raised(error: BaseException) -> BaseException:
    """Return an exception that was raised."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_an_assert_without_words_tells_its_line(tmp_path: Path) -> None:
    """As in a module that pytest does not rewrite."""
    path = tmp_path / "helpers.py"
    path.write_text("def check(n):\n    n += 1\n    assert n == 3\n")
    space: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), space)  # noqa: S102 - see above
    with pytest.raises(AssertionError) as caught:
        space["check"](1)
    assert told(caught.value) == f"AssertionError at {path}:3, `assert n == 3`"
    assert told(ValueError()) == "ValueError"
    assert told(raised(KeyError(""))) == "KeyError: ''"


def test_a_group_tells_all_that_is_in_it() -> None:
    """With the groups on the way there."""
    inner = ExceptionGroup("inner", [ValueError("one"), KeyError("two")])
    text = told(ExceptionGroup("outer", [inner, OSError("three")]))
    assert text.splitlines() == [
        "ExceptionGroup: outer (2 sub-exceptions)",
        "  outer > inner > ValueError: one",
        "  outer > inner > KeyError: 'two'",
        "  outer > OSError: three",
    ]


class Unspeakable(AssertionError):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise ValueError(Fails())


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("x" * 10**6),
        ExceptionGroup("g" * 10**6, [AssertionError("x" * 10**5) for _ in range(200)]),
        Unspeakable(),
        AssertionError(Fails()),
        AssertionError(Tells(), "\ud800"),
    ],
)
def test_whatever_was_raised_is_told_within_bounds(error: Exception) -> None:
    """A message of a megabyte tells nobody anything."""
    assert 0 < len(told(raised(error))) <= LONGEST


def test_a_place_is_told_whatever_its_source_is() -> None:
    """There may be none, or a loader of it that fails."""

    class Loader:
        def get_source(self, name: str) -> str:
            raise LookupError(name)

    space = {"__name__": "odd", "__loader__": Loader()}
    code = compile("def f():\n  yield\n", "<odd\x1b[31m\n>" + "x" * 1000, "exec")
    exec(code, space)  # noqa: S102 - a source that is nowhere
    generator: Any = space["f"]()  # type: ignore[operator]
    text = place(generator.gi_frame, 2)
    assert text.startswith(r"<odd\x1b[31m\n>xxx")
    assert text.endswith("...:2")
    assert len(text) < 300


def test_a_fault_of_the_engine_is_told_whatever_it_was() -> None:
    """One that cannot be shown is a fault, too."""
    log = logging.getLogger("tukio.run")
    for error, words in (
        (RuntimeError("no"), "RuntimeError: no"),
        (Unspeakable(), "Unspeakable: <a Unspeakable that cannot be shown>"),
        (None, ""),
    ):
        with pytest.raises(BrokenGuarantee, match=f"a run could not go on: {words}"), no_faults():
            log.error(CANNOT_GO_ON, "x", exc_info=error)
