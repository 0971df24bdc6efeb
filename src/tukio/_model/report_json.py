"""Reports as JSON text, and back without loss.

Owns:   the form of a whole document. The form of values is that of `codecs`. A document in which
        there is such a form has the key `$tukio` with the word `report`, so that whoever is given
        the document knows it, whoever has read the text. The `start` and `end` of executions are
        plain ISO 8601 texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from .codecs import TAG, DecodedReport, encode
from .decoding import FORMS, decode, find_lost
from .display import plain
from .errors import RescueError
from .location import CONTAINERS, Location
from .lost import Lost

__all__ = ["TAG", "Lost", "decoded", "find_lost", "report_from_json", "report_to_json"]

MARK: Final = "report"

_MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""Raised when data that is no form is read as one."""


def report_to_json(report: Mapping[str, Any]) -> str:
    """Return a report as JSON text.

    Values of the types that JSON lacks have a form of their own: bytes, tuples, sets, dicts with
    any keys, times with their zones, decimals, UUIDs, paths, and what is registered by `codec`.
    Any other value is written as its `repr`, and is lost.

    Args:
        report: The result of `Workflow.report()`.

    Raises:
        RecursionError: A value in the report contains itself.
        RescueError: It has the key of a JSON text, and is none that this function has made.
    """
    if report.get(TAG) == MARK:
        # The text was read by another reader: its values are in their forms already.
        report = decoded(report)
    text = json.dumps(encode(_report_with_texts(report)), allow_nan=False)
    is_whole = text.startswith(f'{{"{TAG}": ')
    # In a text of the user's own, the quotes would be escaped.
    if is_whole or f'"{TAG}": ' not in text:
        return text
    return f'{{"{TAG}": "{MARK}", {text[1:]}'


def report_from_json(text: str | bytes) -> dict[str, Any]:
    """Return the report that `report_to_json` made a text of, fit for a rescue.

    The `start` and `end` of executions stay texts. The report is a kind of dict, by which a rescue
    knows that it is read: what looks like a form of a value in it is data of the user's own.

    Raises:
        RescueError: The text is not a JSON object, or a value in it has a form that no report has.
            Or it is no text, but a report that was read already.
    """
    if isinstance(text, Mapping):
        raise RescueError(None, "it is no text, but read already - hand it to rescue as it is")
    try:
        report = _decode(json.loads(text, object_pairs_hook=_without_twins))
    except _MALFORMED as error:
        raise _refusal(error) from error
    if not isinstance(report, dict):
        raise RescueError(None, f"it is a JSON {type(report).__name__}, not an object")
    return DecodedReport(report)


def decoded(report: Any) -> Any:
    """Return a report with the values that it is about, whoever has read its JSON text.

    A report that `json.loads` has read, a database or a web framework, still has the forms of
    values in it. They are decoded here. Any other report is returned as it is.

    Raises:
        RescueError: A value has a form that no report has. Or there are forms without the key that
            says so: these might be data of the user's own.
    """
    if not isinstance(report, Mapping) or isinstance(report, DecodedReport):
        return report
    execution = report.get("exec")
    is_whole = execution is None and report.get(TAG) == "dict" and "value" in report
    start = execution.get("start") if isinstance(execution, Mapping) else None
    if not is_whole and not isinstance(start, str):
        # A report that is no text has datetimes.
        return report
    if is_whole or report.get(TAG) == MARK:
        try:
            return _decode(dict(report))
        except _MALFORMED as error:
            raise _refusal(error) from error
    form = _find_form(report)
    if form is not None:
        reason = f"{form} is in the form of a JSON text - read the text by report_from_json"
        raise RescueError(None, reason)
    return report


def _refusal(error: BaseException) -> RescueError:
    return RescueError(None, f"it is not the JSON form of a report ({plain(str(error))})")


def _decode(document: Any) -> Any:
    if isinstance(document, dict) and document.get(TAG) == MARK and "exec" in document:
        document = {key: part for key, part in document.items() if key != TAG}
    return decode(document)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        msg = "a key is in an object twice"
        raise ValueError(msg)
    return document


def _find_form(report: Any) -> str | None:
    """Return the path of the first value that looks like a form; None if there is none."""
    known: set[int] = set()
    waiting = [Location(report)]
    while waiting:
        location = waiting.pop()
        value = location.value
        if id(value) in known:
            continue
        known.add(id(value))
        if isinstance(value, Mapping) and set(value) == {TAG, "value"}:
            name = value[TAG]
            if isinstance(name, str) and name in FORMS:
                return location.path()
        waiting += reversed([*location.inner(CONTAINERS)])
    return None


def _report_with_texts(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report with the times of executions as texts, also in the reports of children."""
    document = dict(report) | {"exec": _with_texts(report["exec"])}
    document["tasks"] = [
        dict(task) | {"exec": _with_texts(task.get("exec"))} for task in report["tasks"]
    ]
    return document


def _with_texts(execution: Any) -> Any:
    """Return an execution with its times as texts."""
    if execution is None:
        return None
    if execution.get("child"):
        execution = dict(execution) | {"child": _report_with_texts(execution["child"])}
    items = execution.get("items")
    if items and items.get("children"):
        children = {key: _report_with_texts(child) for key, child in items["children"].items()}
        execution = dict(execution) | {"items": dict(items) | {"children": children}}
    times = {key: execution[key] for key in ("start", "end")}
    return dict(execution) | {
        key: time.isoformat() if isinstance(time, datetime) else time for key, time in times.items()
    }
