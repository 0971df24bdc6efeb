"""Faults in what Ctrl-C meets: what it must not cut, and how what it has cut ends."""

from __future__ import annotations

from .mutant import Mutant

ANYWHERE = ("run/test_ctrl_c_anywhere.py",)
SALVAGE = ("run/test_salvage.py",)

OF_INTERRUPTS: tuple[Mutant, ...] = (
    Mutant(
        name="lets Ctrl-C cut the engine on trio",
        file="_backends/trio/backend.py",
        old="    protect()\n    return",
        new="    return",
        why="a run that was cut in the middle is waited for in vain (G1)",
        tests=ANYWHERE,
    ),
    Mutant(
        name="holds Ctrl-C back from tasks on trio",
        file="_backends/trio/protection.py",
        old="    if code in EXPOSED:\n",
        new="    if False:\n",
        why="a task that never ends cannot be ended",
        tests=("backends/test_protection.py",),
    ),
    Mutant(
        name="counts on drivers that Ctrl-C has ended",
        file="_run/salvage.py",
        old="        del run.drivers[driver]\n        close_coroutine(driver)\n",
        new="        close_coroutine(driver)\n",
        why="the end of a run waits for a driver that is no more (G1)",
        tests=SALVAGE,
    ),
    Mutant(
        name="counts on a driver that Ctrl-C has kept from its begin",
        file="_run/salvage.py",
        old="    run.driver_pending = any(driver not in run.drivers for driver in alive)\n",
        new="",
        why="the end of a run waits for a driver that never comes (G1)",
        tests=SALVAGE,
    ),
    Mutant(
        name="leaves a run as it is whose end Ctrl-C has cut",
        file="_run/salvage.py",
        old="        wind_up(run)\n        return\n",
        new="        return\n",
        why="those who wait for the run are not told (G2)",
        tests=SALVAGE,
    ),
    Mutant(
        name="forgets the steps that Ctrl-C has taken out of all hands",
        file="_run/salvage.py",
        old="    for step in _lost(run):\n",
        new="    for step in []:\n",
        why="a step that has begun has no end (G2)",
        tests=ANYWHERE,
    ),
    Mutant(
        name="cleans up after no step that Ctrl-C has cut on its way to that",
        file="_run/driver.py",
        old="            await finish_unwinding(run, driver)\n",
        new="            driver.step = None\n",
        why="its teardown is not called (G5)",
        tests=ANYWHERE,
    ),
    Mutant(
        name="keeps a run that is over because Ctrl-C has cut its removal",
        file="_engine/instances.py",
        old="            for run in [run for run in table.runs if run.phase is OVER]:\n",
        new="            for run in []:\n",
        why="the engine waits for it for ever (G1)",
        tests=SALVAGE,
    ),
    Mutant(
        name="takes Ctrl-C for a kind of dict that cannot be copied",
        file="_model/event.py",
        old="        if program_end(error) is not None:\n            raise\n        event._data",
        new="        event._data",
        why="the program goes on as if nothing had been pressed",
        tests=("model/test_event.py",),
    ),
)
