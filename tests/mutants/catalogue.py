"""The faults: each a small change of the engine that breaks a promise, and who must notice it.

To add one: a `Mutant` here; in `of_core` if it is about ends, facts, alarms and waiting; in
`of_engine`, `of_hosts`, `of_interrupts` or `of_silence` if it is not about the inside of one run.
One that survives tells of a missing test.
"""

from __future__ import annotations

from .mutant import Mutant
from .of_callbacks import OF_CALLBACKS
from .of_children import OF_CHILDREN
from .of_closing import OF_CLOSING
from .of_core import OF_CORE
from .of_engine import OF_ENGINE
from .of_fan_in import OF_FAN_IN
from .of_flow import OF_FLOW
from .of_hosts import OF_HOSTS
from .of_interrupts import OF_INTERRUPTS
from .of_limits import OF_LIMITS
from .of_map import OF_MAP
from .of_mapped_children import OF_MAPPED_CHILDREN
from .of_paths import OF_PATHS
from .of_reports import OF_REPORTS
from .of_retry import OF_RETRY
from .of_silence import OF_SILENCE

MUTANTS: tuple[Mutant, ...] = (
    # Which steps come next, and with what
    Mutant(
        name="loses a late parent",
        file="_model/plan.py",
        old="                successor.receive(data, step)\n",
        new="                pass\n",
        why="a merge never sees the data of the second branch",
        tests=("model/test_plan.py",),
    ),
    Mutant(
        name="starts successors in reverse",
        file="_model/plan.py",
        old="        for number in leads_to:\n",
        new="        for number in reversed(leads_to):\n",
        why="the declared order means nothing (G8)",
        tests=("guarantees/test_g8_order.py",),
    ),
    Mutant(
        name="passes on the dict that a task may still change",
        file="_run/outcome.py",
        old="        output = data = {**result}\n",
        new="        output = data = result\n",
        why="a task that keeps what it returned changes what others got (G9)",
        tests=("guarantees/test_g9_isolation.py", "model/test_plan.py"),
    ),
    Mutant(
        name="does not tell a join who cannot come any more",
        file="_model/plan.py",
        old="                        step.give_up_on(number)\n",
        new="                        pass\n",
        why="a join waits for ever for a parent that failed",
        tests=("compat/test_faults_of_1_x_joins.py",),
    ),
    Mutant(
        name="counts each parent of a join twice",
        file="_step/parents.py",
        old="            self._arrived.append((uid, own_dict(data)))\n",
        new="            self._arrived += [(uid, dict(data))] * 2\n",
        why="a join shows parents that did not come",
        tests=("compat/test_keeps_joins.py", "compat/test_faults_of_1_x_joins.py"),
    ),
    Mutant(
        name="lets a join go on with one parent too few",
        file="_tasks/join.py",
        old="            if not count:\n",
        new="            if count <= 1:\n",
        why="the data of the last parent is lost",
        tests=("compat/test_keeps_joins.py",),
    ),
    Mutant(
        name="passes nothing on from a task that was skipped",
        file="_run/outcome.py",
        old="TASK_SKIP, None, step.input_data, error, at)",
        new="TASK_SKIP, None, {}, error, at)",
        why="the next task does not get what the skipped one was given",
        tests=("compat/test_keeps_flow.py",),
    ),
    Mutant(
        name="shares the config of a template between its runs",
        file="_run/calling.py",
        old="holder_class(deepcopy(config) if config else {})",
        new="holder_class(config or {})",
        why="what one run changes in its config, the next finds (G9)",
        tests=("guarantees/test_g9_isolation.py",),
    ),
    Mutant(
        name="runs all steps in one context",
        file="_run/driver.py",
        old="driver.context = context = run.context.copy()",
        new="driver.context = context = run.context",
        why="context variables leak from one task into another",
        tests=("guarantees/test_g9_isolation.py", "backends/test_asyncio_loop.py"),
    ),
    # Errors
    Mutant(
        name="drops the first of two errors",
        file="_run/run_state.py",
        old="    if earlier is not None:\n",
        new="    if False:\n",
        why="of two errors of a task, one is lost (G7)",
        tests=("guarantees/test_g5_cleanup.py",),
    ),
    Mutant(
        name="drops an error",
        file="_run/run_state.py",
        old="        self.errors[uid] = error\n",
        new="        self.errors.setdefault('', error)\n",
        why="a run that failed looks as if it had not (G7)",
        tests=("guarantees/test_g7_errors.py",),
    ),
    Mutant(
        name="takes a TimeoutError of the task's own for its limit",
        file="_run/driver.py",
        old="or step._is_late(now):\n",
        new="or step._is_late(now) or isinstance(exc, TimeoutError):\n",
        why="an error that a task raised is reported as something else (G7)",
        tests=("guarantees/test_g7_errors.py",),
    ),
    Mutant(
        name="lets the siblings of a failed task go on",
        file="_run/settling.py",
        old="        run.stop(FAILED)\n",
        new="        run.start_stopping(FAILED)\n",
        why="on_error: abort does not abort",
        tests=("guarantees/test_g7_errors.py",),
    ),
    # Cancellation and limits
    Mutant(
        name="starts what was ready although the run was cancelled",
        file="_run/calling_off.py",
        old="    unbegun = run.plan.call_off()\n",
        new="    from .._model.state import RUNNING\n\n"
        "    run.phase, unbegun = RUNNING if run.plan.ready else run.phase, []\n",
        why="cancel does not mean cancelled (G3)",
        tests=("guarantees/test_g3_cancel.py",),
    ),
    Mutant(
        name="cancels only the first step at work",
        file="_run/run.py",
        old="drivers=list(self.drivers))\n",
        new="drivers=list(self.drivers)[:1])\n",
        why="the others run to their end (G3)",
        tests=("guarantees/test_g3_cancel.py",),
    ),
    Mutant(
        name="forgets the shield of a teardown",
        file="_run/unwinding.py",
        old="with run.backend.scope(deadline, shield=True) as scope:",
        new="with run.backend.scope(deadline, shield=False) as scope:",
        why="clean-up is cut by what it cleans up after (G5)",
        tests=("guarantees/test_g5_cleanup.py",),
    ),
    Mutant(
        name="calls teardown twice",
        file="_run/unwinding.py",
        old="                output = await _tear_down(driver, step)\n",
        new=(
            "                await _tear_down(driver, step)\n"
            "                output = await _tear_down(driver, step)\n"
        ),
        why="what was closed is closed again (G5)",
        tests=("guarantees/test_g5_cleanup.py",),
    ),
    Mutant(
        name="gives a teardown no limit",
        file="_run/unwinding.py",
        old="    output, limit = None, run.environment.cleanup_timeout\n",
        new="    output, limit = None, 1e6\n",
        why="one that hangs holds up its run for ever (G5)",
        tests=("guarantees/test_g5_cleanup.py",),
    ),
    Mutant(
        name="leaves the limit of a step to the next one",
        file="_run/driver.py",
        old="    if scope is not None and (step.template.timeout or driver.has_step_deadline):\n",
        new="    if scope is not None and step.template.timeout:\n",
        why="a task without a limit is cut at that of the one before (G4)",
        tests=("guarantees/test_g4_timeouts.py",),
    ),
    Mutant(
        name="lets a step that waits begin without a scope",
        file="_run/driver.py",
        old="            scope is None and ((task := ready[0].template)",
        new="            False and ((task := ready[0].template)",
        why="nothing reaches a step that comes after one that does not wait (G3, G4)",
        tests=("run/test_scopes.py",),
    ),
    Mutant(
        name="asks only whether a task may wait, and not whether it has a limit",
        file="_run/driver.py",
        old="    return bool(task.timeout) or run.environment.may_suspend(task.name)\n",
        new="    return run.environment.may_suspend(task.name)\n",
        why="a step that does not wait cannot see its limit",
        tests=("run/test_scopes.py",),
    ),
    Mutant(
        name="keeps what the code of a task was when it was registered",
        file="_model/registry.py",
        old="return self.tasks[task_name][1].__code__ is not self._prompt[task_name]",
        new="return task_name not in _prompt",
        why="a task whose code was edited cannot be cancelled (G3)",
        tests=("run/test_scopes.py", "model/test_registry.py"),
    ),
    Mutant(
        name="stops the clock of a run that is suspended",
        file="_run/run.py",
        old="waiting.keep_deadline(self.backend.alarms, self.deadline, self.stop_if_expired)",
        new="waiting.keep_deadline(self.backend.alarms, math.inf, self.stop_if_expired)",
        why="the limit of a workflow does not cover its suspension (G4)",
        tests=("run/test_waiting.py",),
    ),
    Mutant(
        name="lets a native cancellation reach the next step",
        file="_run/driver.py",
        old="        and not cancelling(driver)\n",
        new="",
        why="on asyncio a task is cancelled that nobody cancelled",
        tests=("backends/test_native_cancellation.py",),
    ),
    # Suspension
    Mutant(
        name="loses a suspended step when the run is resumed",
        file="_run/suspending.py",
        old="            del run.waiting.interrupted[0]\n",
        new="            del run.waiting.interrupted[:2]\n",
        why="a branch is gone after a resume",
        tests=("compat/test_faults_of_1_x_suspending.py", "run/test_suspending.py"),
    ),
    Mutant(
        name="forgets that a step was put off until the resume",
        file="_run/suspending.py",
        old="        run.waiting.interrupted.append(step)\n",
        new="        pass\n",
        why="if there is no resume, it is nowhere told that the step was cancelled (G2)",
        tests=("run/test_suspending.py",),
    ),
    # Events
    Mutant(
        name="delivers a second terminal event",
        file="_run/concluding.py",
        old="            run.emit_the_end(ending)\n",
        new="            run.emit_the_end(ending)\n" * 2,
        why="a subscriber counts one run twice (G2)",
        tests=("guarantees/test_g2_one_ending.py",),
    ),
    Mutant(
        name="tells waiters of the end before subscribers",
        file="_run/concluding.py",
        old="            run.emit_the_end(ending)\n",
        new=(
            "            run.backend.alarms.at(\n"
            "                run.backend.time() + 0.001, lambda: run.emit_the_end(ending)\n"
            "            )\n"
        ),
        why="whoever waits for a run and then looks at its events misses the last (G2)",
        tests=("guarantees/test_g2_one_ending.py",),
    ),
    Mutant(
        name="lets a failing handler end the dispatch",
        file="_events/subscription.py",
        old=(
            "except BaseException as error:  "
            "# noqa: ASYNC103 - nobody can cancel what does not await"
        ),
        new="except ArithmeticError as error:",
        why="one bad subscriber takes the events from all others, and ends runs",
        tests=("events/test_subscription.py",),
    ),
    Mutant(
        name="hands every subscriber the same content",
        file="_events/broker.py",
        old='"content": own_data(content)}',
        new='"content": content}',
        why="what one subscriber changes, the next finds (G9)",
        tests=("guarantees/test_g9_isolation.py", "events/test_broker.py"),
    ),
    Mutant(
        name="forgets to unsubscribe a task that is over",
        file="_step/mailbox.py",
        old=(
            "        for topic in self._topics:\n"
            "            self._task.broker.detach(self, topic)\n"
        ),
        new="",
        why="queues of tasks that are over fill for ever (G1)",
        tests=("guarantees/test_g1_no_orphans.py", "step/test_mailbox.py"),
    ),
    # Async handlers
    Mutant(
        name="lets slow handlers wait for each other",
        file="_events/workers.py",
        old=(
            "                self._free = None\n"
            "                self._start_for_the_rest()\n"
            "                # A handler whose hash"
        ),
        new="                # A handler whose hash",
        why="one handler that hangs takes all events from the others",
        tests=("events/test_workers.py", "events/test_subscription.py"),
    ),
    Mutant(
        name="leaves what is due to nobody when a worker ends",
        file="_events/workers.py",
        old="            self._start_for_the_rest()\n            self._workers.remove",
        new="            self._workers.remove",
        why="a handler that cancels its own task takes the events from the others",
        tests=("events/test_workers.py",),
    ),
    Mutant(
        name="forgets the calls that wait behind one that was cancelled",
        file="_events/workers.py",
        old="                if caller.lose_call():\n",
        new="                if not caller.lose_call():\n",
        why="a handler gets no more events once somebody has cancelled a call",
        tests=("events/test_workers.py",),
    ),
    Mutant(
        name="makes calls of handlers without a turn for others",
        file="_events/workers.py",
        old="        return max(BUDGET, len(self._due))\n",
        new="        return 10**9\n",
        why="the loop stands still for as long as events wait",
        tests=("events/test_workers.py",),
    ),
    Mutant(
        name="keeps a worker where nobody waits for it",
        file="_events/broker.py",
        old="        is_closed = owner is not None\n",
        new="        is_closed = True\n",
        why="asyncio complains of a pending task when a program in the loose mode ends",
        tests=("events/test_workers.py",),
    ),
    Mutant(
        name="runs a handler in no context of the sender's",
        file="_events/subscription.py",
        old="        context = copy_context()\n",
        new="        context = type(copy_context())()\n",
        why="a handler does not know which task has sent the event",
        tests=("events/test_workers.py",),
    ),
    # Reports and rescue
    Mutant(
        name="runs a finished step again on rescue",
        file="_model/replay.py",
        old="    ready = [step for step in plan.ready if step.ended_at is None]\n",
        new="    ready = list(plan.ready)\n",
        why="what was paid for is paid again (G11)",
        tests=("model/test_rescue.py",),
    ),
    Mutant(
        name="rescues a report that contradicts its template",
        file="_model/replay.py",
        old="        elif isinstance(fact, StepEnded):\n",
        new=(
            "        elif isinstance(fact, StepEnded) and plan.steps[numbers[fact.task]] is None:\n"
            "            pass\n"
            "        elif isinstance(fact, StepEnded):\n"
        ),
        why="a run goes on from something that never was (G11)",
        tests=("model/test_record.py",),
    ),
    Mutant(
        name="gives a rescued run its whole limit again",
        file="_run/restoring.py",
        old=" - record.elapsed",
        new="",
        why="a run that is rescued often enough never ends (G11)",
        tests=("compat/test_faults_of_1_x_rescuing.py",),
    ),
    Mutant(
        name="writes into a run before the report is known to be sound",
        file="_run/restoring.py",
        old="    plan = plan_for(shape, run.environment.kinds.maker(shape), run)\n",
        new="    plan = run.plan\n",
        why="half of a refused report is left in the run (G11)",
        tests=("engine/test_hostile.py",),
    ),
    Mutant(
        name="shows in a report the data itself",
        file="_step/snapshot.py",
        old='"inputs": detached(step.input_data)',
        new='"inputs": step.input_data',
        why="whoever changes a report changes the run (G10)",
        tests=("guarantees/test_g10_reports.py",),
    ),
    Mutant(
        name="passes on what was lost on its way through JSON",
        file="_model/rescue.py",
        old="        if lost is not None:\n",
        new="        if False:\n",
        why="a task gets a placeholder for its data (G11)",
        tests=("model/test_record.py",),
    ),
    *OF_CLOSING,
    *OF_CORE,
    *OF_ENGINE,
    *OF_FAN_IN,
    *OF_CALLBACKS,
    *OF_CHILDREN,
    *OF_FLOW,
    *OF_LIMITS,
    *OF_MAP,
    *OF_MAPPED_CHILDREN,
    *OF_PATHS,
    *OF_RETRY,
    *OF_HOSTS,
    *OF_INTERRUPTS,
    *OF_REPORTS,
    *OF_SILENCE,
)
