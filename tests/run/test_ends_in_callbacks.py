"""What ends the program is raised in each call of users' code that a few programs make.

Handlers and callbacks are called at the begin and the end of whatever runs; predicates and errors
are asked in between. All that has begun there comes to its end all the same, on trio as well, where
nothing mends afterwards what is left in the middle.
"""

from __future__ import annotations

import contextlib
import functools
import gc
from typing import Any

import pytest

from support import profiles
from support.called import RESCUING, SUSPENDING, WAYS, Called
from support.calling import CALLING
from support.programs import HERE, Story, check, played

EACH = {name: 1 if name == "trio" else 4 for name in HERE}
"""Of how many calls one is tried; on trio all, unless in a hurry."""


def end_the_program() -> None:
    """Do it."""
    raise KeyboardInterrupt


def ended(host: str, program: str, way: str, nth: int) -> tuple[Called, Story, Any]:
    """Run a program on a host, and end it in a call; return what was told, and how it ended."""
    ending = Called(nth, end_the_program)
    prepare = functools.partial(WAYS[way], ending)
    story, ended_by = played(host, CALLING[program], contextlib.nullcontext(), prepare)
    return ending, story, ended_by


@pytest.mark.parametrize("program", CALLING)
@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("way", WAYS)
def test_g1_the_program_is_ended_in_any_callback(host: str, program: str, way: str) -> None:
    """Nothing hangs, no step is in the middle, and each clean-up that has begun is whole."""
    dry, _, ended_by = ended(host, program, way, 0)
    assert ended_by is None
    each = EACH[host] * (profiles.LESS if profiles.PROFILE == "less" else 1)
    calls = range(1 + HERE.index(host) % each, dry.called + 1, each)
    missed = 0
    for nth in calls:
        ending, story, ended_by = ended(host, program, way, nth)
        try:
            if ending.at is None:
                # trio does not do all in the same order each time.
                assert ended_by is None
                missed += 1
                continue
            check(story, ended_by)
            assert set(story.tearing) == set(story.torn)
            if program not in RESCUING:
                ending.check(may_suspend=program in SUSPENDING)
        except BaseException as error:
            error.add_note(f"on {host}, it was ended at {nth}: {ending.at}")
            raise
        del ending, story, ended_by
        gc.collect()
    assert missed <= 1 + len(calls) // 20
