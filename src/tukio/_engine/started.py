"""What data has led to: the runs that it started, and the templates that refused it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .refusal import Refusal

Run = TypeVar("Run")


class Started(list[Run]):
    """The runs that data has started, in the order of their templates; a list like any other.

    Attributes:
        refused: A refusal for each template that would have started a run. Empty if no template
            listens to the topic of the data.
    """

    # Set by the engine, and by no `__init__`: one is made for all data, and that of a list is no
    # Python function.
    __slots__ = ("refused",)

    refused: list[Refusal]
