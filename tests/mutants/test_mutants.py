"""The list of deliberate faults can be applied: what it changes is still there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from .__main__ import PACKAGE, mutated
from .catalogue import MUTANTS

if TYPE_CHECKING:
    from .mutant import Mutant

TESTS = PACKAGE.parent.parent / "tests"

every_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@every_mutant
def test_every_mutant_can_be_applied(mutant: Mutant) -> None:
    """Once; it changes something, and the result is a module."""
    text = mutated(mutant)
    assert text != (PACKAGE / mutant.file).read_text()
    compile(text, mutant.file, "exec")


@every_mutant
def test_the_tests_of_every_mutant_are_there(mutant: Mutant) -> None:
    """Those that were removed would let it survive."""
    assert mutant.tests
    assert [test for test in mutant.tests if not (TESTS / test).is_file()] == []


def test_no_mutant_is_there_twice() -> None:
    """By its name, nor by its change."""
    for field in ("name", "new"):
        counts = Counter((mutant.file, mutant.old, getattr(mutant, field)) for mutant in MUTANTS)
        assert max(counts.values()) == 1
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
