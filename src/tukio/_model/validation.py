"""The validation of a template in its dict form, which finds all faults at once.

Owns:   the rules for a template document, and the messages about faults.
Knows:  documents, not template objects: an object is checked through its `as_dict()`.
Source: 1.x, which accepted many faults and failed later, or hung. The `kind` of a fault is the
        exception that 1.x raised, where it raised one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from .after_failure import find_handler_faults, find_on_error_faults
from .changes import exact
from .children import find_workflow_faults
from .closing_words import find_closing_faults, find_closing_ids, find_compensate_faults
from .defaults import defaults_in, find_defaults_faults
from .display import nearest, plain, shown
from .errors import Fault
from .fan_in import find_count_faults, find_join_faults
from .findings import find_uncopied, first_of, is_hashable, is_mapping, type_of
from .item_undo import find_item_undo_faults
from .keys import TASK_KEYS, WORKFLOW_KEYS, find_misspelt, spelt
from .links import Links, is_id
from .mapping import find_item_faults, find_map_faults
from .names import find_config_faults, find_unknown_names, find_unknown_predicates
from .policy import ErrorPolicy, OverrunPolicy
from .retry import find_retry_faults
from .size_limits import find_excess
from .time_limits import find_limit_faults, find_on_timeout_faults

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable, Collection, Iterator

    Find = Callable[[Any], list[Fault]]
    Found = Iterator[Fault]


def find_faults(
    document: Any,
    *,
    complete: bool,
    known: Mapping[Any, Any] | None = None,
    predicates: Collection[str] = (),
) -> list[Fault]:
    """Return all faults of a template document, in the order of the document.

    This ends soon for any document: a document that is too large is not checked further, and of
    very many faults only the first ones are reported.

    Args:
        document: The document, any object; it should be the dict form of a template.
        complete: Whether the template must be ready to run. If not, the number of root tasks is
            checked only if there are other faults.
        known: The registered tasks by name; None if no names are looked up.
        predicates: The names of the registered predicates.
    """
    if not isinstance(document, Mapping):
        problem = f"a template is a mapping, not {type_of(document)}"
        return [Fault("", problem, "give it the keys 'tasks' and 'graph'", TypeError)]
    if excess := find_excess(document):
        return excess
    find = partial(find_faults, complete=True, known=known, predicates=predicates)
    faults = _find_faults(document, find, complete=complete)
    return faults if known is None else faults + _find_unknown(document, known, predicates)


def find_all_faults(
    document: Mapping[str, Any], known: Mapping[Any, Any], predicates: Collection[str]
) -> list[Fault]:
    """Return all faults of a template that must be ready to run.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
        known: The registered tasks by name: holder class (or None) and coroutine function.
        predicates: The names of the registered predicates.
    """
    if excess := find_excess(document):
        return excess
    find = partial(_find_inner_faults, known, predicates)
    return [
        *_find_faults(document, find, complete=True),
        *_find_unknown(document, known, predicates),
        *find_config_faults(document, known),
        *first_of(
            chain(
                find_count_faults(document),
                find_handler_faults(document),
                find_closing_ids(document),
                find_item_undo_faults(document),
            )
        ),
    ]


def _find_inner_faults(
    known: Mapping[Any, Any], predicates: Collection[str], document: Any
) -> list[Fault]:
    """Return all faults of a template that a task has for its `workflow`."""
    if faults := find_faults(document, complete=True, known=known, predicates=predicates):
        return faults
    tasks = [{"config": {}, **task} for task in document["tasks"]]
    return find_all_faults({"graph": {}, **document, "tasks": tasks}, known, predicates)


def _find_faults(document: Mapping[str, Any], find: Find, *, complete: bool) -> list[Fault]:
    links = Links(document)
    faults = first_of(chain(_header(document), _tasks(document, find), links.faults))
    if complete or faults:
        faults += links.find_root_faults()
    return faults


def _find_unknown(
    document: Mapping[str, Any], known: Mapping[Any, Any], predicates: Collection[str]
) -> list[Fault]:
    """Return the faults of names that are not registered."""
    return [
        *find_unknown_names(document, known),
        *find_unknown_predicates(document, predicates),
    ]


def _header(document: Mapping[str, Any]) -> Found:
    yield from _text("id", document.get("id"))
    yield from _member("policy", document.get("policy"), OverrunPolicy)
    yield from _member("on_error", document.get("on_error"), ErrorPolicy)
    yield from _topics("topics", document.get("topics"))
    yield from find_limit_faults("timeout", document.get("timeout"))
    yield from find_defaults_faults(document)
    schema = document.get("schema")
    if schema is not None and not (isinstance(schema, int) and not isinstance(schema, bool)):
        problem = f"must be an int, not {type_of(schema)}"
        yield Fault("schema", problem, "leave it out for 1", TypeError)
    yield from find_closing_faults(document)
    yield from _text("title", document.get("title"))
    yield from find_uncopied("meta", document.get("meta"))
    yield from _extra("", document, WORKFLOW_KEYS)


def _tasks(document: Mapping[str, Any], find: Find) -> Found:
    key = spelt(document, "tasks", WORKFLOW_KEYS)
    tasks = document.get(key, ())
    if not isinstance(tasks, list | tuple):
        if key == "tasks":
            advice = "list the tasks" + (", each with its 'id'" if is_mapping(tasks) else "")
            yield Fault(key, f"must be a list, not {type_of(tasks)}", advice, TypeError)
        return
    _, defaults = defaults_in(document)
    seen: dict[str, int] = {}
    sound: list[tuple[str, Mapping[str, Any]]] = []
    for number, task in enumerate(tasks):
        path = f"{key}[{number}]"
        if not is_mapping(task):
            problem = f"a task is a mapping, not {type_of(task)}"
            yield Fault(path, problem, "give it at least a 'name'", TypeError)
            continue
        yield from _task(path, task, defaults)
        yield from find_workflow_faults(path, task, find)
        sound.append((path, task))
        uid = exact(task.get("id"))
        if is_id(uid) and seen.setdefault(uid, number) != number:
            problem = f"duplicate task id {shown(uid)}, also at {key}[{seen[uid]}]"
            yield Fault(f"{path}.id", problem, "give each task an id of its own")
    yield from find_item_faults(sound)


def _task(path: str, task: Mapping[str, Any], defaults: Mapping[Any, Any]) -> Found:
    yield from _name(path, task)
    yield from _text(f"{path}.id", task.get("id"))
    yield from _topics(f"{path}.topics", task.get("topics"))
    yield from find_limit_faults(f"{path}.timeout", task.get("timeout"))
    yield from find_limit_faults(f"{path}.idle_timeout", task.get("idle_timeout"))
    yield from find_on_timeout_faults(f"{path}.on_timeout", task.get("on_timeout"))
    yield from find_on_error_faults(f"{path}.on_error", task.get("on_error"))
    yield from find_uncopied(f"{path}.config", task.get("config"))
    yield from find_compensate_faults(f"{path}.compensate", task.get("compensate"))
    yield from find_retry_faults(path, task, defaults)
    yield from find_map_faults(path, task)
    yield from find_join_faults(path, task)
    yield from _extra(f"{path}.", task, TASK_KEYS)


def _name(path: str, task: Mapping[str, Any]) -> Found:
    key = spelt(task, "name", TASK_KEYS)
    path = f"{path}.{plain(key)}"
    if key not in task:
        if task.get(spelt(task, "workflow", TASK_KEYS)) is not None:
            return
        advice = "say which registered task it runs"
        yield Fault(path, "missing name", advice, KeyError)
    elif not is_hashable(task[key]):
        problem = f"must be a registered name, not {type_of(task[key])}"
        yield Fault(path, problem, "use a string", TypeError)
    elif key == "name":
        yield from find_uncopied(path, task[key])


def _extra(path: str, document: Mapping[str, Any], known: frozenset[str]) -> Found:
    yield from find_misspelt(path, document, known)
    for key in document:
        if key not in known:
            yield from find_uncopied(f"{path}{plain(key)}", document[key])


def _text(path: str, value: Any) -> Found:
    if value is not None and not isinstance(value, str):
        yield Fault(path, f"must be a string, not {type_of(value)}", "quote it", TypeError)


def _member(path: str, value: Any, choices: type[enum.Enum]) -> Found:
    allowed = [choice.value for choice in choices]
    if value is not None and not isinstance(value, choices) and value not in allowed:
        problem = f"{shown(value)} is not one of {', '.join(allowed)}"
        yield Fault(path, problem, nearest(value, allowed))


def _topics(path: str, value: Any) -> Found:
    if value is None:
        return
    if not isinstance(value, list):
        problem = f"must be a list of topics or null, not {type_of(value)}"
        yield Fault(path, problem, "null is everything, [] is nothing", TypeError)
        return
    for number, topic in enumerate(value):
        where = f"{path}[{number}]"
        if topic is None:
            yield Fault(where, "a topic is a string, not null", "leave it out", TypeError)
        yield from _text(where, topic)
