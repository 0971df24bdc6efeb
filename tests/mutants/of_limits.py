"""The faults of what follows when a task has reached its limit."""

from __future__ import annotations

from .mutant import Mutant

OF_LIMITS: tuple[Mutant, ...] = (
    Mutant(
        name="goes on after a limit, whatever the template says",
        file="_run/outcome.py",
        old="    if fails_at_limit(task) or is_last:\n",
        new="    if False:\n",
        why="a task that must not take longer has no result, and its successors run (G4)",
        tests=("run/test_on_timeout.py",),
    ),
    Mutant(
        name="loses what a clean-up returned of a task that failed at its limit",
        file="_run/outcome.py",
        old="        shown = None if result is None else output\n",
        new="        shown = None\n",
        why="the report does not show what there was",
        tests=("run/test_on_timeout.py",),
    ),
    Mutant(
        name="counts a limit that was provided for as a failure",
        file="_run/verdict.py",
        old="TIMED_OUT and not goes_well_at_limit(step.template):\n",
        new="TIMED_OUT:\n",
        why="nobody can say that what came in time is good enough",
        tests=("run/test_on_timeout.py",),
    ),
    Mutant(
        name="takes silence about a limit for consent",
        file="_model/time_limits.py",
        old="    return task.on_timeout == CONTINUE\n",
        new="    return task.on_timeout != FAIL\n",
        why="a run that was cut in a task says that all is well",
        tests=("run/test_on_timeout.py",),
    ),
    Mutant(
        name="forgets after a rescue that a task has failed at its limit",
        file="_run/task_run.py",
        old="isinstance(error, RecordedError) and error.kind == TaskTimedOut.__name__\n",
        new="False\n",
        why="`timed_out` of the same task is another one after a rescue",
        tests=("run/test_on_timeout.py",),
    ),
    # Signs of life
    Mutant(
        name="takes a step for alive that only looks so at the first look",
        file="_run/idle.py",
        old="            signs.call_off = backend.alarms.at(due, self._look)\n",
        new="            pass\n",
        why="after the first sign of life nobody looks any more (G4)",
        tests=("run/test_idle.py",),
    ),
    Mutant(
        name="counts silence from the begin, whatever signs there are",
        file="_run/idle.py",
        old="        due = signs.last + self._longest\n",
        new="        due = (self.started_at or 0.0) + self._longest\n",
        why="it is one more limit for the whole task",
        tests=("run/test_idle.py",),
    ),
    Mutant(
        name="leaves the alarm of a step that was interrupted",
        file="_run/idle.py",
        old="            signs.call_off()\n",
        new="            pass\n",
        why="an engine on trio is left only when the alarm has gone off (G1)",
        tests=("run/test_idle.py",),
    ),
    Mutant(
        name="asks for signs of life from a step that unwinds",
        file="_run/idle.py",
        old="if not signs.has_cut and (self.interrupted_for is INTERRUPTED or",
        new="if not signs.has_cut and (",
        why="a step that was suspended counts as timed out (G4)",
        tests=("run/test_idle.py",),
    ),
    Mutant(
        name="asks for signs of life from a step whose run is past its limit",
        file="_run/idle.py",
        old="run.phase is STOPPING or run.backend.time() >= run.deadline",
        new="run.phase is STOPPING",
        why="what a step returns at the end of its run is lost",
        tests=("run/test_idle.py",),
    ),
    Mutant(
        name="does not notice a silent step that has blocked the loop",
        file="_run/idle.py",
        old="        if self._is_late(self.run.backend.time()):\n",
        new="        if False:\n",
        why="what is silent for too long is cut on one backend and not on the other (G4)",
        tests=("run/test_by_the_clock.py",),
    ),
    Mutant(
        name="does not tell silence from a limit",
        file="_run/idle.py",
        old="            return TaskTimedOut(task.uid, task.idle_timeout, idle=True)\n",
        new="            return TaskTimedOut(task.uid, task.idle_timeout)\n",
        why="the user looks for a limit that was never reached",
        tests=("run/test_idle.py",),
    ),
)
