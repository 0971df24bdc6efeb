"""Classes of msgspec: made out of data, taken apart, and what is said of data that does not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, get_origin

from .._model.candidate import place_of
from .._model.invalid_input import Misfit
from .wrong import OtherKind, Wrong, said, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .records import Convert

_PATH: Final = re.compile(r"(.*) - at `\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`", re.DOTALL)
"""What is wrong, and where; of what is in the data, the path has only places."""

_WITHOUT_VALUE: Final = {
    "Invalid enum value": "is no value of the enum",
    "Invalid value": "has a tag of no known class",
    "Object contains unknown field": "has a key that is no field",
}
"""What is said instead of words that go on with a value, or a key, of the data."""


def converter_of(msgspec: Any, annotation: Any) -> Convert:
    """Return what makes an instance of a class out of data.

    Raises:
        TypeError: The class refers to what is not there, or what msgspec does not know.
    """
    kind = get_origin(annotation) or annotation
    try:
        msgspec.json.Decoder(annotation)
    except (NameError, TypeError, AttributeError) as error:
        msg = f"{place_of(kind)}: msgspec cannot make any - {words_of(error)}"
        raise TypeError(msg) from error

    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError as error:
            misfit = _misfit(str(error))
        # Not within, for the context would show the values in a traceback.
        raise Wrong([misfit]) if isinstance(value, Mapping | list) else OtherKind([misfit])

    return convert


def dumper_of(msgspec: Any, kind: Any) -> Callable[[Any], Any]:
    """Return what makes data of an instance of a class: a dict, or a list if it is array-like."""
    names = tuple(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    config, unset = kind.__struct_config__, msgspec.UNSET
    if config.array_like:
        start = [] if config.tag is None else [config.tag]
        return lambda value: start + [getattr(value, name) for _, name in names]
    tag = {} if config.tag is None else {config.tag_field: config.tag}

    def dump(value: Any) -> dict[str, Any]:
        found = tag.copy()
        for key, name in names:
            field = getattr(value, name)
            if field is not unset:
                found[key] = field
        return found

    return dump


def _misfit(text: str) -> Misfit:
    """Return what is wrong, by the text of an error: "Expected `str`, got `int` - at `$.url`"."""
    found = _PATH.fullmatch(text)
    problem, path = found.groups() if found else (text, "")
    for words, instead in _WITHOUT_VALUE.items():
        if problem.startswith(words):
            problem = instead
    return Misfit(said(path.removeprefix(".")), said(problem))
