"""Deliberate faults of what reports tell, and of how data comes back."""

from __future__ import annotations

from .mutant import Mutant

OF_REPORTS: tuple[Mutant, ...] = (
    Mutant(
        name="runs what the template becomes",
        file="_model/edition.py",
        old="        copies = {task: task.bare_copy() for task in graph}\n",
        new="        copies = {task: task for task in graph}\n",
        why="a report shows ids and limits that never ran (G10)",
        tests=("run/test_template_changes.py",),
    ),
    Mutant(
        name="does not notice that a task has changed",
        file="_model/task_template.py",
        old="            self._watch.append(name)\n",
        new="",
        why="a limit that is set after the first run is never kept",
        tests=("run/test_template_changes.py",),
    ),
    Mutant(
        name="does not notice a change in place",
        file="_model/shape.py",
        old="shape.given and not is_same(shape.given, shape.kept)",
        new="False",
        why="a config that was changed after the first run is never used",
        tests=("run/test_template_changes.py",),
    ),
    Mutant(
        name="tells of a group and not of its leaves",
        file="_model/account.py",
        old="                self._tell_leaves(error, told, length)\n",
        new="                pass\n",
        why="a report says that a task group has failed, and not why (G7)",
        tests=("model/test_account.py",),
    ),
    Mutant(
        name="lets a traceback grow with each look",
        file="_run/task_run.py",
        old="            BaseException.with_traceback(error, before_looks(error, _RESULT, self))\n",
        new="",
        why="who polls the result of a task fills the memory (G7)",
        tests=("guarantees/test_g7_errors.py",),
    ),
    Mutant(
        name="forgets which of two equal hours it was",
        file="_model/moments.py",
        old="    if not value.fold and (zone",
        new="    if (zone",
        why="a time comes back as another one, once a year (G10)",
        tests=("model/test_codecs.py",),
    ),
    Mutant(
        name="hands on data with the tags of JSON in it",
        file="_model/record.py",
        old="    report = decoded(report)\n",
        new="",
        why="the next task gets forms in place of values (G11)",
        tests=("guarantees/test_g11_rescue.py",),
    ),
    Mutant(
        name="believes what a codec makes",
        file="_model/decoding.py",
        old="    if not isinstance(made, codec.kind):\n",
        new="    if False:\n",
        why="a task gets a list where there was an object of the user's",
        tests=("model/test_codecs.py",),
    ),
    Mutant(
        name="shares a dict whose copy is itself",
        file="_model/detach.py",
        old="    elif own is value:\n",
        new="    elif False:\n",
        why="what one handler changes, the others find (G9)",
        tests=("model/test_event.py",),
    ),
    Mutant(
        name="takes it that any group can be split",
        file="_model/guard.py",
        old="    if problem is None:\n        return parts",
        new="    if True:\n        return parts",
        why="a group of a user's class, in a clean-up, fails the run in place of the step (G7)",
        tests=("model/test_guard.py",),
    ),
    Mutant(
        name="asks an error whether it is true",
        file="_run/unwinding.py",
        old="raised if parts.error is None else parts.error",
        new="parts.error or raised",
        why="an error of a user's class, in a clean-up, fails the run in place of the step (G7)",
        tests=("run/test_errors_of_any_class.py",),
    ),
    Mutant(
        name="shows the cover of an error in place of it",
        file="_run/unwinding.py",
        old="raised = exc.error if isinstance(exc, EscapedExit) else exc",
        new="raised: BaseException = exc",
        why="users find an error of a class that they have never seen (G7)",
        tests=("run/test_errors_of_any_class.py",),
    ),
)
