"""Tukio 2 does what was recorded from 1.1.2, save for the differences that are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recorded.differences import DIFFERENCES
from recorded.scenarios import SCENARIOS
from recorded.stage import Stage

RECORDINGS = Path(__file__).parent / "recordings"


def expected(name: str) -> Any:
    """Return the recording of a scenario with its differences applied."""
    record = json.loads((RECORDINGS / f"{name}.json").read_text())
    for difference in DIFFERENCES.get(name, []):
        difference.apply(record)
    return record


@pytest.mark.backends("asyncio", "uvloop")
@pytest.mark.parametrize("name", SCENARIOS)
async def test_it_does_what_tukio_1_did(name: str) -> None:
    """Events in their order and at their times, ends, reports, and what tasks have seen."""
    stage = Stage()
    try:
        await SCENARIOS[name](stage)
        seen = await stage.record()
    finally:
        stage.close()

    assert json.loads(json.dumps(seen)) == expected(name)


def test_each_scenario_is_recorded() -> None:
    """And nothing is compared with a scenario that is no more."""
    assert {path.stem for path in RECORDINGS.iterdir()} == set(SCENARIOS)


def test_each_difference_is_of_a_scenario() -> None:
    """A difference that no scenario has would be forgotten."""
    assert DIFFERENCES.keys() <= SCENARIOS.keys()


def test_each_scenario_says_something() -> None:
    """A record that is empty could not fail."""
    records = {name: expected(name) for name in SCENARIOS}

    assert [name for name, told in records.items() if not (told["runs"] or told["notes"])] == []
