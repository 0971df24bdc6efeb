"""Faults of what holds the runs together: templates, policies, the end, what comes from outside."""

from __future__ import annotations

from .mutant import Mutant

OF_ENGINE: tuple[Mutant, ...] = (
    # The engine
    Mutant(
        name="never lets others have a turn in a burst",
        file="_loop/turns.py",
        old="        return not self._calls\n",
        new="        return False\n",
        why="the loop stands still until all data is sent",
        tests=("engine/test_burst.py",),
    ),
    Mutant(
        name="loses the heir of runs that are aborted",
        file="_engine/instances.py",
        old="        self._start_replacement(table)\n",
        new="",
        why="with abort-running, the run that replaces the others never starts",
        tests=("compat/test_keeps_engine.py", "engine/test_policies.py"),
    ),
    Mutant(
        name="lets a replacement wait for runs that it does not replace",
        file="_engine/instances.py",
        old="        if replacement is None or replacement.replaces:\n",
        new="        if replacement is None or len(table.runs) > 1:\n",
        why="with abort-running, one run_once holds up what was triggered before",
        tests=("engine/test_instances.py",),
    ),
    Mutant(
        name="forgets that a suspended run is in progress",
        file="_engine/instances.py",
        old="running=len(self.runs), locked=",
        new="running=sum(run.state.name == 'pending' for run in self.runs), locked=",
        why="with skip, data starts a second run beside one that will be resumed",
        tests=("reference/test_engine_in_any_order.py",),
    ),
    Mutant(
        name="keeps data from tasks at work while it stops",
        file="_engine/engine.py",
        old=(
            "        self._binding.broker.dispatch(event, topic)\n"
            "        if self._stopping:\n"
            "            return []\n"
        ),
        new=(
            "        if self._stopping:\n"
            "            return []\n"
            "        self._binding.broker.dispatch(event, topic)\n"
        ),
        why="a run that waits for its last event never ends, nor does the engine",
        tests=("reference/test_engine_in_any_order.py",),
    ),
    Mutant(
        name="goes on triggering a template that was unloaded",
        file="_model/selector.py",
        old="            del templates[template_id]\n",
        new="            pass\n",
        why="its topics start runs that nobody wants any more",
        tests=("model/test_selector.py", "reference/test_engine_in_any_order.py"),
    ),
    Mutant(
        name="starts beside a run that is to be alone",
        file="_model/policy.py",
        old="return Decision.SKIP if running else Decision.START",
        new="return Decision.SKIP if running > 1 else Decision.START",
        why="with skip, two runs of a template are at work",
        tests=("model/test_policy.py",),
    ),
    Mutant(
        name="starts runs although it is stopping",
        file="_engine/lifecycle.py",
        old="        self._stopping = True\n        if force",
        new="        if force",
        why="an engine that is stopped never is",
        tests=("engine/test_engine.py",),
    ),
    Mutant(
        name="loads half of what it is given",
        file="_engine/engine.py",
        old=(
            "        for template in templates:\n"
            "            template.validate(self._registry)\n"
            "        self._selector.clear()\n"
            "        for template in templates:\n"
        ),
        new=(
            "        self._selector.clear()\n"
            "        for template in templates:\n"
            "            template.validate(self._registry)\n"
        ),
        why="a reload that is refused leaves the engine without its templates (G12)",
        tests=("guarantees/test_g12_faults_found_early.py", "engine/test_hostile.py"),
    ),
    Mutant(
        name="never looks for steps that are stuck",
        file="_run/watchdog.py",
        old="        if look < math.inf:\n",
        new="        if look < 0:\n",
        why="a step that swallows its cancellation holds up everything, and nobody knows (G6)",
        tests=("guarantees/test_g6_watchdog.py",),
    ),
    Mutant(
        name="looks for steps that are stuck all the time",
        file="_run/watchdog.py",
        old="max(following, now + PATIENCE)",
        new="now + 0.1",
        why="the engine does not sleep while it waits (G6)",
        tests=("guarantees/test_g6_watchdog.py",),
    ),
    # What comes from outside
    Mutant(
        name="has no limit to the size and depth of a template",
        file="_model/size_limits.py",
        old="    return [*_counts(document)] or [*_sizes(document)]\n",
        new="    return []\n",
        why="a document takes the process down (G12)",
        tests=("model/test_hostile.py",),
    ),
    Mutant(
        name="reports faults without end",
        file="_model/validation.py",
        old="    found = list(islice(faults, MOST_FAULTS + 1))\n",
        new="    return list(faults)\n",
        why="the refusal of a document takes longer than its work would (G12)",
        tests=("model/test_hostile.py",),
    ),
    # What is done for one of many
    Mutant(
        name="looks through all runs for one",
        file="_engine/instances.py",
        old="            self._by_uid.update((run.uid, run) for run in self._unread)\n",
        new="            self._by_uid.update((run.uid, run) for run in self.all())\n",
        why="after a restart, the last of many rescues takes longer than all before it",
        tests=("engine/test_costs.py",),
    ),
    Mutant(
        name="finds a run by its id when it is over",
        file="_engine/instances.py",
        old="            del self._by_uid[run.uid]\n",
        new="            pass\n",
        why="a run that is over is kept, and cannot be rescued",
        tests=("engine/test_costs.py",),
    ),
    Mutant(
        name="counts a topic of execution events for each of its readers",
        file="_events/broker.py",
        old="        if not receivers and topic is not None and is_exec_topic(topic):\n",
        new="        if topic is not None and is_exec_topic(topic):\n",
        why="events are made for ever after for nobody",
        tests=("events/test_broker.py", "events/test_stream.py"),
    ),
    Mutant(
        name="calls a handler that was removed by another one",
        file="_events/broker.py",
        old="            self._age += 1\n",
        new="            pass\n",
        why="a handler gets an event after it was unregistered (G8)",
        tests=("events/test_broker.py", "events/test_subscription.py"),
    ),
    Mutant(
        name="asks each locked run whether it is",
        file="_engine/instances.py",
        old="        while self._locked and not next(iter(self._locked)).locked:\n",
        new="        while self._locked and not sum(run.locked for run in self._locked):\n",
        why="data that is refused takes the longer the more runs are in progress",
        tests=("engine/test_costs.py",),
    ),
    Mutant(
        name="compares tuples of one hash by the hundred",
        file="_model/decoding.py",
        old="MOST_ALIKE: Final = 32\n",
        new="MOST_ALIKE: Final = 1000\n",
        why="a report of a megabyte takes minutes to be read",
        tests=("model/test_hostile.py",),
    ),
    # What is logged
    Mutant(
        name="logs names as they are",
        file="_model/display.py",
        old="    if not text.isprintable():\n",
        new="    if not text:\n",
        why="an id forges a line of the log",
        tests=("model/test_logs.py",),
    ),
    Mutant(
        name="logs what a value shows of itself",
        file="_model/display.py",
        old="    return _name_of(value)\n",
        new="    return shown(value)\n",
        why="the data of events is in the log",
        tests=("model/test_logs.py",),
    ),
    Mutant(
        name="lets a filter of the log raise into a run",
        file="_model/logs.py",
        old="            if program_end(exc) is not None:\n",
        new="            if exc:\n",
        why="a run is never over because somebody's filter fails",
        tests=("model/test_logs.py",),
    ),
    Mutant(
        name="swallows the end of the program where it logs",
        file="_model/logs.py",
        old="            if program_end(exc) is not None:\n",
        new="            if False:\n",
        why="Ctrl-C is lost",
        tests=("model/test_logs.py",),
    ),
    # What is left of a run
    Mutant(
        name="leaves what is over to the garbage collector",
        file="_run/run.py",
        old="        self.plan = empty_plan(self.plan.shape)\n",
        new="",
        why="full rounds of the collector, each of which stalls the loop, are all that frees a run",
        tests=("run/test_memory.py",),
    ),
    Mutant(
        name="hands out a task that does not keep its workflow",
        file="_step/step.py",
        old="            step.extras.workflow = workflow\n",
        new="            break\n",
        why="who keeps nothing but a task of a run that is over cannot ask for its workflow",
        tests=("run/test_memory.py",),
    ),
)
