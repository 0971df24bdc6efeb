"""How many examples the properties try, and which.

Owns:   the profiles of Hypothesis: `tukio`, for every run of the tests, `less`, for all Pythons but
        the newest, `deep`, for nights, and `mutants`.

In `tukio` the examples are the same each time: what is red was red before, or came with the
change. `less` tries the first of them. New ones are looked for by `deep`, and never the same: fifty
times as many, or as many times as `TUKIO_DEEPER` in the environment says. `mutants` is as `tukio`,
but what fails is not made small: nobody looks at it.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

PROFILE = os.environ.get("TUKIO_PROFILE", "tukio")

DEEPER = int(os.environ.get("TUKIO_DEEPER", "50"))
"""How many examples `deep` tries for each one of `tukio`."""

LESS = 8
"""How many examples `tukio` tries for each one of `less`, of those that try more than others."""

FACTOR = {"deep": DEEPER, "less": 1 / LESS}.get(PROFILE, 1)


def load() -> None:
    """Let Hypothesis know them, and load the one that `TUKIO_PROFILE` in the environment names."""
    # How long an example takes in real time is no matter of these tests.
    settings.register_profile("tukio", deadline=None, derandomize=True)
    settings.register_profile("less", deadline=None, derandomize=True, max_examples=30)
    settings.register_profile("deep", deadline=None, print_blob=True)
    as_drawn = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", deadline=None, derandomize=True, phases=as_drawn)
    settings.load_profile(PROFILE)


def many(examples: int) -> settings:
    """Return the settings of a property that tries more examples than others do."""
    return settings(
        max_examples=max(1, int(examples * FACTOR)),
        suppress_health_check=[HealthCheck.too_slow],
    )
