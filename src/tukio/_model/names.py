"""What a template asks of a registry: that its names are known, and its configs good.

Knows:  the registered tasks, and the rules that holder classes have for their configs.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from .changes import exact
from .closing_words import names_in_closing
from .defaults import defaults_in
from .display import nearest, plain, shown
from .errors import NOT_IMPORTED, Fault, UnknownTaskName
from .fan_in import parents_in
from .findings import first_of, is_hashable, is_in, is_mapping
from .keys import TASK_KEYS, WORKFLOW_KEYS, spelt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


def find_unknown_names(document: Mapping[str, Any], known: Mapping[Any, Any]) -> list[Fault]:
    """Return a fault for each task whose name is not among the known ones.

    Args:
        document: The document of a template, of any content within the size limits.
        known: The registered tasks by name.
    """
    names = sorted(map(str, known))
    key = spelt(document, "tasks", WORKFLOW_KEYS)
    tasks, finals = document.get(key), document.get("finally")
    named = chain(
        ((f"{key}[{number}].{plain(field)}", name) for number, field, name in _names_of(tasks)),
        ((path, name) for path, name, _ in names_in_closing(tasks, key, finals)),
    )
    return first_of(
        Fault(
            path,
            f"no task is registered as {shown(name)}",
            nearest(name, names, NOT_IMPORTED),
            UnknownTaskName,
            (name, names),
        )
        for path, name in named
        # What can be no name at all is another fault.
        if not is_in(name, known) and is_hashable(name)
    )


def _names_of(tasks: Any) -> Iterator[tuple[int, str, Any]]:
    """Yield the name of each task that has one: the number of the task, the key, and the name."""
    for number, task in enumerate(tasks if isinstance(tasks, list | tuple) else ()):
        if is_mapping(task):
            field = "name" if "name" in task else spelt(task, "name", TASK_KEYS)
            if field in task:
                yield number, field, task[field]


def find_unknown_predicates(document: Mapping[str, Any], known: Collection[str]) -> list[Fault]:
    """Return a fault for each predicate that a `retry_if` names, and that is not a known one.

    Args:
        document: The document of a template, of any content within the size limits.
        known: The names of the registered predicates.
    """
    return first_of(
        Fault(
            f"{path}.retry.retry_if",
            f"no predicate is called {shown(name)}",
            nearest(name, known, NOT_IMPORTED),
        )
        for path, name in _predicates_of(document)
        if name not in known
    )


def _predicates_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each predicate that a `retry_if` names, with the path of what has it."""
    key = spelt(document, "tasks", WORKFLOW_KEYS)
    tasks = document.get(key)
    owners: list[tuple[str, Any]] = [defaults_in(document)]
    for number, task in enumerate(tasks if isinstance(tasks, list | tuple) else ()):
        owners.append((f"{key}[{number}]", task))
    closing = names_in_closing(tasks, key, document.get("finally"))
    owners += ((path.removesuffix(".name"), words) for path, _, words in closing)
    for path, owner in owners:
        retry = owner.get("retry") if is_mapping(owner) else None
        name = exact(retry.get("retry_if")) if is_mapping(retry) else None
        # What can be no name is another fault.
        if isinstance(name, str) and name:
            yield path, name


def find_config_faults(document: Mapping[str, Any], known: Mapping[Any, Any]) -> list[Fault]:
    """Return the faults that holder classes find in the configs of their tasks.

    A holder class may have a static method `find_faults(config, parents)`, which yields for each
    fault the path within the config, the problem and the advice.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
        known: The registered tasks by name: holder class (or None) and coroutine function.
    """
    parents = parents_in(document)
    configs: list[tuple[str, Any, Any, list[str]]] = [
        (f"tasks[{number}]", task.get("name"), task["config"], parents.get(task["id"], []))
        for number, task in enumerate(document["tasks"])
    ]
    for path, name, words in names_in_closing(document["tasks"], "tasks", document.get("finally")):
        configs.append((path.removesuffix(".name"), name, words.get("config") or {}, []))
    return first_of(
        Fault(f"{where}.config{path}", problem, advice)
        for where, name, config, parents_of in configs
        if is_in(name, known)
        for path, problem, advice in _check(known[name][0], config, parents_of)
    )


def _check(holder: Any, config: Any, parents: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the faults that a holder class finds in a config; none if the class does not check."""
    check = getattr(holder, "find_faults", None)
    if check is None:
        return
    try:
        for path, problem, advice in check(config, parents):
            yield f".{path}", problem, advice
    except Exception as error:  # noqa: BLE001 - the method is the user's, and so is the config
        advice = f"mend the config, or {holder.__qualname__}.find_faults"
        yield "", f"cannot be checked: {shown(error)}", advice
