"""What the programs that tests run have registered in the process, and how it is forgotten."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tukio._model.registered import CODECS
from tukio._model.registry import TaskRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def forgotten() -> Iterator[None]:
    """Forget afterwards the tasks and the codecs that are registered in the block."""
    names, kinds = set(TaskRegistry.all()), CODECS.kinds()
    try:
        yield
    finally:
        for kind in CODECS.kinds() - kinds:
            CODECS.remove(kind)
        for name in set(TaskRegistry.all()) - names:
            TaskRegistry.remove(name)
