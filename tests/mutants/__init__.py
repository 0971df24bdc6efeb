"""Deliberate faults in the engine, and the tests that must see them: `python -m tests.mutants`."""
