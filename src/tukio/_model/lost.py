"""What stands for a value that did not survive JSON."""

from __future__ import annotations

from typing import Any


class Lost:
    """Stands for a value that has no JSON form, or none that this process can read.

    Args:
        shown: The `repr` of the value, or what it was.
        form: The form in JSON, for a process that can read it.

    Attributes:
        shown: Likewise.
        form: Likewise.
    """

    __slots__ = ("form", "shown")

    def __init__(self, shown: str, form: dict[str, Any] | None = None) -> None:
        self.shown: str = shown
        self.form: dict[str, Any] | None = form

    def __repr__(self) -> str:
        return f"<lost: {self.shown}>"
