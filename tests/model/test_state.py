"""The life of a run as one table, and the names of states and events."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from tukio._model.state import (
    MOVES,
    FutureState,
    Move,
    Phase,
    TaskExecState,
    WorkflowExecState,
    after,
    diagram,
    legal_moves,
)
from tukio.errors import IllegalMove, SkipTask

if TYPE_CHECKING:
    from collections.abc import Callable

# The table of moves


@given(st.lists(st.sampled_from(Move)))
def test_a_move_is_made_or_refused_with_the_choices(history: list[Move]) -> None:
    """No order of requests leads out of the table, and a refusal says what would be right."""
    phase = Phase.NEW
    for move in history:
        legal = legal_moves(phase)
        if move in legal:
            phase = after(phase, move)
        else:
            with pytest.raises(IllegalMove) as refusal:
                after(phase, move)
            assert refusal.value.args == (
                move.value,
                phase.value,
                tuple(choice.value for choice in legal),
            )


@given(st.lists(st.sampled_from(Move)))
def test_a_run_ends_once(history: list[Move]) -> None:
    """Exactly one ending (G2): whatever is asked, the end comes at most once and is the last."""
    phase, ends = Phase.NEW, 0
    for move in history:
        if move in legal_moves(phase):
            assert phase is not Phase.OVER
            phase = after(phase, move)
            ends += phase is Phase.OVER
    assert ends == (phase is Phase.OVER)


def test_every_phase_can_be_reached() -> None:
    """A phase that nothing leads to is a forgotten row."""
    reached = {Phase.NEW}
    for _ in Phase:
        reached |= {new for (old, _), new in MOVES.items() if old in reached}
    assert reached == set(Phase)


def test_every_move_is_legal_somewhere() -> None:
    """A move that no phase accepts is a forgotten row as well."""
    assert {move for _, move in MOVES} == set(Move)


def test_whatever_is_not_over_can_be_stopped() -> None:
    """The engine can always shut down; what stops already stops only once."""
    stopped = {phase: after(phase, Move.STOP) for phase in Phase if Move.STOP in legal_moves(phase)}
    assert set(stopped) == {Phase.NEW, Phase.RUNNING, Phase.SUSPENDED}
    assert set(stopped.values()) == {Phase.STOPPING}


def test_what_stops_can_only_end() -> None:
    """Nothing brings a run back to work once it was stopped (G3); before it ends, it closes."""
    assert legal_moves(Phase.STOPPING) == [Move.END, Move.CLOSE]
    assert legal_moves(Phase.CLOSING) == [Move.END]
    assert legal_moves(Phase.OVER) == []


def test_a_suspended_run_goes_back_to_where_it_was() -> None:
    """Suspension is a pause, not an end."""
    assert after(after(Phase.RUNNING, Move.SUSPEND), Move.RESUME) is Phase.RUNNING


def test_the_table_cannot_be_changed() -> None:
    """It is the contract of all runs."""
    with pytest.raises(TypeError):
        MOVES[Phase.OVER, Move.START] = Phase.RUNNING  # type: ignore[index]


@pytest.mark.parametrize(
    ("phase", "move", "words"),
    [
        (
            Phase.NEW,
            Move.RESUME,
            "cannot resume a workflow that is not started - it can: start, stop",
        ),
        (
            Phase.RUNNING,
            Move.RESUME,
            "cannot resume a workflow that is running - it can: suspend, stop, end, close",
        ),
        (Phase.STOPPING, Move.STOP, "cannot stop a workflow that is stopping - it can: end, close"),
        (Phase.CLOSING, Move.SUSPEND, "cannot suspend a workflow that is closing - it can: end"),
        (
            Phase.OVER,
            Move.SUSPEND,
            "cannot suspend a workflow that is over - it is over; start another run",
        ),
    ],
)
def test_a_refusal_reads_well(phase: Phase, move: Move, words: str) -> None:
    """What is wrong, and what to do instead."""
    with pytest.raises(IllegalMove) as refusal:
        after(phase, move)
    assert str(refusal.value) == words


def test_the_diagram_draws_the_table() -> None:
    """One arrow for each row, and one into the first phase."""
    first, start, *arrows = diagram().splitlines()
    assert first == "stateDiagram-v2"
    assert start == "    [*] --> NEW"
    assert "    RUNNING --> SUSPENDED: suspend" in arrows
    drawn = [arrow.replace(":", "").split() for arrow in arrows]
    assert [(Phase[old], Move(move), Phase[new]) for old, _, new, move in drawn] == [
        (old, move, new) for (old, move), new in MOVES.items()
    ]


# States and events


def test_states_and_event_types_have_the_names_of_1_x() -> None:
    """Stored reports and handlers compare these strings; what is of an attempt is new."""
    assert {state.value for state in FutureState} - {"retried"} == {
        "pending",
        "cancelled",
        "exception",
        "finished",
        "skipped",
        "suspended",
        "timeout",
    }
    assert WorkflowExecState.values() == [
        "workflow-begin",
        "workflow-end",
        "workflow-error",
        "workflow-progress",
        "workflow-suspend",
        "workflow-resume",
        "workflow-closing",
    ]
    assert TaskExecState.values() == [
        "task-begin",
        "task-end",
        "task-error",
        "task-skip",
        "task-progress",
        "task-timeout",
        "task-cancel",
        "task-stuck",
        "task-retry",
    ]


def test_what_was_interrupted_is_not_done() -> None:
    """A rescue runs it again, and nothing else (G11); an attempt is over, and its task is not."""
    undone = {state for state in FutureState if not state.done()} - {FutureState.retried}
    assert undone == {FutureState.pending, FutureState.suspended, FutureState.cancelled}


def _failed(error: Exception) -> Future[None]:
    future: Future[None] = Future()
    future.set_exception(error)
    return future


def _finished() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


def _cancelled() -> Future[None]:
    future: Future[None] = Future()
    future.cancel()
    return future


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (Future, FutureState.pending),
        (_finished, FutureState.finished),
        (_cancelled, FutureState.cancelled),
        (lambda: _failed(SkipTask()), FutureState.skipped),
        (lambda: _failed(ValueError()), FutureState.exception),
        (lambda: SimpleNamespace(state=FutureState.timeout), FutureState.timeout),
    ],
    ids=["pending", "finished", "cancelled", "skipped", "failed", "with a state of its own"],
)
def test_the_state_of_any_future_can_be_told(
    make: Callable[[], object], state: FutureState
) -> None:
    """Runs and tasks say it themselves; a future of another kind is asked as such."""
    assert FutureState.get(make()) is state


def test_an_error_has_an_event_type() -> None:
    """A skip is no error."""
    assert TaskExecState.from_exception(SkipTask("nothing new")) is TaskExecState.SKIP
    assert TaskExecState.from_exception(KeyError()) is TaskExecState.ERROR
