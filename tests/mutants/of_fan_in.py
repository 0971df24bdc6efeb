"""The faults of tasks that wait for several parents."""

from __future__ import annotations

from .mutant import Mutant

OF_FAN_IN: tuple[Mutant, ...] = (
    Mutant(
        name="lets a failure count as a route",
        file="_model/gathering.py",
        old="            self._miss(number, step.number, is_spoilt=True)\n",
        new="            self._miss(number, step.number, is_spoilt=False)\n",
        why="a task that waits for all begins without the one that failed",
        tests=("model/test_fan_in.py",),
    ),
    Mutant(
        name="lets a route count as a failure",
        file="_model/gathering.py",
        old="                self._miss(number, step.number, is_spoilt=False)\n",
        new="                self._miss(number, step.number, is_spoilt=True)\n",
        why="the branches of an `if` never come together again",
        tests=("model/test_fan_in.py",),
    ),
    Mutant(
        name="begins with the first that is missing",
        file="_model/gathering.py",
        old="        if self._undecided[number] and len(gathered) != join.wanted:\n",
        new="        if len(gathered) != join.wanted and not self._spoilt:\n",
        why="a task does not wait for those that can still come",
        tests=("model/test_fan_in.py",),
    ),
    Mutant(
        name="forgets why a join is out of reach",
        file="_model/gathering.py",
        old="                spoilt = number in self._spoilt\n",
        new="                spoilt = False\n",
        why="a task that waits for all begins, though what it waits for has failed further up",
        tests=("model/test_fan_in.py",),
    ),
    Mutant(
        name="begins what waits while a run is cancelled",
        file="_model/gathering.py",
        old="        if not gathered or self._called_off:\n",
        new="        if not gathered:\n",
        why="a report of a run that is over shows a task that is due (G3)",
        tests=("run/test_fan_in.py",),
    ),
    Mutant(
        name="does not let a report say that a task had begun without a parent",
        file="_model/replay.py",
        old="    step = plan.reached_early(number)\n",
        new="    step = plan.steps[number]\n",
        why="the report of a run whose task was cancelled alone cannot be rescued (G11)",
        tests=("run/test_fan_in.py",),
    ),
    Mutant(
        name="hands a parent's own data to the task that waited",
        file="_model/fan_in.py",
        old="own_data(data) for data, parent in arrived",
        new="data for data, parent in arrived",
        why="what the task changes is changed in the output of the parent (G9)",
        tests=("model/test_fan_in.py",),
    ),
    Mutant(
        name="shows a task that waited only its last parent",
        file="_model/gathering.py",
        old="else [*gathered, *step.late]\n",
        new="else [gathered[-1], *step.late]\n",
        why="`parents()` leaves out those that have come",
        tests=("run/test_fan_in.py",),
    ),
)
