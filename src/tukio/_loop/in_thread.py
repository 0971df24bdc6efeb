"""What code in a worker thread asks of the step that waits for it."""

from __future__ import annotations

import anyio.from_thread


def check_cancelled() -> None:
    """Raise if the step that waits for this thread was cancelled, or has reached its limit.

    For functions in threads, which nothing can stop from outside: called now and then, it ends the
    function soon after its step was cut. What it raises is the cancellation of the backend; let it
    through.

    It does nothing where no step waits for the thread: in the event loop, or in a test that calls
    the function itself. In a process there is no need of it: that is killed.

    Raises:
        BaseException: The cancellation, as the backend has it.
    """
    try:
        anyio.from_thread.check_cancelled()
    except RuntimeError:
        # This is no thread of anyio.
        return


def is_waited_for() -> bool:
    """Return whether this thread is one that a task waits for, by way of anyio or trio."""
    try:
        anyio.from_thread.check_cancelled()
    except RuntimeError:
        return False
    except BaseException:  # noqa: ASYNC103, BLE001 - that task was cancelled, and not this thread
        return True  # noqa: ASYNC104 - likewise
    return True
