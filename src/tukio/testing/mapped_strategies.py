"""Random workflows with mapped tasks, for tests with Hypothesis.

Owns:   the probabilities of what a `map` says.
Knows:  the strategies for tasks, which say the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from .actors import ACTOR, PROMPT_ACTOR
from .strategies import task_templates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

Data = dict[str, Any]

MAPS: tuple[Data, ...] = (
    *({} for _ in range(3)),
    *({"limit": number} for number in (1, 2)),
    *({"limit": 2, "tolerate": tolerate} for tolerate in (1, "50%", "all")),
    {"tolerate": 1, "timeout": 2},
    {"limit": 1, "timeout": 4, "into": "items"},
)
"""What a `map` says, beside where its list is."""

_maps: SearchStrategy[Data] = st.sampled_from(MAPS)
_flags: SearchStrategy[bool] = st.booleans()


@st.composite
def mapped_tasks(draw: DrawFn, uid: str, *, parents: Sequence[str]) -> Data:
    """Draw a task as `task_templates` does; about half of the actors are mapped over `$.items`.

    For `workflow_templates(tasks=mapped_tasks)`. Actors pass on what they were given, so start the
    run with a list: `play(template, history, {"items": [1, 2, 3]})`.

    Args:
        draw: Given by Hypothesis.
        uid: The id of the task.
        parents: The ids of the tasks that lead to this one.
    """
    task = draw(task_templates(uid, parents=parents))
    if task.get("name") in (ACTOR, PROMPT_ACTOR) and draw(_flags):
        task["map"] = {"over": "$.items", **draw(_maps)}
    return task
