"""Tests of workflows: in virtual time, interrupted at every point, against random data."""

from __future__ import annotations

from .actors import actors
from .clock import BACKENDS, is_available, new_loop, run, settle
from .deadlock import PATIENCE, START, Deadlock
from .everywhere import (
    BrokenThere,
    InjectedFault,
    act_everywhere,
    cancel_everywhere,
    fail_everywhere,
    outcome_of,
    rescue_everywhere,
)
from .faults import no_faults
from .interrupting import interrupt_everywhere
from .invariants import BrokenGuarantee, check_guarantees
from .leaving import leave_everywhere
from .playing import Action, Played, play
from .registration import registered
from .replaying import ReplayDiffers, replay
from .timeline import Moment, Timeline

__all__ = [
    "BACKENDS",
    "PATIENCE",
    "START",
    "Action",
    "BrokenGuarantee",
    "BrokenThere",
    "Deadlock",
    "InjectedFault",
    "Moment",
    "Played",
    "ReplayDiffers",
    "Timeline",
    "act_everywhere",
    "actors",
    "cancel_everywhere",
    "check_guarantees",
    "fail_everywhere",
    "interrupt_everywhere",
    "is_available",
    "leave_everywhere",
    "new_loop",
    "no_faults",
    "outcome_of",
    "play",
    "registered",
    "replay",
    "rescue_everywhere",
    "run",
    "settle",
]
