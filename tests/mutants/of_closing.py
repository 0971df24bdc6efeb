"""The faults of handlers, of what undoes tasks, and of what comes last."""

from __future__ import annotations

from .mutant import Mutant

TESTS = ("run/test_closing.py",)
TOLD = ("run/test_closing_told.py",)
ON_ERROR = ("run/test_on_error.py",)

OF_CLOSING: tuple[Mutant, ...] = (
    Mutant(
        name="undoes in the order of ends",
        file="_model/closing.py",
        old="for number in reversed([*ended, *again])",
        new="for number in [*ended, *again]",
        why="what was built last is not torn down first (G16)",
        tests=TESTS,
    ),
    Mutant(
        name="undoes what has begun and not finished, whether asked to or not",
        file="_model/closing.py",
        old="    return undo.begun and has_begun and",
        new="    return has_begun and",
        why="money is given back that was never taken",
        tests=TESTS,
    ),
    Mutant(
        name="undoes after every ending",
        file="_model/closing.py",
        old="    if ending.value not in words.endings:\n",
        new="    if False:\n",
        why="a run that went well is undone",
        tests=TESTS,
    ),
    Mutant(
        name="forgets what had begun, and was to be run again",
        file="_run/restoring.py",
        old="            closing_of(run).begun.add(number)\n",
        new="            pass\n",
        why="what was half done when the process died stays so (G16)",
        tests=TOLD,
    ),
    Mutant(
        name="closes in scopes that others can cancel",
        file="_run/driver.py",
        old="scope(run.deadline, shield=True)",
        new="scope(run.deadline)",
        why="leaving the engine on trio cuts the undo (G16)",
        tests=TESTS,
    ),
    Mutant(
        name="lets a cancellation stop a run that closes",
        file="_run/run.py",
        old="        if self.ending is not None:\n            return False\n        try:\n",
        new="        if self.phase is OVER:\n            return False\n        try:\n",
        why="a second cancel interrupts the undo (G16)",
        tests=TESTS,
    ),
    Mutant(
        name="gives closing the limit of the run",
        file="_run/run.py",
        old="        self.deadline = until\n        if until < math.inf:\n",
        new="        if until < math.inf:\n",
        why="a run that has reached its limit is not undone",
        tests=TESTS,
    ),
    Mutant(
        name="forgets the one that was cut when there was no time left",
        file="_run/unwinding.py",
        old="    elif run.phase is CLOSING and now >= run.deadline:\n",
        new="    elif False:\n",
        why="nobody is told that something was not undone (G7)",
        tests=TESTS,
    ),
    Mutant(
        name="forgets those that were not begun when there was no time left",
        file="_run/closing.py",
        old="        run.keep_error(step.template.uid, error)\n    with ExitStack",
        new="    with ExitStack",
        why="nobody is told that something was not undone (G7)",
        tests=TESTS,
    ),
    Mutant(
        name="waits for an attempt that would not begin in time",
        file="_run/retrying.py",
        old="run.phase is CLOSING and ending.at + delay >= run.deadline",
        new="False",
        why="the time of those that could still be undone is waited away",
        tests=TESTS,
    ),
    Mutant(
        name="undoes anew, after a rescue, what was undone",
        file="_run/closing.py",
        old="        if known is not None:\n",
        new="        if False:\n",
        why="money is given back twice",
        tests=TOLD,
    ),
    Mutant(
        name="goes on with a run that was undone",
        file="_model/rescue.py",
        old="    if record.undone is not None:\n",
        new="    if False:\n",
        why="what comes next relies on what is there no more",
        tests=TOLD,
    ),
    Mutant(
        name="tells nobody that a run closes which never began",
        file="_run/closing.py",
        old="        run.tell_begin()\n",
        new="        pass\n",
        why="events of tasks come before the begin of their run",
        tests=TOLD,
    ),
    Mutant(
        name="leads to handlers without an error",
        file="_run/handled.py",
        old="        self.chosen = without_handlers(self.run.plan.shape, self.number)\n",
        new="        pass\n",
        why="a human is asked although all went well",
        tests=ON_ERROR,
    ),
    Mutant(
        name="leads to all successors by an error",
        file="_run/settling.py",
        old="    if leads_to is not None:\n        step.chosen = leads_to\n",
        new="",
        why="what needs the result begins without it",
        tests=ON_ERROR,
    ),
    Mutant(
        name="aborts by an error that is handled, when it is rescued",
        file="_run/restoring.py",
        old="step.state is FAILED and not step._is_handled()",
        new="step.state is FAILED",
        why="a rescued run ends otherwise (G11)",
        tests=ON_ERROR,
    ),
    Mutant(
        name="calls an error that is handled no error",
        file="_run/settling.py",
        old="    run.keep_error(step.template.uid, error)\n    # What",
        new="    # What",
        why="an error is lost (G7)",
        tests=ON_ERROR,
    ),
)
