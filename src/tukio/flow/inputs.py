"""What a task takes: the argument of its function, made out of the event of its step.

Owns:   what is read off the annotation of the argument: an event, a dict, or a record.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from .._model.candidate import place_of
from .._model.display import shown
from .._model.event import Event
from .._model.invalid_input import InvalidInput, Misfit
from .annotations import Compiler, name_of_type, resolved_alias
from .fields import is_typed_dict
from .foreign import converter_of, is_of_lists
from .hints import meaning_in, problem_of
from .outputs import dumped
from .records import Record
from .wrong import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .records import Convert

    Take = Callable[[Event], Any]

COMPILER: Final = Compiler(converter_of)

_DATA: Final = (None, type(None), Event, str, int, float, bool, dict, list, Mapping)
"""What a function may be annotated to return that is data for certain, but for what is in it.

One that says nothing is taken at its word, too; `Any` is a word for what may be a record.
"""

_MAPPINGS: Final = (dict, Mapping, MutableMapping)
"""The types that the data of an event is of already."""

UNRESOLVED: Final = object()
"""Stands for an annotation that names something that is not there."""


def taker_of(function: Any) -> Take | None:
    """Return what makes the argument of a function out of an event; None if it takes the event.

    Args:
        function: A function with one argument.

    Raises:
        TypeError: Its argument is of a type that the data of an event is not, or the annotation
            names something that is not there.
    """
    written = _annotation_of_argument(function)
    if written is inspect.Parameter.empty:
        return None
    try:
        annotation = resolved_alias(meaning_in(function, written))
    except Exception as error:
        if written in {"Event", "tukio.Event"}:
            # Imported for type checkers alone, as linters want it.
            return None
        where = f"{place_of(function)}: the annotation {shown(written)} of its argument"
        msg = f"{where} {problem_of(error)}"
        raise TypeError(msg) from error
    if annotation in (Any, object, Event):
        return None
    return _taker(function, annotation)


def returns_data(function: Any) -> bool:
    """Return whether what a function returns is data for certain, by its annotation."""
    annotations = getattr(function, "__annotations__", None)
    annotation = annotations.get("return") if isinstance(annotations, Mapping) else None
    if isinstance(annotation, str):
        annotation = resolved(function, annotation)
    annotation = resolved_alias(annotation)
    kind: Any = get_origin(annotation)
    return (annotation if kind is None else kind) in _DATA


def resolved(function: Any, annotation: Any) -> Any:
    """Return what an annotation means where a function is defined; `UNRESOLVED` if nothing does."""
    try:
        return meaning_in(function, annotation)
    except Exception:  # noqa: BLE001 - the text may be anything
        return UNRESOLVED


def as_data(data: Any) -> Any:
    """Return the data to start a run with: that of a record, or the data itself; None is {}."""
    return {} if data is None else dumped(data)


def _annotation_of_argument(function: Any) -> Any:
    """Return the annotation of what a function is called with, as it is written."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return inspect.Parameter.empty  # nobody can tell, as of what wraps itself
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            return parameter.annotation
    return inspect.Parameter.empty


def _taker(function: Any, annotation: Any) -> Take:
    kind, args = get_origin(annotation) or annotation, get_args(annotation)
    try:
        if isinstance(kind, type) and issubclass(kind, Mapping) and not is_typed_dict(kind):
            return _as_mapping(kind, annotation, args)
        convert = _record(annotation)
    except TypeError as error:
        msg = f"{place_of(function)}: {error}"
        raise TypeError(msg) from error
    if convert is None:
        where = f"{place_of(function)}: its argument is of type {name_of_type(annotation)}"
        advice = "take a dataclass, a TypedDict, a dict, or a tukio.Event"
        msg = f"{where}, and the data of an event is a dict - {advice}"
        raise TypeError(msg)
    return _taking(convert, name_of_type(annotation))


def _record(annotation: Any) -> Convert | None:
    """Return what converts data to a record, or to one of several."""
    if get_origin(annotation) in (typing.Union, types.UnionType):
        choices = map(resolved_alias, get_args(annotation))
        fits = all(_record(one) is not None for one in choices)
        return COMPILER.convert(annotation) if fits else None
    return None if is_of_lists(annotation) else COMPILER.record(annotation)


def _as_mapping(kind: Any, annotation: Any, args: tuple[Any, ...]) -> Take:
    any_key, any_value = (str, Any, object), (Any, object)
    is_any = not args or (args[0] in any_key and args[-1] in any_value)
    convert = COMPILER.convert(annotation)
    if convert is None or (kind in _MAPPINGS and is_any):
        return lambda event: event.data
    return _taking(convert, "dict" if kind in _MAPPINGS else kind.__name__)


def _taking(convert: Convert, name: str) -> Take:
    if isinstance(convert, Record):
        convert = convert.quickly()

    def take(event: Event) -> Any:
        misfits: Sequence[Misfit]
        cause: BaseException | None = None
        try:
            return convert(event.data)
        except Wrong as wrong:
            misfits, cause = wrong.misfits, wrong.__cause__
        except RecursionError:
            misfits = [Misfit("", "contains itself, or is nested too deeply")]
        raise InvalidInput(name, misfits) from cause

    return take
