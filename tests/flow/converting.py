"""Values as an annotation wants them."""

from __future__ import annotations

from typing import Any

from tukio.flow.inputs import COMPILER
from tukio.flow.wrong import Wrong


def converted(annotation: Any, value: Any) -> Any:
    """Return a value as an annotation wants it; the misfits as texts, if it does not fit."""
    convert = COMPILER.convert(annotation)
    if convert is None:
        return value
    try:
        return convert(value)
    except Wrong as wrong:
        return [str(misfit) for misfit in wrong.misfits]
