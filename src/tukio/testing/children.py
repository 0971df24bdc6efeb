"""Children of random workflows: what a task may run in place of an actor.

Owns:   which workflows there are, and what is said beside them. All are small chains of actors.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

from .actors import ACTOR

Data: TypeAlias = dict[str, Any]


def _child(*behaviours: Data, **keys: Any) -> Data:
    """Return the template of a child: a chain of actors."""
    ids = ("x", "y", "z")[: len(behaviours)]
    tasks = [
        {"id": uid, "name": ACTOR, "config": behaviour}
        for uid, behaviour in zip(ids, behaviours, strict=True)
    ]
    graph = {up: [down] for up, down in pairwise(ids)}
    return {"id": "child", "tasks": tasks, "graph": graph, **keys}


_NAP: Data = {"seconds": 2}
WORKFLOWS: tuple[Data, ...] = (
    _child({}),
    _child(_NAP),
    _child({"seconds": 1}, {"seconds": 3}),
    _child({"seconds": 1}, {"seconds": 9, "shields": 2}),
    _child({"seconds": 1, "ends": "none"}),
    _child({"seconds": 1, "ends": "text"}),
    _child(_NAP, {"ends": "error"}),
    _child({"ends": "error"}, on_error="abort"),
    _child({"seconds": 3, "when_cut": "error"}, on_error="abort"),
    _child({"seconds": 9, "cleans": 1}, timeout=2),
)
NESTED: tuple[Data, ...] = (
    {"id": "middle", "tasks": [{"id": "m", "workflow": WORKFLOWS[2]}]},
    {"id": "middle", "tasks": [{"id": "m", "workflow": WORKFLOWS[7]}], "on_error": "abort"},
)

LIMITS: tuple[Data, ...] = (
    *({} for _ in range(3)),
    *({"timeout": limit} for limit in (1, 3)),
    {"timeout": 2, "on_timeout": "fail"},
    {"retry": {"attempts": 2, "jitter": "none"}},
)

CHILDREN: tuple[Data, ...] = (
    *({"workflow": one} for one in (*WORKFLOWS, *NESTED)),
    *({"workflow": WORKFLOWS[3], **limits} for limits in LIMITS),
    {"workflow": WORKFLOWS[7], **LIMITS[-1]},
)
"""What a task says in place of a name and a config."""
