"""The faults of mapped tasks and their items."""

from __future__ import annotations

from .mutant import Mutant

TESTS = ("run/test_map.py", "run/test_map_items.py", "run/test_map_rescue.py")
MODEL = ("reference/test_maps.py",)
"""What the reference model says alone."""

OF_MAP: tuple[Mutant, ...] = (
    Mutant(
        name="lets one failure more than is tolerated pass",
        file="_run/mapping.py",
        old="            if work.items.went_wrong > work.allowed and not work.is_closed:\n",
        new="            if work.items.went_wrong > work.allowed + 1 and not work.is_closed:\n",
        why="items are run for nothing: the task has failed already",
        tests=TESTS,
    ),
    Mutant(
        name="does not limit how many items are at work",
        file="_run/mapping.py",
        old="        self._next(mapped.limit)\n",
        new="        self._next(None)\n",
        why="ten thousand requests are under way at once",
        tests=TESTS,
    ),
    Mutant(
        name="is over before its items have unwound",
        file="_step/items.py",
        old="            return not self.open\n",
        new="            return True\n",
        why="items are at work though their task is over (G1)",
        tests=TESTS,
    ),
    Mutant(
        name="makes an item ready while the run stops",
        file="_run/mapping.py",
        old="work.has_more and self.run.phase is RUNNING and",
        new="work.has_more and",
        why="an item begins in a run that was cancelled (G3)",
        tests=TESTS,
    ),
    Mutant(
        name="runs finished items again after a suspension",
        file="_run/mapping.py",
        old="        new.extras.items = self.extras.items\n",
        new="",
        why="what is over is done twice (G11)",
        tests=TESTS,
    ),
    Mutant(
        name="lets the failure of an item abort the run",
        file="_run/settling.py",
        old=" is FAILED and step.number != LOOSE\n",
        new=" is FAILED\n",
        why="a failure that the template tolerates ends everything",
        tests=TESTS,
    ),
    Mutant(
        name="tries a mapped task again for its items",
        file="_run/mapping.py",
        old='        """It is that of the items."""\n        return\n',
        new='        """It is that of the items."""\n        return self.template._retry\n',
        why="every item is run once more because of one",
        tests=TESTS,
    ),
    Mutant(
        name="leaves a retried item out of those that it waits for",
        file="_run/mapping.py",
        old="            work.open[new] = None\n",
        new="",
        why="the run hangs, or the task is over before its items",
        tests=TESTS,
    ),
    Mutant(
        name="gives the results in the order in which items end",
        file="_model/items.py",
        old="        return [*map(self.results.get, range(self.total or 0))]\n",
        new="        return [*self.results.values()]\n",
        why="a result stands for another item",
        tests=TESTS,
    ),
    Mutant(
        name="loses finished items in a rescue",
        file="_model/items.py",
        old="                self.results[fact.place] = fact.result\n",
        new="                pass\n",
        why="what is over is done twice (G11)",
        tests=TESTS,
    ),
    Mutant(
        name="goes on with another list after a rescue",
        file="_model/rescue.py",
        old="            _refuse_other_items(step, record, plan.shape)\n",
        new="",
        why="results stand for other items than those that were run",
        tests=TESTS,
    ),
    Mutant(
        name="does not cut items when the task is cut alone",
        file="_run/mapping.py",
        old="            item.cancel_called = True\n        elif",
        new="            return\n        elif",
        why="a task past its limit waits for its items to end by themselves (G4)",
        tests=TESTS,
    ),
    Mutant(
        name="needs no scope for a task that maps a function without await",
        file="_model/shape.py",
        old="frozenset(n for n, kinds in asked if MAP in kinds)",
        new="frozenset()",
        why="the task cannot be cancelled while it waits for its items (G3)",
        tests=TESTS,
    ),
    Mutant(
        name="tries an item again that is cleaned up after while its task is cut",
        file="_run/mapping.py",
        old="            item.cancel_called = True\n",
        new="            item.cancel_called = driver is not None\n",
        why="its error is lost: there is no next attempt (G7)",
        tests=MODEL,
    ),
    Mutant(
        name="waits for the next attempt at an item of a task that is suspended",
        file="_run/mapping.py",
        old="            if work.is_closed:\n                # One of them",
        new="            if False:\n                # One of them",
        why="the item begins in a suspended task, which is over only after it",
        tests=MODEL,
    ),
    Mutant(
        name="tells that a task is over before its items",
        file="_run/mapping.py",
        old='its items are over first."""\n        self._end_interrupted()\n',
        new='its items are over first."""\n',
        why="who follows the events sees items at work in a task that is over (G1)",
        tests=("run/test_map_told.py", *MODEL),
    ),
    Mutant(
        name="names a task as stuck whose items have just unwound",
        file="_run/mapping.py",
        old="        # Also in the turn in which none is left: no code of the user's is in here.\n"
        "        return True\n",
        new="        return bool(self.work.open)\n",
        why="the log blames a task that has nothing of the user's in it (G6)",
        tests=("run/test_map_told.py",),
    ),
)
