"""Values as an annotation wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tukio.flow.inputs import COMPILER
from tukio.flow.records import Record
from tukio.flow.wrong import Wrong

if TYPE_CHECKING:
    from tukio.flow.records import Convert


def converted(annotation: Any, value: Any) -> Any:
    """Return a value as an annotation wants it; the misfits as texts, if it does not fit.

    The quick way to a record, which is that of a task, must lead to the same.
    """
    convert = COMPILER.convert(annotation)
    if convert is None:
        return value
    found = _told(convert, value)
    if isinstance(convert, Record):
        assert _told(convert.quickly(), value) == found
    return found


def _told(convert: Convert, value: Any) -> Any:
    try:
        return convert(value)
    except Wrong as wrong:
        return [str(misfit) for misfit in wrong.misfits]
