"""The engine does what its model says, whatever is done to it and in whichever order."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, note, strategies as st

import tukio
from support.hurry import hurry
from support.profiles import many
from tukio._engine import instances, runs_of_template
from tukio._model.policy import Decision
from tukio.testing import check_guarantees
from tukio.testing.clock import BACKENDS, is_available, run

from .commands import Stage, command_lists, on_model, state_of_model
from .engine_model import HORIZON, EngineModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .commands import Command
    from .parts import Data


class Differs(AssertionError):
    """The engine and the model differ."""


class Left(Exception):
    """The block of an engine is left by an error."""


def template(uid: str = "a", **fields: Any) -> Data:
    """Return a template as commands have it: its task takes 9 s, and 2 s more to unwind."""
    does = {"seconds": 9, "shields": 2}
    common: Data = {"policy": "start-new", "topics": None, "timeout": None}
    return {"id": uid, **common, "does": does, "on_error": "continue", **fields}


def printed(commands: Sequence[Command]) -> str:
    """Return commands as they can be pasted into a test."""
    return "[\n" + "".join(f"    {command!r},\n" for command in commands) + "]"


def compare(done: Sequence[Command], model: Data, engine: Data) -> None:
    """Make sure that there is the same to see of both.

    Raises:
        Differs: There is not; it shows what was done until then.
    """
    pairs = [(what, model[what], engine[what]) for what in model]
    wrong = [f"{what}: model {one}\n{what}: engine {two}" for what, one, two in pairs if one != two]
    if wrong:
        raise Differs("\n".join([*wrong, f"commands = {printed(done)}"]))


async def play(commands: Sequence[Command], *, by_error: bool = False) -> None:
    """Do the same to an engine and to the model, leave, and compare them after each command.

    Raises:
        Differs: They differ.
        BrokenGuarantee: A guarantee did not hold.
    """
    hurry()
    model = EngineModel()

    async def do_all(first: int, last: int) -> None:
        for place in range(first, last):
            expected = on_model(model, commands[place], place)
            seen = await stage.do(commands[place], place)
            both = state_of_model(model), stage.state()
            compare(
                commands[: place + 1], {"answer": expected, **both[0]}, {"answer": seen, **both[1]}
            )

    with suppress(Left), anyio.CancelScope() as patience:
        async with tukio.Engine() as engine:
            stage = Stage(engine)
            await do_all(0, len(commands))
            patience.deadline = anyio.current_time() + HORIZON
            if by_error:
                raise Left
    model.leave(force=by_error)
    compare(commands, state_of_model(model), stage.state())
    for workflow in stage.runs:
        check_guarantees(workflow, stage.timeline)
    for short in model.runs:
        stage.check_order(short.number, [other.number for other in short.replaced])
    commands = [*commands, *AFTERWARDS]
    await do_all(len(commands) - len(AFTERWARDS), len(commands))


AFTERWARDS: list[Command] = [
    ("load", template()),
    *(("trigger", "a"), ("run_once", template()), ("data_received", "red")),
    *(("resume", 0), ("stop", None, True), ("pause", 1)),
]
"""What is done to an engine that was left: nothing starts any more."""


@many(600)
@given(commands=command_lists(), by_error=st.booleans(), seed=st.sampled_from([None, 1, 2, 3]))
def test_an_engine_does_what_its_model_says(
    commands: list[Command], by_error: bool, seed: int | None
) -> None:
    """Answers, states, the order of the instances, what triggers what, and all events (G1-G10)."""

    async def played() -> None:
        await play(commands, by_error=by_error)

    for backend in filter(is_available, BACKENDS):
        note(f"on {backend}")
        run(played, backend=backend, seed=seed)


ALONE = template(policy="abort-running")
SHORT = template(timeout=2 + 1 / 16)

TIGHT: dict[str, list[Command]] = {
    "the grace ends while a replacement waits": [
        *(("load", ALONE), ("trigger", "a"), ("pause", 1), ("trigger", "a")),
        *(("stop", 1.5, False), ("pause", 1), ("pause", 1), ("pause", 1)),
    ],
    "there is no grace for a replacement that waits": [
        *(("load", ALONE), ("trigger", "a"), ("pause", 1), ("trigger", "a")),
        *(("stop", 0, False), ("pause", 0), ("pause", 5)),
    ],
    "there is no grace, and what would have ended a task comes too late": [
        ("load", template(policy="skip", does={"awaits": 1, "listens": ["red"]})),
        *(("trigger", "a"), ("pause", 0), ("stop", 0, False), ("data_received", "red")),
    ],
    "a run starts beside a replacement that waits": [
        *(("load", ALONE), ("trigger", "a"), ("pause", 1), ("trigger", "a")),
        *(("run_once", ALONE), ("load", template()), ("trigger", "a"), ("pause", 5)),
        *(("load", ALONE), ("trigger", "a"), ("pause", 5), ("pause", 5)),
    ],
    "a suspended run is replaced, and resumed in vain": [
        *(("load", ALONE), ("trigger", "a"), ("pause", 1), ("suspend", 0), ("pause", 5)),
        *(("trigger", "a"), ("resume", 0), ("suspend", 1), ("pause", 1), ("suspend", 1)),
    ],
    "the limit passes while a step unwinds from a suspension": [
        *(("run_once", SHORT), ("pause", 2), ("suspend", 0), ("pause", 1), ("resume", 0)),
        ("pause", 1),
    ],
    "the grace ends while a run is suspended, and another resumed": [
        *(("run_once", SHORT), ("run_once", template()), ("run_once", template()), ("pause", 1)),
        *(("suspend", 1), ("suspend", 2), ("stop", 4.5, False), ("pause", 2), ("resume", 2)),
        *(("pause", 2), ("pause", 5)),
    ],
    "a template with faults is refused as such, whatever the engine does": [
        *(("load", template()), ("stop", None, False), ("run_once", template(does=None))),
    ],
    "who triggers a replacement is replaced by it": [
        ("load", template(policy="abort-running", does={"awaits": 1, "listens": ["red"]})),
        *(("trigger", "a"), ("pause", 0), ("data_received", "red"), ("pause", 0)),
    ],
}


@pytest.mark.parametrize("commands", TIGHT.values(), ids=TIGHT)
@pytest.mark.parametrize("by_error", [False, True], ids=["", "by error"])
async def test_a_tight_case_is_what_the_model_says(commands: list[Command], by_error: bool) -> None:
    """Two things meet that are seldom drawn together."""
    await play(commands, by_error=by_error)


async def test_a_fault_is_seen_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what led to it, to be pasted into a test, and no more."""

    def forgetful(policy: tukio.OverrunPolicy, *, running: int, locked: int) -> Decision:
        del policy, running, locked
        return Decision.START

    commands: list[Command] = [
        *(("load", template("b", policy="skip")), ("trigger", "b"), ("pause", 1)),
        *(("suspend", 0), ("trigger", "b"), ("pause", 5)),
    ]
    await play(commands)
    monkeypatch.setattr(runs_of_template, "decide", forgetful)
    with pytest.raises(Differs) as caught:
        await play(commands)
    shown, _, pasted = str(caught.value).partition("commands = ")
    assert shown.startswith("answer: model SKIPPED b\nanswer: engine 1\n")
    assert eval(pasted) == commands[:5]  # noqa: S307 - our own


async def test_a_run_that_nobody_was_given_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were one started that is not in the answer, its events would tell."""
    start = instances.Instances.start

    def start_two(*args: Any) -> Any:
        start(*args)
        return start(*args)

    monkeypatch.setattr(instances.Instances, "start", start_two)
    with pytest.raises(Differs, match="instances: engine"):
        await play([("load", template()), ("trigger", "a"), ("cancel", 0)])


async def play_by_handler(commands: Sequence[Command], later: dict[int, list[Command]]) -> None:
    """Do things to an engine, some of them in the middle of its n-th event.

    Raises:
        BrokenGuarantee: A guarantee did not hold.
    """
    hurry()
    count = 0
    answers: list[Any] = []
    cut: list[str] = []

    def act(event: tukio.Event) -> None:
        nonlocal count
        count += 1
        for command in later.pop(count, ()):
            # Else one of many calls would give others a turn, which nobody has within a handler.
            engine._starts._calls = engine._turns._calls = 0
            call = stage.do(command, count)
            try:
                call.send(None)
            except BaseException as end:  # noqa: BLE001 - what a handler raises is only logged
                answers.append(end)
            else:
                # It is cut, as the task is cancelled that the handler is called in.
                cut.append(command[0])
                call.close()

    with anyio.CancelScope() as patience:
        async with tukio.Engine() as engine:
            stage = Stage(engine)
            engine.broker.register(act, tukio.EXEC_TOPIC)
            for place, command in enumerate(commands):
                await stage.do(command, place)
            patience.deadline = anyio.current_time() + HORIZON
    stage.state()
    assert [answer for answer in answers if not isinstance(answer, StopIteration)] == []
    assert set(cut) <= {"load", "reload", "unload", "rescue"}
    assert engine.done()
    assert len(stage.stories) == len(stage.runs)
    for workflow in stage.runs:
        check_guarantees(workflow, stage.timeline)


numbers = st.lists(st.integers(1, 12), max_size=16)


@many(150)
@given(commands=command_lists(), by_handler=command_lists(), numbers=numbers)
def test_a_handler_may_do_anything_to_an_engine(
    commands: list[Command], by_handler: list[Command], numbers: list[int]
) -> None:
    """Each run comes to its one end, and no guarantee is broken (G1-G10)."""
    acts = [command for command in by_handler if command[0] != "pause"]
    later: dict[int, list[Command]] = {}
    for number, command in zip(numbers, acts, strict=False):
        later.setdefault(number, []).append(command)

    async def played() -> None:
        await play_by_handler(commands, {**later})

    for backend in filter(is_available, BACKENDS):
        note(f"on {backend}")
        run(played, backend=backend)
