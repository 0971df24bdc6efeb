"""The faults of what goes on although a handler or a callback has ended the program."""

from __future__ import annotations

from .mutant import Mutant

ENDS = ("run/test_ends_in_callbacks.py",)
CAUGHT = ("run/test_ends_caught.py",)

OF_CALLBACKS: tuple[Mutant, ...] = (
    Mutant(
        name="waits for a child that is over when its limit ends the program",
        file="_run/child_step.py",
        old="        try:\n            heed_limit(self.run)\n        finally:\n",
        new="        heed_limit(self.run)\n        if True:\n",
        why="on trio the program hangs: its run waits for a child that is over (G1)",
        tests=("run/test_ctrl_c.py",),
    ),
    Mutant(
        name="closes no further when a handler of the begin of that ends the program",
        file="_run/closing.py",
        old="            run.end_if_empty()\n        raise\n",
        new="            pass\n        raise\n",
        why="on trio the program hangs: nobody drives what is left to undo (G1)",
        tests=ENDS,
    ),
    Mutant(
        name="is not over at the limit of its closing when a callback ends the program",
        file="_run/closing.py",
        old=(
            "    finally:\n"
            "        # Also when a callback has ended the program.\n"
            "        run.end_if_empty()\n"
        ),
        new="    finally:\n        pass\n    run.end_if_empty()\n",
        why="on trio the program hangs in a run with nothing left to do (G1)",
        tests=ENDS,
    ),
    Mutant(
        name="cancels no further child after one that ends the program",
        file="_run/children.py",
        old="    call_all(partial(child.stop, ending, final=final) for child in children)\n",
        new="    [child.stop(ending, final=final) for child in list(children)]\n",
        why="a run that was cancelled goes on with its other children (G3)",
        tests=CAUGHT,
    ),
    Mutant(
        name="tells no further item after one that ends the program",
        file="_run/whole.py",
        old="        call_all(calls)\n",
        new="        [call() for call in calls]\n",
        why="items that have begun have no end (G2)",
        tests=CAUGHT,
    ),
    Mutant(
        name="does not tell of a mapped task one of whose items ends the program",
        file="_run/settling.py",
        old="                step.note_end()\n            finally:\n",
        new="                step.note_end()\n            except LookupError:\n",
        why="a task that has begun has no end (G2)",
        tests=CAUGHT,
    ),
    Mutant(
        name="waits for a child that is over when a predicate ends the program",
        file="_run/child_step.py",
        old="                run.cancel_from_outside()\n                self._settle(",
        new="                pass\n            else:\n                self._settle(",
        why="on trio the program hangs: its run waits for a child that is over (G1)",
        tests=ENDS,
    ),
    Mutant(
        name="asks an error for its text as a step is over",
        file="_run/settling.py",
        old="        ending, handled = _provided_for(",
        new=(
            "        step.state, step.ended_at = state, at\n"
            "        ending, handled = _provided_for("
        ),
        why="a task whose error ends the program has no end (G2)",
        tests=ENDS,
    ),
)
