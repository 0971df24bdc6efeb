"""What a deliberate fault is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One deliberate fault.

    Attributes:
        name: What the engine does then, as a sentence without a subject.
        file: The module it is in, below `src/tukio`.
        old: The text that is replaced; it must be there exactly once.
        new: The text in its place.
        why: What users would meet.
        tests: The test files of which one must turn red, below `tests`.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]
