"""Ctrl-C at every line of the package that a few programs execute: they end, and clean up.

Each line is interrupted at its first execution, by a real signal: on one of the hosts in turn, and
in the profile `deep` on all that execute it.
"""

from __future__ import annotations

import functools
import gc
import warnings

import pytest

from support import profiles
from support.programs import HERE, HOSTS, PROGRAMS, check, played
from tukio.testing.interrupting import Interruption, Line

CUT_IS_THE_USERS = {"_one_by_one", "_tear_down", "_result_of_teardown", "finish_awaiting"}
"""Between these functions and users' code there is nothing: to cut these is to cut that.

On asyncio the last one is on the stack whenever a step or a clean-up goes on: a step that is cut
there is cleaned up after, as any other, and a clean-up is cut.
"""


SUSPENDING = {"suspends", "maps", "children", "maps_of_workflows"}
"""The programs that suspend runs."""


@functools.cache
def reached(host: str, program: str) -> list[Line]:
    """Return the lines that a program executes on a host."""
    # Once before: what is worked out only once in a process must not count.
    for interruption in (Interruption(), Interruption()):
        _, ended_by = played(host, PROGRAMS[program], interruption.tracing())
        assert ended_by is None
    return list(interruption.lines)


def points(host: str, program: str) -> list[Line]:
    """Return where a program is interrupted on a host: no line twice, unless in `deep`."""
    if profiles.PROFILE == "deep":
        return reached(host, program)
    earlier = list(PROGRAMS)[: list(PROGRAMS).index(program)]
    chosen: list[Line] = []
    for line in reached(host, program):
        hosts = [one for one in HERE if any(line in reached(one, name) for name in PROGRAMS)]
        mine = hosts[line.number % len(hosts)] == host
        if mine and not any(line in reached(host, name) for name in earlier):
            chosen.append(line)
    return chosen[:: profiles.LESS if profiles.PROFILE == "less" else 1]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("host", HERE)
def test_g1_ctrl_c_at_any_line_ends_the_program_and_cleans_up(host: str, program: str) -> None:
    """Nothing hangs, no step is in the middle, and each clean-up that has begun is whole."""
    _, _, signals = HOSTS[host]
    lines = points(host, program)
    missed = 0
    for line in lines:
        interruption = Interruption(line, signals)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            story, ended_by = played(host, PROGRAMS[program], interruption.tracing())
            try:
                if not interruption.sent:
                    # Not every backend does all in the same order each time.
                    missed += 1
                    continue
                check(story, ended_by)
                if line.function not in CUT_IS_THE_USERS:
                    # A step that is suspended is not cleaned up after: it is to be run again.
                    assert program in SUSPENDING or set(story.cut) <= set(story.tearing)
                    assert set(story.tearing) == set(story.torn)
            except BaseException as error:
                error.add_note(f"on {host}, Ctrl-C came at {line}")
                raise
            # What these refer to is let go of here, and not in the next round.
            del story, ended_by
            gc.collect()
        if line.function not in CUT_IS_THE_USERS:
            # No task of a workflow was made in vain. The call of a handler may be lost on its way
            # to the queue, and so may what libraries make on theirs to the loop.
            texts = [str(one.message) for one in warned]
            assert [text for text in texts if "register.<locals>" in text] == [], line
    assert missed <= 1 + len(lines) // 20
