"""The keys of tasks and workflows as typed words: this is the one place where code form has them.

A key of a template document is added here, and nowhere else in this package: both words and their
types are read from these classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from .._model.defaults import as_data
from .._model.display import nearest, shown
from .._model.paths import DATA as ROOT, step_text
from .._model.policy import ErrorPolicy, OverrunPolicy
from .._model.retry import Retry
from .undoing import as_compensation, as_finals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .chain import Chain


LEFT_OUT: Final = frozenset(
    {
        "join",
        "collect",
        "on_timeout",
        "idle_timeout",
        "retry",
        "map",
        "policy",
        "on_error",
        "compensate",
        "finally",
        "compensate_on",
        "defaults",
    }
)
"""Keys that None leaves out; for others, as `topics`, it says something."""


_OURS: Final = ("id", "name", "tasks", "graph", "finally")
"""Keys that are not among the words."""


class MapKeys(TypedDict, total=False):
    """What may be said of a task that is run for each item of a list, beside where that list is.

    `limit` is how many items are at work at once, `tolerate` how many may fail, `into` the key that
    the results are passed on by, and `timeout` the limit of an item.
    """

    limit: int | None
    tolerate: int | str
    into: str
    timeout: float | None


class TaskKeys(TypedDict, total=False):
    """What may be said of a task, beside its name and its id; see `TaskTemplate`.

    `extra` has keys of the user's own.
    """

    config: Any
    timeout: float | None
    idle_timeout: float | None
    on_timeout: Literal["continue", "fail", "retry"]
    on_error: Literal["stop", "abort"] | Mapping[str, Any]
    compensate: str | Mapping[str, Any] | Chain[Any, Any] | None
    retry: Retry | Mapping[str, Any] | None
    map: Mapping[str, Any] | None
    topics: Sequence[str] | None
    join: Literal["first", "all", "settled"] | int
    collect: Literal["merge", "all", "first"]
    extra: Mapping[str, Any]


class Defaults(TypedDict, total=False):
    """What each task of a workflow takes that says nothing of it; see `WorkflowTemplate`."""

    timeout: float | None
    idle_timeout: float | None
    on_timeout: Literal["continue", "fail", "retry"]
    retry: Retry | Mapping[str, Any] | None


class FlowKeys(TypedDict, total=False):
    """What may be said of a workflow, beside its id and its tasks; see `WorkflowTemplate`.

    `finally_` is the key `finally`, which is no name in Python. `extra` has keys of the user's own.
    """

    policy: OverrunPolicy | Literal["skip", "start-new", "skip-until-unlock", "abort-running"]
    on_error: ErrorPolicy | Literal["continue", "abort"]
    finally_: Sequence[Mapping[str, Any] | Chain[Any, Any]] | None
    closing_timeout: float | None
    compensate_on: Sequence[Literal["exception", "timeout", "cancelled"]] | None
    timeout: float | None
    topics: Sequence[str] | None
    defaults: Defaults
    title: str
    schema: int
    meta: Any
    extra: Mapping[str, Any]


def as_document(keys: Mapping[str, Any], known: type, what: str) -> dict[str, Any]:
    """Return some keys as a document has them: own keys beside the others, and words for enums.

    Args:
        keys: The keys.
        known: The class of keys above that has all that there may be.
        what: What is given the keys, for the error.

    Raises:
        TypeError: There is no such key; data of the user's own is not in `extra`, or in the way of
            a key; or a task that undoes others, or comes last, is none.
    """
    words = known.__annotations__
    for key in keys:
        if key not in words:
            advice = f"{nearest(key, words)}; keys of your own go into 'extra'"
            msg = f"{what} got an unknown key {shown(key)} - {advice}"
            raise TypeError(msg)
    document = {
        key.removesuffix("_"): _as_data(key, value) for key, value in keys.items() if key != "extra"
    }
    if isinstance(document.get("map"), Mapping):
        document["map"] = _with_path(document["map"])
    if "defaults" in document:
        document["defaults"] = as_data(document["defaults"])
    extra = keys.get("extra", {})
    if not isinstance(extra, Mapping):
        msg = f"{what} got {shown(extra)} as 'extra' - give a dict of keys of your own"
        raise TypeError(msg)
    if taken := [key for key in extra if key in words or key in _OURS]:
        msg = f"{what} got {shown(taken[0])} in 'extra' - give it as a key"
        raise TypeError(msg)
    return {**document, **extra}


def as_map(over: str, keys: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return what a document has for a task that is run for each item of a list.

    Args:
        over: Where the list is.
        keys: What else is said of that.
        what: What is given the keys, for the error.

    Raises:
        TypeError: There is no such key.
    """
    words = MapKeys.__annotations__
    for key in keys:
        if key not in words:
            msg = f"{what} got an unknown key {shown(key)} - {nearest(key, words)}"
            raise TypeError(msg)
    return as_document({"map": {"over": over, **keys}}, TaskKeys, what)


def given(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document says, without those keys that None leaves out."""
    return {
        key: value for key, value in document.items() if value is not None or key not in LEFT_OUT
    }


def _with_path(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `map` with the path of its list: code may name a key of the data alone."""
    over = words.get("over")
    if isinstance(over, str) and over[:1] != ROOT:
        return {**words, "over": f"{ROOT}{step_text(over)}"}
    return dict(words)


def _as_data(key: str, value: Any) -> Any:
    """Return a value as JSON has it, if it is one of those that code has otherwise."""
    if key == "compensate":
        return as_compensation(value)
    if key == "finally_":
        return as_finals(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Retry):
        return value.as_dict()
    return value.value if isinstance(value, OverrunPolicy | ErrorPolicy) else value
