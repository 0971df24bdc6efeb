"""Classes of pydantic: made out of data, taken apart, and what is said of data that does not fit.

Owns:   which words of its errors are values of the data, and which keys are no fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args, get_origin

from .._model.candidate import place_of
from .._model.invalid_input import Misfit
from .hints import hints_of, local_names_of
from .wrong import OtherKind, Wrong, said, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .records import Convert

_Places: TypeAlias = dict[int, dict[Any, int]]
"""The places of the keys of some dicts, which are known by their ids."""

_OWN_WORDS: Final = ("value_error", "assertion_error")
"""The errors whose words are those of the user."""


def is_record(pydantic: Any, kind: Any) -> bool:
    """Return whether a class is a model or a dataclass of pydantic; others are values."""
    if issubclass(kind, pydantic.BaseModel):
        return True
    return dataclasses.is_dataclass(kind) and hasattr(kind, "__pydantic_validator__")


def converter_of(pydantic: Any, annotation: Any) -> Convert:
    """Return what makes an instance of a class out of data.

    Raises:
        TypeError: The class refers to what is not there.
    """
    kind = get_origin(annotation) or annotation
    adapter = _adapter(pydantic, annotation, kind)
    known: set[str] = set()

    def convert(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        if not known:
            # Only now, when something is wrong.
            known.update(_words_in(annotation))
        places: _Places = {}
        misfits = [Misfit(_path(one["loc"], value, known, places), _problem(one)) for one in found]
        # Not within, for the context would show the values in a traceback.
        raise Wrong(misfits) if isinstance(value, Mapping) else OtherKind(misfits)

    return convert


def _adapter(pydantic: Any, annotation: Any, kind: Any) -> Any:
    try:
        if not getattr(kind, "__pydantic_complete__", True):
            rebuild = getattr(kind, "model_rebuild", None)
            rebuild = rebuild or partial(pydantic.dataclasses.rebuild_dataclass, kind)
            rebuild(_types_namespace=local_names_of(kind))
        return pydantic.TypeAdapter(annotation)
    except (NameError, TypeError, RuntimeError) as error:
        words = words_of(error).partition(r"\n")[0]
        msg = f"{place_of(kind)}: pydantic cannot make any - {words}"
        raise TypeError(msg) from error


def dumper_of(pydantic: Any, kind: Any) -> Callable[[Any], Any]:
    """Return what makes data of an instance of a class: each field, under the key it is read by.

    What the class says of its own serialization is for others: a field that is left out of it, or
    has another key there, could not be read again.
    """
    if issubclass(kind, pydantic.RootModel):
        return lambda value: value.root
    fields = _fields(kind)
    if not issubclass(kind, pydantic.BaseModel):
        config = getattr(kind, "__pydantic_config__", {})
        names = [one.name for one in dataclasses.fields(kind) if one.init]
        pairs = tuple((_key(name, fields.get(name), config), name) for name in names)
        return lambda value: {key: getattr(value, name) for key, name in pairs}
    pairs = tuple((_key(name, one, kind.model_config), name) for name, one in fields.items())

    def dump(value: Any) -> dict[str, Any]:
        values = vars(value)
        found = {key: values[name] for key, name in pairs if name in values}
        return {**(getattr(value, "__pydantic_extra__", None) or {}), **found}

    return dump


def _fields(kind: Any) -> Mapping[str, Any]:
    """Return what pydantic knows of the fields of a class."""
    found = getattr(kind, "__pydantic_fields__", None)
    return getattr(kind, "model_fields", {}) if found is None else found


def _key(name: str, field: Any, config: Mapping[str, Any]) -> str:
    """Return the key under which a field is read."""
    alias = getattr(field, "validation_alias", None) or getattr(field, "alias", None)
    if not config.get("validate_by_alias", True):
        return name
    for one in getattr(alias, "choices", [alias]):
        path = getattr(one, "path", [one])
        if len(path) == 1 and isinstance(path[0], str):
            return path[0]
    # A path into other data.
    return name


def _problem(error: Mapping[str, Any]) -> str:
    """Return what is wrong, without the values that are in the words of some errors."""
    context = error.get("ctx", {})
    words: str = error["msg"]
    if error["type"] in _OWN_WORDS:
        return said(words)
    if error["type"] == "union_tag_invalid":
        return said(f"the tag {context['discriminator']} must be {context['expected_tags']}")
    for key in ("error", "tag"):
        if value := str(context.get(key, "")):
            words = words.partition(value)[0].rstrip(" ,:'\"")
    return said(words)


def _path(steps: Iterable[object], data: Any, known: Collection[str], places: _Places) -> str:
    """Return where in the data an error is; keys that are no fields are told by their places."""
    path = ""
    for step in steps:
        is_key = isinstance(data, Mapping) and step in data
        if isinstance(step, str) and step in known:
            path += f".{step}"
        elif isinstance(data, Mapping) and is_key:
            if id(data) not in places:
                places[id(data)] = {key: place for place, key in enumerate(data)}
            path += f"[key {places[id(data)][step]}]"
        elif isinstance(step, int) and isinstance(data, Collection):
            path += f"[{step}]"
        elif step != "[key]":
            path += "[...]"
        data = _within(data, step, is_key=is_key)
    return said(path.removeprefix("."))


def _within(data: Any, step: Any, *, is_key: bool) -> Any:
    """Return what is at a step of a path; a step that is the name of a type leads nowhere."""
    if is_key:
        return data[step]
    is_index = isinstance(step, int) and isinstance(data, list | tuple)
    return data[step] if is_index and -len(data) <= step < len(data) else data


def _words_in(annotation: Any) -> set[str]:
    """Return the words that are of classes, and not of data: fields, aliases, tags and names."""
    words: set[str] = set()
    seen: set[int] = set()
    left = [annotation]
    while left:
        one = left.pop()
        if isinstance(one, str):
            words.add(one)
        kind = get_origin(one) or one
        left += get_args(one)
        if not isinstance(kind, type) or id(kind) in seen:
            continue
        seen.add(id(kind))
        words.add(kind.__name__)
        hints, aliases = _described(kind)
        words.update(hints, aliases)
        left += hints.values()
    return words


def _described(kind: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Return the annotations of the fields of a class by their names, and their other keys."""
    if fields := _fields(kind):
        hints = {name: field.annotation for name, field in fields.items()}
        return hints, [_key(name, field, {}) for name, field in fields.items()]
    try:
        return hints_of(kind), []
    except TypeError:
        return {}, []
