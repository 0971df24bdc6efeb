"""The work, once per contender.

Each module has `WORKS` (name of the work -> what does it) and `DISTRIBUTIONS` (whose versions
matter). A work is an async function of a `Meter` and a size. What a user would do once (an
engine, a template, a compiled graph) it does before the first pass. Each step does the same
everywhere: it takes a dict, and returns another.
"""
