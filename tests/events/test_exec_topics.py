"""Which topics are those of execution events."""

from __future__ import annotations

import pytest

from tukio import EXEC_TOPIC
from tukio._events.exec_topics import is_exec_topic, workflow_exec_topics


@pytest.mark.parametrize(
    ("topic", "is_one"),
    [
        (EXEC_TOPIC, True),
        (workflow_exec_topics("1")[-1], True),
        (f"{EXEC_TOPIC}s", False),
        (EXEC_TOPIC[:-1], False),
        ("a", False),
        ("", False),
        ("~", False),
    ],
)
def test_they_are_that_of_all_runs_and_those_of_one(topic: str, is_one: bool) -> None:
    """By the text, whichever object it is."""
    assert is_exec_topic(topic) is is_one
    assert is_exec_topic("".join(topic)) is is_one
