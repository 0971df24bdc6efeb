"""Where tukio 2 leaves what was recorded from 1.1.2, and why.

Each difference is a change to the recording: it says what 1.1.2 did there, or it does not apply
and fails. Nothing else may differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Difference(NamedTuple):
    """One reason for tukio 2 to be different.

    Attributes:
        why: The reason.
        apply: Changes a recording into what tukio 2 does, in place.
    """

    why: str
    apply: Callable[[Any], None]


def replaced(why: str, path: list[Any], old: Any, new: Any) -> Difference:
    """Tukio 2 has something else in one place.

    Args:
        why: The reason.
        path: Keys and indexes that lead there.
        old: What was recorded.
        new: What is expected.
    """

    def apply(record: Any) -> None:
        *parents, last = path
        for key in parents:
            record = record[key]
        assert record[last] == old, f"1.1.2 did not do this: {path}"
        record[last] = new

    return Difference(why, apply)


def task_cancelled(task: str, at: int, run: str = "flow") -> Difference:
    """A task that is cancelled tells so, before the run tells its end, and has an end itself."""

    def apply(record: Any) -> None:
        outcome = _execution(record, run, task)
        assert (outcome["state"], outcome["end"]) == ("cancelled", None)
        outcome["end"] = "time"
        for path, events in record["runs"][run]["branches"].items():
            if task in path.split():
                events.insert(-1, [at, "task-cancel", task, None])

    return Difference("no task ends without an event and an end", apply)


def workflow_timed_out(run: str = "flow") -> Difference:
    """The end of a run that has reached its limit says so."""

    def apply(record: Any) -> None:
        for events in record["runs"][run]["branches"].values():
            assert events[-1][1:] == ["workflow-end", None, {"cancel": True}]
            events[-1][3] = {"cancel": True, "timeout": True}

    return Difference("a time limit can be told from a cancellation", apply)


def limited(elapsed: float, run: str = "flow") -> Difference:
    """The report of a run with a time limit says how much of it is used up, in seconds."""

    def apply(record: Any) -> None:
        outcome = record["runs"][run]["report"]["exec"]
        assert "elapsed" not in outcome
        outcome["elapsed"] = elapsed

    return Difference("a rescue arms the limit with what was left (G11)", apply)


def task_failed(task: str, kind: str, message: str, run: str = "flow") -> Difference:
    """The report says what a task has failed with."""

    def apply(record: Any) -> None:
        outcome = _execution(record, run, task)
        assert outcome["state"] == "exception"
        assert "error" not in outcome
        outcome["error"] = {"type": kind, "message": message}

    return Difference("no error is lost (G7)", apply)


def skipped(task: str, reason: str) -> Difference:
    """The report says why a task was skipped."""

    def apply(record: Any) -> None:
        outcome = _execution(record, "flow", task)
        assert outcome["state"] == "skipped"
        assert "error" not in outcome
        outcome["error"] = {"type": "SkipTask", "message": reason}

    return Difference("no error is lost (G7), nor a reason", apply)


def chose(task: str, chosen: list[str], run: str = "flow") -> Difference:
    """The report says which successors a task has chosen."""

    def apply(record: Any) -> None:
        outcome = _execution(record, run, task)
        assert "chosen" not in outcome
        outcome["chosen"] = chosen

    return Difference("a rescue honours routing decisions (G11)", apply)


def joined(task: str, run: str = "flow") -> Difference:
    """When the last parent has joined, progress is told as it is; then that the join is done."""

    def apply(record: Any) -> None:
        for path, events in record["runs"][run]["branches"].items():
            if task in path.split():
                told = [event for event in events if event[1:3] == ["task-progress", task]]
                assert [event[3]["status"] for event in told[-2:]] == ["done", "done"]
                told[-2][3]["status"] = "running"

    return Difference("what is told does not change afterwards (G9)", apply)


def ordered(order: str, run: str = "flow") -> Difference:
    """The report of a run with a join says in which order its tasks ended."""

    def apply(record: Any) -> None:
        outcome = record["runs"][run]["report"]["exec"]
        assert "order" not in outcome
        outcome["order"] = order.split()

    return Difference("what comes of a join depends on the order, and not on the clock", apply)


def one_execution(task: str, run: str = "flow") -> Difference:
    """The result of a run has each task once, with its last execution."""

    def apply(record: Any) -> None:
        end = record["runs"][run]["end"]
        assert end.count(task) == 2
        end.remove(task)

    return Difference("a suspended execution has no result: the next one takes its place", apply)


def _execution(record: Any, run: str, task: str) -> Any:
    (described,) = [one for one in record["runs"][run]["report"]["tasks"] if one["id"] == task]
    return described["exec"]


def _cut_join_tells_no_progress(record: Any) -> None:
    report = _execution(record, "flow", "j")["reporting"]
    assert report["status"] == "timeout"
    report["status"] = "cancelled"
    for events in record["runs"]["flow"]["branches"].values():
        (told,) = [event for event in events if event[1:3] == ["task-progress", "j"]][1:]
        assert told[3]["status"] == "timeout"
        events.remove(told)


def _no_events_outside(record: Any) -> None:
    (events,) = record["runs"].pop("outside")["branches"].values()
    assert [event[1] for event in events] == ["task-end", "task-end"]


def _there_are_new_words(record: Any) -> None:
    (words,) = record["notes"]["task events"]
    assert not {"CANCEL", "STUCK", "RETRY"} & words.keys()
    words |= {"CANCEL": "task-cancel", "STUCK": "task-stuck", "RETRY": "task-retry"}
    (words,) = record["notes"]["workflow events"]
    assert "CLOSING" not in words
    words["CLOSING"] = "workflow-closing"
    (states,) = record["notes"]["states"]
    assert "retried" not in states
    states["retried"] = "retried"


DIFFERENCES: dict[str, list[Difference]] = {
    "data_changed_inputs_do_not_pass": [task_failed("x", "ValueError", "after a change")],
    "data_skip": [skipped("b", "nothing to do")],
    "data_skip_at_the_root": [
        skipped("a", "None"),
        replaced(
            "the facts of an error are its arguments, given or not",
            ["runs", "flow", "branches", "a b", 2, 3, "exception", "args"],
            [],
            [None],
        ),
    ],
    "data_next_tasks": [chose("a", ["c"])],
    "data_next_tasks_none_at_all": [chose("b", [])],
    "data_next_tasks_last_choice_counts": [chose("a", ["c"])],
    "data_next_tasks_of_a_skipped_task": [chose("a", ["b"]), skipped("a", "chosen")],
    "ends_error_at_the_root": [task_failed("a", "KeyError", "'boom'")],
    "ends_error_in_the_middle": [task_failed("b", "KeyError", "'boom'")],
    "ends_error_at_a_leaf": [task_failed("b", "KeyError", "'boom'")],
    "ends_error_after_a_while": [task_failed("b", "ValueError", "('late', 3)")],
    "ends_task_error_with_data": [task_failed("a", "TukioTaskError", "{'code': 3}")],
    "ends_task_error_with_text": [task_failed("b", "TukioTaskError", "text")],
    "ends_workflow_timeout": [
        task_cancelled("b", at=500),
        task_cancelled("y", at=500),
        workflow_timed_out(),
        limited(0.5),
    ],
    "ends_timeout_not_reached": [limited(1 - (1 - 0.1))],
    "ends_workflow_cancel": [task_cancelled("b", at=500), task_cancelled("y", at=500)],
    "ends_workflow_cancels_itself": [task_cancelled("a", at=0)],
    "ends_task_cancelled_from_outside": [task_cancelled("b", at=100)],
    "ends_task_cancels_itself": [task_cancelled("b", at=100)],
    "ends_suspend_and_resume": [one_execution("b")],
    "ends_suspended_report": [one_execution("b")],
    "ends_awaited_and_cancelled": [task_cancelled("a", at=100)],
    "ends_awaited_with_a_limit": [task_cancelled("a", at=100)],
    "joins_count": [joined("j"), ordered("a b c j k")],
    "joins_names": [joined("j"), ordered("a b c j k")],
    "joins_names_in_another_order": [joined("j"), ordered("a b c j k")],
    "joins_first_of_others": [joined("j"), ordered("a b c d j k")],
    "joins_two_of_three": [joined("j"), ordered("a b c j k d")],
    "joins_skipped_parent": [joined("j"), skipped("b", "nothing"), ordered("a b c d j k")],
    "joins_cancelled": [
        ordered("a b j c"),
        task_cancelled("c", at=200),
        task_cancelled("j", at=200),
        Difference(
            "a join that is cancelled has not reached a time limit", _cut_join_tells_no_progress
        ),
    ],
    "joins_time_limit": [ordered("a b j k c")],
    "joins_report_while_joining": [joined("j"), ordered("a b c j k")],
    "joins_two_in_a_row": [joined("j"), joined("k"), ordered("a b c j d k z")],
    "tasks_tasks_of_a_run": [task_failed("b", "ValueError", "no")],
    "tasks_alone": [
        Difference("looking at a result has no side effects: it tells nobody", _no_events_outside)
    ],
    "policies_abort_running": [task_cancelled("a", at=500)],
    "policies_abort_running_before_the_start": [task_cancelled("a", at=500)],
    "policies_skip_while_suspended": [one_execution("a")],
    "engine_stop_by_force": [task_cancelled("a", at=100)],
    "engine_stop_then_by_force": [task_cancelled("a", at=500)],
    "pieces_enumerations": [
        Difference(
            "cancelled tasks tell so, those that do not stop are named, and others are run again",
            _there_are_new_words,
        )
    ],
}
