"""The faults of tasks that are run again."""

from __future__ import annotations

from .mutant import Mutant

TESTS = ("run/test_retry.py",)

OF_RETRY: tuple[Mutant, ...] = (
    Mutant(
        name="begins the number of attempts anew when a run is rescued",
        file="_model/replay.py",
        old="        step.restore_earlier(fact)\n",
        new="        pass\n",
        why="a task that brings its process down is tried for ever",
        tests=TESTS,
    ),
    Mutant(
        name="forgets the attempts of a step that is suspended",
        file="_step/step.py",
        old="        if extras.attempts:\n            new.extras.attempts",
        new="        if False:\n            new.extras.attempts",
        why="suspending and resuming gives a task more attempts than it has",
        tests=TESTS,
    ),
    Mutant(
        name="gives a first attempt that was suspended all its time once more",
        file="_step/step.py",
        old="            new.extras.first_at = self.started_at if first is None else first\n",
        new="            pass\n",
        why="a task that is suspended often enough is tried for ever",
        tests=TESTS,
    ),
    Mutant(
        name="tries again while the run stops",
        file="_run/retrying.py",
        old="    return run.phase in _GOES_ON and not step.cancel_called\n",
        new="    return not step.cancel_called\n",
        why="a cancelled run is not over before the next attempt is (G3)",
        tests=(*TESTS, "guarantees/test_g3_cancel.py", "testing/test_everywhere.py"),
    ),
    Mutant(
        name="tries again a task that was cancelled alone",
        file="_run/retrying.py",
        old="    return run.phase in _GOES_ON and not step.cancel_called\n",
        new="    return run.phase in _GOES_ON\n",
        why="cancel does not mean cancelled (G3)",
        tests=TESTS,
    ),
    Mutant(
        name="tries a task again that the text of its error has cancelled",
        file="_run/retrying.py",
        old="            if _may_go_on(run, step):\n                _try_again(",
        new="            if True:\n                _try_again(",
        why="a task begins in a run that was cancelled (G3)",
        tests=("run/test_cuts_in_callbacks.py",),
    ),
    Mutant(
        name="keeps the error of an attempt that another one followed",
        file="_run/retrying.py",
        old="    put_off(run, new, at + made.delay)\n",
        new="    put_off(run, new, at + made.delay)\n"
        "    run.keep_error(step.template.uid, error)\n",
        why="a run that went well says that it did not",
        tests=TESTS,
    ),
    Mutant(
        name="loses what comes due in the middle of a suspension",
        file="_run/later.py",
        old="    run.plan.ready.append(step)\n",
        new="    if run.phase is RUNNING:\n        run.plan.ready.append(step)\n",
        why="the run is over without its task",
        tests=TESTS,
    ),
    Mutant(
        name="does not cancel what waits for an instant",
        file="_run/calling_off.py",
        old="        unbegun += run.waiting.take_put_off()\n",
        new="        run.waiting.put_off.clear()\n",
        why="whoever waits for a task that never begins waits for ever (G2)",
        tests=TESTS,
    ),
    Mutant(
        name="lets an attempt that is cut at the end of all its time go on as in 1.x",
        file="_run/outcome.py",
        old="    if fails_at_limit(task) or is_last:\n",
        new="    if fails_at_limit(task):\n",
        why="a task that was tried for too long counts as one that went well",
        tests=TESTS,
    ),
    Mutant(
        name="does not cut an attempt at the end of all its time",
        file="_run/within.py",
        old="        driver.scope.deadline = min(driver.scope.deadline, now + left)\n",
        new="",
        why="`within` is not kept (G4)",
        tests=TESTS,
    ),
    Mutant(
        name="counts downtime as time in which a task was tried",
        file="_step/step.py",
        old="        extras.first_at = backend.time() - known.tried\n",
        new="        extras.first_at = 0.0\n",
        why="a run that is rescued late gives up at once",
        tests=TESTS,
    ),
    Mutant(
        name="draws another wait each time",
        file="_model/retry.py",
        old="Random(seed).random()",
        new="Random().random()",
        why="a rescued run waits for another time than was reported",
        tests=TESTS,
    ),
    Mutant(
        name="tries a limit again that its template takes for the end",
        file="_run/retrying.py",
        old="        step.template.on_timeout != RETRY or",
        new="        False or",
        why="`on_timeout: fail` is not what it says",
        tests=TESTS,
    ),
)
