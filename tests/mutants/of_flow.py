"""The faults of workflows in code: chains, types, threads and processes."""

from __future__ import annotations

from .mutant import Mutant

OF_FLOW: tuple[Mutant, ...] = (
    # Chains
    Mutant(
        name="forgets the links within a part of a chain",
        file="flow/chain.py",
        old="                pending += [*links[::-1], *one._after[::-1], *one._before[::-1]]\n",
        new="                pending += [*one._after[::-1], *one._before[::-1]]\n",
        why="tasks that follow each other run beside each other, or not at all",
        tests=("flow/test_chain.py", "flow/test_flow.py"),
    ),
    Mutant(
        name="takes two tasks of one id for one, whatever they say",
        file="flow/chain.py",
        old="        return len(registries) < 2 and same is True",
        new="        return True",
        why="one of two unlike tasks does not run, and nobody is told",
        tests=("flow/test_flow.py", "flow/test_chain.py"),
    ),
    Mutant(
        name="starts a task with several parents with the first",
        file="flow/gathering.py",
        old='            said["join"] = "all"\n',
        new='            said["join"] = "first"\n',
        why="what new users expect of a diamond is not what they get",
        tests=("flow/test_both_forms.py",),
    ),
    Mutant(
        name="goes on after the limit of a task that says nothing of it",
        file="flow/gathering.py",
        old='        if any(limits) and defaults.get("on_timeout") is None:\n',
        new="        if False:\n",
        why="a flow goes on with what a task that was cut never made (G4)",
        tests=("flow/test_both_forms.py",),
    ),
    Mutant(
        name="overrules what a flow says of its limits",
        file="flow/gathering.py",
        old="    return said | given(document)\n",
        new="    return given(document) | said\n",
        why="nobody can have the ways of 1.x in code form",
        tests=("flow/test_both_forms.py", "flow/test_flow.py"),
    ),
    Mutant(
        name="does not tell where the task of a fault is said",
        file="flow/gathering.py",
        old="        found.append(fault._replace(place=place, advice=advice))\n",
        new="        found.append(fault._replace(advice=advice))\n",
        why="a fault names a number that stands nowhere in the code (G12)",
        tests=("flow/test_flow.py",),
    ),
    Mutant(
        name="lets a flow change",
        file="flow/flows.py",
        old='        msg = f"a flow does not change: {name!r} cannot be set - {ADVICE}"\n'
        "        raise AttributeError(msg)\n",
        new="        super().__setattr__(name, value)\n",
        why="a flow that two modules share changes under the one's feet",
        tests=("flow/test_flow.py",),
    ),
    Mutant(
        name="returns what came of a script although a task has failed",
        file="flow/flows.py",
        old="            await run.wait(check=True)\n",
        new="            await run.wait()\n",
        why="a script goes on with half a result (G7)",
        tests=("flow/test_flow.py",),
    ),
    # Types
    Mutant(
        name="hands over records as they are",
        file="flow/calls.py",
        old="        return dumped(await function(event if take is None else take(event)))\n",
        new="        return await function(event if take is None else take(event))\n",
        why="a task that returns a dataclass has returned nothing for the next one",
        tests=("flow/test_outputs.py", "flow/test_tasks.py"),
    ),
    Mutant(
        name="takes each value of a record as it is",
        file="flow/records.py",
        old="                if type(value) is not kind:\n",
        new="                if value is _MISSING:\n",
        why="a text where a number is wanted is found out in the middle of a task",
        tests=("flow/test_inputs.py", "flow/test_fields.py"),
    ),
    Mutant(
        name="leaves records within records",
        file="flow/outputs.py",
        old="            found[key] = field if type(field) in SCALARS else _within(field)\n",
        new="            found[key] = field\n",
        why="a report cannot be written as JSON (G10)",
        tests=("flow/test_outputs.py",),
    ),
    Mutant(
        name="blames a task for an annotation of type checkers alone",
        file="flow/inputs.py",
        old='        if written in {"Event", "tukio.Event"}:\n',
        new="        if False:\n",
        why="what linters ask for is refused",
        tests=("flow/test_inputs.py", "flow/test_names.py"),
    ),
    # Threads
    Mutant(
        name="leaves a thread behind when its step is cut",
        file="flow/calls.py",
        old="run_sync(there, value, limiter=limit.here())\n",
        new="run_sync(\n"
        "            there, value, limiter=limit.here(), abandon_on_cancel=True\n"
        "        )\n",
        why="work goes on when its run is over (G1)",
        tests=("flow/test_threads.py",),
    ),
    Mutant(
        name="has as many threads at once as there are calls",
        file="flow/calls.py",
        old="limiter=limit.here())\n",
        new="limiter=None)\n",
        why="the limit that a user has set is not kept",
        tests=("flow/test_threads.py",),
    ),
    # Processes
    Mutant(
        name="lets a process go on when its step is cut",
        file="flow/processes.py",
        old="            self._cut = True\n"
        "            if self._process is not None:\n"
        "                self._process.kill()\n",
        new="            self._cut = True\n",
        why="a step that was cancelled is over when its process likes (G3)",
        tests=("flow/test_processes.py",),
    ),
    Mutant(
        name="starts a process for each call",
        file="flow/processes.py",
        old="            self._pool.give_back(process)\n",
        new="            process.kill()\n            process.end()\n",
        why="each call waits for an interpreter to start",
        tests=("flow/test_process_life.py", "flow/test_processes.py"),
    ),
    Mutant(
        name="keeps processes when their event loop is over",
        file="flow/processes.py",
        old="            self._closed = True\n            idle, self._idle = self._idle, []\n",
        new="            idle: list[Process] = []\n",
        why="processes stay when their program has closed its loop (G1)",
        tests=("flow/test_process_life.py",),
    ),
    Mutant(
        name="takes the answer of another call",
        file="flow/processes.py",
        old="        if number != self._number:\n",
        new="        if False:\n",
        why="a task that prints through its pipe gets what it was not asked",
        tests=("flow/test_process_errors.py", "flow/test_process_life.py"),
    ),
)
