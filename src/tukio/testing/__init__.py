"""Test workflows: in virtual time, cut off at every point, against random data."""

from __future__ import annotations

from .everywhere import (
    BrokenThere,
    InjectedFault,
    act_everywhere,
    cancel_everywhere,
    fail_everywhere,
    outcome_of,
    rescue_everywhere,
)
from .invariants import BrokenGuarantee, check_guarantees
from .timeline import Moment, Timeline

__all__ = [
    "BrokenGuarantee",
    "BrokenThere",
    "InjectedFault",
    "Moment",
    "Timeline",
    "act_everywhere",
    "cancel_everywhere",
    "check_guarantees",
    "fail_everywhere",
    "outcome_of",
    "rescue_everywhere",
]
