"""What random mapped tasks say.

Owns:   how often each word comes.
"""

from __future__ import annotations

from typing import Any, Final

OVER: Final = "$.items"
"""Where the lists are that random tasks are mapped over."""

_WORDS: tuple[dict[str, Any], ...] = (
    {},
    *({"limit": number} for number in (1, 2)),
    *({"limit": 2, "tolerate": tolerate} for tolerate in (1, "50%", "all")),
    {"tolerate": 1, "timeout": 2},
    {"limit": 1, "timeout": 4, "into": "items"},
)

MAPS: Final[tuple[dict[str, Any], ...]] = tuple(
    {"map": {"over": OVER, **words}} for words in _WORDS
)
"""What a task says of being mapped."""
