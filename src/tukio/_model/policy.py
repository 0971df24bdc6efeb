"""The policies for data that arrives while a workflow is still running, and for a failed task.

Owns:   the four overrun policies, the two error policies, and the decision on an overrun.
Knows:  the number of runs, and how many of them hold their lock; nothing about tasks.
Source: 1.x `OverrunPolicyHandler`; the default stays `skip-until-unlock`.
"""

from __future__ import annotations

import enum
from typing import Any, assert_never


class OverrunPolicy(enum.Enum):
    """The effect of new data while earlier runs of the same template are not over.

    Attributes:
        SKIP: Start no run while an earlier one is not over.
        START_NEW: Start another run beside the earlier ones.
        SKIP_UNTIL_UNLOCK: Start no run while an earlier one has not been unlocked.
        ABORT_RUNNING: Cancel the earlier runs, then start a new one.
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
        """Return the policy for a policy, its value, or None (the default).

        Raises:
            ValueError: No policy has that value.
        """
        if policy is None:
            return cls.get_default_policy()
        return cls(policy)


class ErrorPolicy(enum.Enum):
    """The effect of a failed task on its run.

    Attributes:
        CONTINUE: The branch stops, the others go on; the run ends as `finished`.
        ABORT: All tasks are cancelled; the run ends as `exception`, with `WorkflowFailed`.
    """

    CONTINUE = "continue"
    ABORT = "abort"


class Decision(enum.Enum):
    """The decision of an overrun policy."""

    START = enum.auto()
    SKIP = enum.auto()
    ABORT_OTHERS_THEN_START = enum.auto()


def decide(policy: OverrunPolicy, *, running: int, locked: int) -> Decision:
    """Return the decision about data that arrives now.

    Args:
        policy: The present policy of the template; the runs may be of an older version.
        running: The number of runs of this template that are not over.
        locked: The number of those runs that have not been unlocked; at most `running`.
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
    assert_never(policy)


def member_of(choices: type[enum.Enum], value: Any) -> Any:
    """Return the member with a value; any other object is kept for `validate` to report."""
    try:
        return choices(value)
    except ValueError:
        return value


def value_of(policy: Any) -> Any:
    """Return the value of a policy; any other object is kept for `validate` to report."""
    return policy.value if isinstance(policy, enum.Enum) else policy
