"""G1: on asyncio, Ctrl-C may cut any method of ours, and whatever was cut is brought to its end."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support import profiles
from support.cuts import cut
from support.programs import HERE, PROGRAMS, check, played
from tukio._engine.instances import Instances
from tukio._run import concluding, run as run_module, unwinding
from tukio._run.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = [
    (Run, "start"),
    (Run, "launch"),
    (Run, "begin"),
    (Run, "call_for_driver"),
    (Run, "add_driver"),
    (Run, "remove_driver"),
    (Run, "interrupt"),
    (Run, "stop"),
    (Run, "start_stopping"),
    (Run, "call_off_what_is_due"),
    (run_module, "after"),
    (run_module, "conclude"),
    (concluding, "wind_up"),
    (Instances, "_remove"),
    (Instances, "_start_replacement"),
    (unwinding, "_reason"),
]


CUTS = list(itertools.product(PROGRAMS, METHODS, (True, False)))
HOSTS = [host for host in HERE if host != "trio"]


def in_turn() -> Iterator[Any]:
    """Yield what is cut where; with few examples, each on one of the hosts in turn."""
    for number, (program, (owner, name), before) in enumerate(CUTS):
        uid = f"{name}-{program}-{'before' if before else 'after'}"
        turn = HOSTS[number % len(HOSTS)]
        for host in [turn] if profiles.PROFILE == "less" else HOSTS:
            yield pytest.param(host, owner, name, program, before, id=f"{host}-{uid}")


@pytest.mark.parametrize(("host", "owner", "name", "program", "before"), [*in_turn()])
def test_g1_what_ctrl_c_has_cut_is_brought_to_its_end(
    host: str, owner: Any, name: str, program: str, before: bool
) -> None:
    """In each program the function is cut at its first call, then at its second, ..."""
    for nth in range(1, 9):
        called: list[int] = []
        story, ended_by = played(
            host, PROGRAMS[program], cut(owner, name, nth, before=before, called=called)
        )
        if len(called) < nth:
            assert ended_by is None
            break
        check(story, ended_by)
        for run in filter(None, story.runs):
            assert run.state is not tukio.FutureState.pending
