"""The faults of maps of workflows: mapped tasks each of whose items is a run of its own."""

from __future__ import annotations

from .mutant import Mutant

TESTS = ("run/test_map_of_workflows.py",)

OF_MAPPED_CHILDREN: tuple[Mutant, ...] = (
    Mutant(
        name="interrupts a map of workflows with its run",
        file="_run/mapped_children.py",
        old="    def interrupt(self) -> None:\n",
        new="    def interrupted(self) -> None:\n",
        why="children that were suspended are cancelled, and begin anew",
        tests=TESTS,
    ),
    Mutant(
        name="does not fill the places that became free while the run was suspended",
        file="_run/mapped_children.py",
        old="        self._next(None if limit is None else max(limit - len(work.open), 0))\n",
        new="        del limit\n",
        why="the run waits for ever for items that do not begin",
        tests=TESTS,
    ),
    Mutant(
        name="makes items at work once more when the run is resumed",
        file="_step/items.py",
        old="for index in self.items.left() if index not in made])",
        new="for index in self.items.left()])",
        why="an item has two children at once",
        tests=TESTS,
    ),
    Mutant(
        name="cancels a child at the limit of its run, which nobody has learnt of",
        file="_run/children.py",
        old="        self.step.run.stop_if_expired()\n",
        new="",
        why="a child is told as cancelled that was late",
        tests=("run/test_children_closing.py",),
    ),
    Mutant(
        name="begins the time in which a run closes for no child that its limit has just cut",
        file="_run/children.py",
        old="    if run.stop_if_expired():\n        closing_until(run)\n",
        new="    run.stop_if_expired()\n",
        why="how much time a run has to close depends on the backend, and on chance",
        tests=("run/test_children_closing.py",),
    ),
    Mutant(
        name="leaves the children of a map at work that is cut",
        file="_run/mapped_children.py",
        old="            stop_all([child for child in awaited if child is not None],",
        new="            stop_all([child for child in awaited if child is self],",
        why="a cancelled task waits for its children as long as they like (G3)",
        tests=TESTS,
    ),
    Mutant(
        name="forgets the report of a child that has finished with errors",
        file="_run/mapped_children.py",
        old="            self.work.items.children[item._place] = child\n",
        new="            pass\n",
        why="nobody learns what went wrong in it",
        tests=TESTS,
    ),
    Mutant(
        name="forgets that of one whose item was over before a rescue",
        file="_run/mapped_children.py",
        old="                self.work.items.children[fact.place] = child\n",
        new="                pass\n",
        why="the report of a rescued run lacks what its items were",
        tests=TESTS,
    ),
    Mutant(
        name="begins the children of items anew in a rescued run",
        file="_engine/children.py",
        old="            yield from work.earlier.values()\n",
        new="            pass\n",
        why="what was over in a child is done twice (G11)",
        tests=TESTS,
    ),
    Mutant(
        name="leaves the child of an item with the execution before",
        file="_run/mapped_children.py",
        old="            child.step, new.extras.child, self.extras.child = new, child, None\n",
        new="            pass\n",
        why="what was over in a child is done twice (G11)",
        tests=TESTS,
    ),
    Mutant(
        name="forgets the errors of items that have not failed, in a rescue",
        file="_run/restoring.py",
        old="of_items(run.plan.steps) | beside_items(facts)",
        new="of_items(run.plan.steps)",
        why="a run that was flawed has gone well after a rescue (G7)",
        tests=TESTS,
    ),
)
