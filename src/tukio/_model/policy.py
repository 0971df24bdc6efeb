"""What to do when data meets a workflow that is still running, and when a task fails.

Owns:   the four overrun policies, the two error policies, and the decision on an overrun.
Knows:  how many runs there are and how many hold their lock; nothing about tasks.
Source: 1.x `OverrunPolicyHandler`; the default stays `skip-until-unlock`.
"""

from __future__ import annotations

import enum


class OverrunPolicy(enum.Enum):
    """What to do with new data while earlier runs of the same template are not over.

    Attributes:
        SKIP: Leave it while there is one.
        START_NEW: Start another run beside them.
        SKIP_UNTIL_UNLOCK: Leave it while one of them has not been unlocked.
        ABORT_RUNNING: Cancel them, then start.
    """

    SKIP = "skip"
    START_NEW = "start-new"
    SKIP_UNTIL_UNLOCK = "skip-until-unlock"
    ABORT_RUNNING = "abort-running"

    @classmethod
    def get_default_policy(cls) -> OverrunPolicy:
        """Return the policy of a template that names none."""
        return cls.SKIP_UNTIL_UNLOCK

    @classmethod
    def get(cls, policy: OverrunPolicy | str | None = None) -> OverrunPolicy:
        """Return a policy from itself, its value or None (the default).

        Raises:
            ValueError: No policy has that value.
        """
        if policy is None:
            return cls.get_default_policy()
        return cls(policy)


class ErrorPolicy(enum.Enum):
    """What a run does when one of its tasks fails.

    Attributes:
        CONTINUE: The branch stops, the others go on; the run ends `finished`.
        ABORT: Everything is cancelled; the run ends `exception` with `WorkflowFailed`.
    """

    CONTINUE = "continue"
    ABORT = "abort"


class Decision(enum.Enum):
    """What the engine does next."""

    START = enum.auto()
    SKIP = enum.auto()
    ABORT_OTHERS_THEN_START = enum.auto()


def decide(policy: OverrunPolicy, *, running: int, locked: int) -> Decision:
    """Say what happens to data that arrives now.

    Args:
        policy: That of the template as it is now; the runs may be of an older version of it.
        running: Number of runs of this template that are not over.
        locked: How many of those have not been unlocked; at most `running`.
    """
    match policy:
        case OverrunPolicy.START_NEW:
            return Decision.START
        case OverrunPolicy.SKIP:
            return Decision.SKIP if running else Decision.START
        case OverrunPolicy.SKIP_UNTIL_UNLOCK:
            return Decision.SKIP if locked else Decision.START
        case OverrunPolicy.ABORT_RUNNING:
            return Decision.ABORT_OTHERS_THEN_START if running else Decision.START
