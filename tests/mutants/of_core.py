"""Faults of what runs are held together by inside: alarms, waiting, ends of steps, facts."""

from __future__ import annotations

from .mutant import Mutant

OF_CORE: tuple[Mutant, ...] = (
    Mutant(
        name="does not look at the clock after a handler has run",
        file="_run/driver.py",
        old="            now = clock() if settle(run, step, ending) else now\n",
        new="            settle(run, step, ending)\n",
        why="a step begins after the limit of its run (G4)",
        tests=("run/test_by_the_clock.py",),
    ),
    # Alarms
    Mutant(
        name="forgets the timer of an alarm",
        file="_loop/alarms.py",
        old="        if instant < self._next:\n",
        new="        if instant < self._next < math.inf:\n",
        why="the limit of a run that waits is never reached (G4)",
        tests=("loop/test_alarms.py",),
    ),
    Mutant(
        name="rings an alarm too early",
        file="_loop/alarms.py",
        old="(self._heap[0][0] <= now or not self._heap[0][2])",
        new="(self._heap[0][0] <= now + 1 or not self._heap[0][2])",
        why="a run that finds its limit not reached yet is never asked again",
        tests=("loop/test_alarms.py",),
    ),
    Mutant(
        name="keeps the timer although no alarm is left",
        file="_loop/alarms.py",
        old="            self._heap.clear()\n            self._set_timer(math.inf)\n",
        new="            self._heap.clear()\n",
        why="on trio an engine is left only when a limit would have been reached that nobody keeps",
        tests=("loop/test_alarms.py", "run/test_waiting.py"),
    ),
    Mutant(
        name="rings alarms of one instant in any order",
        file="_loop/alarms.py",
        old="next(self._numbers), cell))",
        new="-next(self._numbers), cell))",
        why="of two runs whose limits are reached, the later one ends first",
        tests=("loop/test_alarms.py",),
    ),
    Mutant(
        name="keeps alarms that were called off",
        file="_loop/alarms.py",
        old="        elif len(self._heap) > FEW + 2 * self._live:\n",
        new="        elif False:\n",
        why="runs that were suspended and resumed take memory until their limit would be reached",
        tests=("loop/test_alarms.py",),
    ),
    Mutant(
        name="rings in the same turn what an alarm sets",
        file="_loop/alarms.py",
        old="                *_, cell = due.popleft()\n",
        new=(
            "                while self._heap and self._heap[0][0] <= now:\n"
            "                    due.append(heappop(self._heap))\n"
            "                *_, cell = due.popleft()\n"
        ),
        why="an alarm that sets itself anew stops the loop for ever",
        tests=("loop/test_alarms.py",),
    ),
    Mutant(
        name="loses the alarms beside one that ends the program",
        file="_loop/alarms.py",
        old="            for alarm in due:\n                heappush(self._heap, alarm)\n",
        new="",
        why="what was due with it never comes, and the program waits for it",
        tests=("loop/test_alarms.py",),
    ),
    # Waiting
    Mutant(
        name="leaves the alarm of a limit set when a run is resumed",
        file="_run/waiting.py",
        old="            self._call_off()\n            self._call_off = None\n",
        new="            self._call_off = None\n",
        why="the timer, and with it the engine on trio, outlives the run",
        tests=("run/test_waiting.py",),
    ),
    Mutant(
        name="takes a suspended run as empty",
        file="_run/run_state.py",
        old="return not (self.drivers or self.driver_pending or self.waiting or self.wholes)",
        new="return not (self.drivers or self.driver_pending or self.wholes)",
        why="a run is over as soon as it is suspended",
        tests=("run/test_waiting.py",),
    ),
    Mutant(
        name="does not end a run that has nothing left when it is resumed",
        file="_run/suspending.py",
        old="ended as its last step ended.\n        run.end_if_empty()\n",
        new="ended as its last step ended.\n        pass\n",
        why="a run that was suspended as its last step ended waits for ever",
        tests=("run/test_waiting.py",),
    ),
    Mutant(
        name="leaves the suspended runs of a loop to themselves",
        file="_loop/services.py",
        old="        call_all(run.cancel_from_outside for run in self._runs)\n",
        new="        call_all([])\n",
        why="a program ends, and nobody is told of the runs that waited (G2)",
        tests=("run/test_waiting_loose.py",),
    ),
    Mutant(
        name="starts anew what stands for runs that wait, although it was cancelled",
        file="_loop/services.py",
        old='"tukio waiting", instead=self._cancel_all)',
        new='"tukio waiting")',
        why="whoever cancels all tasks of a loop leaves runs behind that still wait",
        tests=("run/test_waiting_loose.py",),
    ),
    Mutant(
        name="has a task for each run that waits",
        file="_loop/services.py",
        old="        if self._nobody_left is None:\n",
        new="        if True:\n",
        why="a hundred thousand runs that wait are a hundred thousand tasks",
        tests=("run/test_waiting_loose.py",),
    ),
    Mutant(
        name="does not look again at runs in which nothing was at work",
        file="_run/watchdog.py",
        old="run.deadline + PATIENCE if run.deadline > now else math.inf",
        new="math.inf",
        why="a step that is stuck at the limit of a run that had waited is not named (G6)",
        tests=("run/test_waiting.py",),
    ),
    # The end of a step
    Mutant(
        name="settles a step twice",
        file="_run/unwinding.py",
        old="    return None if step is None or step.ended_at is not None else step\n",
        new="    return step\n",
        why="a step whose end was told in a program that ends has a second one (G2)",
        tests=("run/test_ctrl_c.py",),
    ),
    Mutant(
        name="forgets the callbacks when a step ends",
        file="_run/settling.py",
        old="            step._let_go()\n",
        new="            pass\n",
        why="whoever awaits a task waits for ever (G2)",
        tests=("run/test_settling.py",),
    ),
    Mutant(
        name="tells of an end that is none yet",
        file="_run/settling.py",
        old="    step.ended_at = at\n",
        new="    step.ended_at = None if run.broker.has_listeners else at\n",
        why="a handler of the end of a task finds it at work (G2)",
        tests=("run/test_settling.py",),
    ),
    Mutant(
        name="leads on although a handler has stopped the run",
        file="_run/settling.py",
        old="        elif run.phase is RUNNING or run.phase is SUSPENDED:\n",
        new="        else:\n",
        why="a step is ready in a run that was cancelled (G3)",
        tests=("run/test_settling.py",),
    ),
    Mutant(
        name="leaves a run half stopped when a handler ends the program",
        file="_run/calling_off.py",
        old="    call_all([*calls, *(whole.end_if_over",
        new="    [call() for call in calls]\n    call_all([*(whole.end_if_over",
        why="steps that were put off are never told of, and the run has steps without an end (G2)",
        tests=("run/test_ctrl_c.py",),
    ),
    Mutant(
        name="takes a run as finished whose begin a handler has ended the program in",
        file="_run/driver.py",
        old=(
            "            run.cancel_from_outside()\n"
            "            await finish_unwinding(run, driver)\n"
            "            finish_stopping(run)\n"
        ),
        new="            pass\n",
        why="a run that never began looks as if it had done its work (G2)",
        tests=("run/test_ctrl_c.py",),
    ),
    Mutant(
        name="keeps an event from the others when a handler ends the program",
        file="_events/broker.py",
        old="            if self._outbox:\n",
        new="            if False:\n",
        why="the last event of a run is not handed to every subscriber (G2)",
        tests=("run/test_ctrl_c.py",),
    ),
    # Facts
    Mutant(
        name="replays facts out of order",
        file="_model/replay.py",
        old="    for fact in facts:\n",
        new="    for fact in sorted(facts, key=lambda fact: str(getattr(fact, 'end', ''))):\n",
        why="a join is rescued with the wrong parent when a clock was set back (G11)",
        tests=("model/test_facts.py",),
    ),
    Mutant(
        name="takes a step that was cancelled as finished",
        file="_model/replay.py",
        old="    if fact.state is CANCELLED or (fact",
        new="    if (fact",
        why="what follows a cancelled task is run, without the data of that task (G11)",
        tests=("model/test_facts.py", "run/test_ledger.py"),
    ),
    Mutant(
        name="forgets that a run stops for good",
        file="_run/run.py",
        old="            final = ending is TIMED_OUT\n",
        new="            final = False\n",
        why="a run that has reached its limit is started again in the next process (G13)",
        tests=("run/test_ledger.py",),
    ),
    Mutant(
        name="takes the end of the engine as the end of its runs",
        file="_engine/lifecycle.py",
        old="call_all(partial(run.stop, CANCELLED, final=False) for",
        new="call_all(partial(run.stop, CANCELLED) for",
        why="what a deployment interrupts is never gone on with (G13)",
        tests=("run/test_ledger.py",),
    ),
    Mutant(
        name="keeps no order of the ends in a report",
        file="_run/reporting.py",
        old="id_of_each(run.ledger.order, ",
        new="id_of_each(sorted(run.ledger.order), ",
        why="parents that ended at one instant change places in a rescue (G11)",
        tests=("run/test_order_of_ends.py",),
    ),
    Mutant(
        name="forgets the order of a report after a rescue",
        file="_run/restoring.py",
        old="    run.ledger.take_over(run.plan.shape, facts)\n",
        new="",
        why="what was rescued once cannot be rescued again after a clock was set back (G11)",
        tests=("run/test_order_of_ends.py",),
    ),
    Mutant(
        name="makes a state of what a task returned",
        file="_model/facts.py",
        old='            body[name] = body[name].value\n    if "attempts" in body:\n',
        new=(
            "            body[name] = body[name].value\n"
            "    body = {k: getattr(v, 'value', v) for k, v in body.items()}\n"
            '    if "attempts" in body:\n'
        ),
        why="a task gets a text for what its parent returned (G11)",
        tests=("model/test_facts.py",),
    ),
    Mutant(
        name="keeps no fact of the end of a step",
        file="_run/settling.py",
        old="    if run.ledger is not None:\n        run.ledger.keep_end(step, ending)\n",
        new="",
        why="what is done is done again after a crash (G13), and a report has no order",
        tests=("run/test_ledger.py",),
    ),
    # What stands twice
    Mutant(
        name="makes a live step otherwise than a step",
        file="_step/step.py",
        old="        self.chosen: tuple[int, ...] | None = None\n",
        new="        self.chosen: tuple[int, ...] | None = ()\n",
        why="the successors of a task are never run",
        tests=("step/test_copies.py",),
    ),
    Mutant(
        name="makes a driver otherwise than a task",
        file="_backends/asyncio/backend.py",
        old="        self.has_step_deadline: bool = False\n",
        new="        self.has_step_deadline: bool = True\n",
        why="the first step of a driver has a limit that is that of the step before",
        tests=("step/test_copies.py",),
    ),
    Mutant(
        name="follows a step otherwise than it reaches one",
        file="_model/plan.py",
        old="new = make(self._run, number, tasks[number], data, step)",
        new="new = make(None, number, tasks[number], data, step)",
        why="steps do not know their run",
        tests=("step/test_copies.py",),
    ),
)
