"""Test workflows: in virtual time, cut off at every point, against random data."""

from __future__ import annotations

from .actors import actors
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
from .play import Action, Played, play
from .timeline import Moment, Timeline

__all__ = [
    "Action",
    "BrokenGuarantee",
    "BrokenThere",
    "InjectedFault",
    "Moment",
    "Played",
    "Timeline",
    "act_everywhere",
    "actors",
    "cancel_everywhere",
    "check_guarantees",
    "fail_everywhere",
    "outcome_of",
    "play",
    "rescue_everywhere",
]
