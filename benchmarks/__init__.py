"""What a workflow costs: `python -m benchmarks` measures it, beside the limits and the peers.

- asks: `cases` (one function per question), `catalogue` (who competes)
- measures: `contenders/` (the work itself), `shapes`, `meter`, `worker` (one process per measure)
- counts: `instructions` (needs valgrind); PROFILE.md says what was found
- runs: `environments` (a throw-away one per peer), `runner` (interleaved rounds)
- answers: `results` (medians, ratios), `report` (tables), `plots`, `goals`
"""
