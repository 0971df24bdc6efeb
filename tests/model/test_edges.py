"""Values at an edge of what is taken, and texts that are equal and not the same object."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import tukio
from tukio._model.fan_in import ALL, FIRST, collected
from tukio._model.record import _time
from tukio._model.step import Step
from tukio._model.task_template import copied


def another(text: str) -> str:
    """Return an equal text that is another object, as JSON makes one."""
    return "".join([text[:1], text[1:]])


def test_a_word_for_collect_is_known_by_its_text() -> None:
    """As it comes out of JSON."""
    template = tukio.TaskTemplate("a", "a")
    parent = Step(None, 0, template, {}, None)
    assert another(ALL) is not ALL
    assert collected(another(ALL), [({"n": 1}, parent)]) == {"a": {"n": 1}}
    assert collected(another(FIRST), [({"n": 1}, parent), ({"n": 2}, parent)]) == {"n": 1}


def test_a_report_keeps_keys_that_come_before_its_mark() -> None:
    """Whatever sorts before it is the user's own."""
    document = {"tasks": [{"name": "a", "id": "a"}], "!": 1, "#": 2}
    report = {
        **tukio.WorkflowTemplate.from_dict(document).as_dict(),
        "exec": {"id": "x", "start": None, "end": None},
    }
    text = tukio.report_to_json(report)
    assert {key: tukio.report_from_json(text)[key] for key in ("!", "#")} == {"!": 1, "#": 2}
    assert json.loads(text)["!"] == 1


def test_the_last_days_of_the_calendar_are_taken() -> None:
    """But for those that do not exist in every time zone."""
    last = datetime(9999, 12, 28, tzinfo=UTC)
    assert _time(last) == last


def test_empty_data_keeps_its_kind() -> None:
    """The shortcut is for the empty dict alone."""
    empty: list[Any] = [[], "", (), 0, {}]
    for value in empty:
        assert copied(value) == value
        assert type(copied(value)) is type(value)
