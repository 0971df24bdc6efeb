"""Faults at the border to what is around an engine: its end, threads, other tasks and loops."""

from __future__ import annotations

from .mutant import Mutant

OF_HOSTS: tuple[Mutant, ...] = (
    # The end of a block
    Mutant(
        name="lets a native cancellation cut the leaving of an engine short",
        file="_loop/unbroken.py",
        old="                    self._kept.append(exc)\n",
        new="                    raise\n",
        why="runs and clean-ups go on after the block was left (G1, G5)",
        tests=("engine/test_left_whole.py",),
    ),
    Mutant(
        name="swallows what interrupted the leaving of an engine",
        file="_engine/binding.py",
        old="                interruptions.deliver()\n",
        new="                pass\n",
        why="a time limit around the block is no time limit",
        tests=("engine/test_left_whole.py",),
    ),
    Mutant(
        name="lets anybody cancel a teardown natively",
        file="_backends/asyncio/task.py",
        old="if not self.begun or (self._cleans_up() and not self._is_called_within()):",
        new="if not self.begun:",
        why="a server that cancels all its tasks cuts clean-ups (G5)",
        tests=("engine/test_left_whole.py",),
    ),
    Mutant(
        name="lets not even a teardown itself cancel it natively",
        file="_backends/asyncio/task.py",
        old="        if running_step() is self.step:\n",
        new="        if False:\n",
        why="asyncio.timeout within a teardown does nothing",
        tests=("engine/test_left_whole.py",),
    ),
    Mutant(
        name="leaves a cancellation that was meant for a step to its teardown",
        file="_run/unwinding.py",
        old="            if driver.cancelling():\n",
        new="            if False:\n",
        why="a step that cancels its own task cuts its clean-up (G5)",
        tests=("engine/test_left_whole.py",),
    ),
    Mutant(
        name="gives handlers their time anew after each interruption",
        file="_events/workers.py",
        old="self._deadline = deadline = min(deadline, self._deadline)",
        new="self._deadline = deadline",
        why="who is impatient waits longer",
        tests=("engine/test_left_whole.py",),
    ),
    Mutant(
        name="lets a cancellation take the place of Ctrl-C",
        file="_loop/unbroken.py",
        old="        if exc is not None and program_end(exc) is not None:\n",
        new="        if False:\n",
        why="the program goes on although it was told to end (G7)",
        tests=("engine/test_program_ends.py",),
    ),
    Mutant(
        name="looks at the outside of a group only",
        file="_model/guard.py",
        old="    if isinstance(exc, BaseExceptionGroup):\n",
        new="    if False:\n",
        why="SystemExit in a child task of a step does not end the program (G7)",
        tests=("engine/test_program_ends.py",),
    ),
    Mutant(
        name="leaves the other task in a scope of the engine",
        file="_backends/asyncio/tree.py",
        old="            scope.__exit__(None, None, None)\n",
        new="            pass\n",
        why="the task that entered an engine cannot leave the scopes around it",
        tests=("engine/test_odd_hosts.py",),
    ),
    # Others
    Mutant(
        name="takes the engine around a step for the innermost one",
        file="_run/topics.py",
        old="        if broker is not None and around is step:\n",
        new="        if broker is not None and step is None:\n",
        why="code in the block of an engine, within a step, finds the broker of another one",
        tests=("engine/test_odd_hosts.py",),
    ),
    Mutant(
        name="leaves threads waiting when the engine is left",
        file="_loop/thread_calls.py",
        old="            scope.cancel()\n",
        new="            pass\n",
        why="from_thread hangs",
        tests=("engine/test_threads.py",),
    ),
    Mutant(
        name="puts events back in the order in which readers give up",
        file="_events/queue.py",
        old="self._events.appendleft(self._promised.pop())",
        new="self._events.appendleft(self._promised.pop(0))",
        why="two readers that are cancelled together swap events",
        tests=("events/test_queue.py",),
    ),
    Mutant(
        name="forgets that a handler is at work when it is registered anew",
        file="_events/workers.py",
        old="        if after is not None:\n",
        new="        if False:\n",
        why="a handler has two calls in progress (G8)",
        tests=("events/test_subscription.py",),
    ),
    Mutant(
        name="enters a stream again without opening it",
        file="_events/stream.py",
        old="            self._inbox.reopen()\n",
        new="",
        why="a reader takes a stream that was left for an empty topic",
        tests=("events/test_stream_again.py",),
    ),
)
