"""What random mapped tasks say.

Owns:   how often each word comes.
"""

from __future__ import annotations

from typing import Any, Final

MAPS: Final[tuple[dict[str, Any], ...]] = (
    *({} for _ in range(3)),
    *({"limit": number} for number in (1, 2)),
    *({"limit": 2, "tolerate": tolerate} for tolerate in (1, "50%", "all")),
    {"tolerate": 1, "timeout": 2},
    {"limit": 1, "timeout": 4, "into": "items"},
)
"""What a `map` says, beside where its list is."""
