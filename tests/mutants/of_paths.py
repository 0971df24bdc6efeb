"""The faults of paths, predicates, defaults, deadlines, and of what is told of attempts."""

from __future__ import annotations

from .mutant import Mutant

OF_PATHS: tuple[Mutant, ...] = (
    Mutant(
        name="asks a user's kind of dict for what a path leads to",
        file="_model/paths.py",
        old="        return dict.get(value, step, _MISSING)\n",
        new="        return value[step] if step in value else _MISSING\n",
        why="data whose methods raise cannot be looked into, or fills itself while it is",
        tests=("model/test_paths.py",),
    ),
    Mutant(
        name="takes what is missing for null",
        file="_model/paths.py",
        old="            if found is _MISSING:\n",
        new="            if found is _MISSING and value is not None:\n",
        why="nobody is told that a path leads to nothing",
        tests=("model/test_paths.py",),
    ),
    Mutant(
        name="lets a path look into the output of any task",
        file="_model/lineage.py",
        old="    return list(found)\n",
        new="    return list(parents)\n",
        why="a path to what is not there yet is found when it runs, not when it is loaded (G12)",
        tests=("model/test_paths.py",),
    ),
    Mutant(
        name="gives a predicate more than it takes",
        file="_model/predicate_table.py",
        old="self.function(*about[: self.most])",
        new="self.function(*about)",
        why="a predicate of one argument fails each time",
        tests=("model/test_predicates.py", "run/test_retry_if.py"),
    ),
    Mutant(
        name="tries again without asking",
        file="_run/retrying.py",
        old="(delay if answer and _may_go_on(run, step) else None)",
        new="(delay if _may_go_on(run, step) else None)",
        why="`retry_if` says nothing",
        tests=("run/test_retry_if.py",),
    ),
    Mutant(
        name="begins another attempt though its predicate has cancelled the run",
        file="_run/retrying.py",
        old="(delay if answer and _may_go_on(run, step) else None)",
        new="(delay if answer or not _may_go_on(run, step) else None)",
        why="a run that was cancelled is not over (G3)",
        tests=("run/test_retry_if.py",),
    ),
    Mutant(
        name="loses the error that a predicate was asked about",
        file="_run/retrying.py",
        old="        add_cause(problem, ending.error)\n",
        new="",
        why="nobody learns what the task itself has raised (G7)",
        tests=("run/test_retry_if.py",),
    ),
    Mutant(
        name="runs a task again when its predicate is broken",
        file="_run/retrying.py",
        old="        return None, ending._replace(error=problem)\n",
        new="        return delay, ending._replace(error=problem)\n",
        why="what cannot be decided is done all the same",
        tests=("run/test_retry_if.py",),
    ),
    Mutant(
        name="puts defaults in the place of what a task says",
        file="_model/defaults.py",
        old="for slot, value in said.items() if getattr(task, slot) is None}",
        new="for slot, value in said.items()}",
        why="a task has no way to say otherwise",
        tests=("model/test_defaults.py",),
    ),
    Mutant(
        name="takes a limit of none for nothing said",
        file="_model/defaults.py",
        old="for slot, value in said.items() if getattr(task, slot) is None}",
        new="for slot, value in said.items() if not getattr(task, slot)}",
        why="no task can be without a limit",
        tests=("model/test_defaults.py", "run/test_defaults.py"),
    ),
    Mutant(
        name="counts a deadline anew after a rescue",
        file="_run/restoring.py",
        old="        appoint(run, record.appointment)\n",
        new="        pass\n",
        why="a run that is down for a while comes later than it was asked to (G11)",
        tests=("run/test_deadline.py",),
    ),
    Mutant(
        name="tells the begin of a run that is too late to begin",
        file="_run/suspending.py",
        old=(
            "    if run.stop_if_expired():\n"
            "        # Perhaps before its begin was told: then that is told no more.\n"
            "        return False\n"
        ),
        new="",
        why="something begins after the limit of the run (G4)",
        tests=("run/test_deadline.py",),
    ),
    Mutant(
        name="tells a task of its own limit alone",
        file="_run/appointment.py",
        old="    earliest: float = run.deadline\n",
        new="    earliest = math.inf\n",
        why="a task that plans by its deadline is cut before",
        tests=("run/test_deadline.py",),
    ),
    Mutant(
        name="tells who looks on later nothing of the attempts before",
        file="_run/events.py",
        old="        yield from _of_attempts(step, extras.attempts, place, known)\n",
        new="",
        why="the story of a run depends on when one begins to read it",
        tests=("run/test_attempts_told.py",),
    ),
    Mutant(
        name="keeps no fact of an attempt that has failed",
        file="_run/retrying.py",
        old="        run.keep_fact(new.due_fact(_fact_of(new, at)))\n",
        new="        pass\n",
        why="a run that is replayed in mid-wait is tried from the first attempt on",
        tests=("run/test_attempts_told.py", "run/test_ledger.py"),
    ),
)
