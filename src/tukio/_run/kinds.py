"""The classes of the steps of a run, by what the template of each task asks for.

Owns:   which class a step has. Most steps are of the ordinary class, and pay nothing for the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._model.plan import Make
    from .._model.shape import Shape
    from .._step.step import LiveStep


class StepKinds:
    """The classes that the steps of runs can have.

    Each word of `_model/kinds.py` stands for a class that is put before the ordinary one: its
    methods do what the word says, and go on with those of the next.

    Args:
        ordinary: The class of the steps of most tasks.
        parts: Word -> the class that it stands for.
        outermost: A class that is put before all others, for tools that look on; None for none.
    """

    __slots__ = ("_base", "_made", "_outermost", "_parts", "ordinary")

    def __init__(
        self,
        ordinary: type[LiveStep],
        parts: Mapping[str, type[LiveStep]],
        outermost: type[LiveStep] | None = None,
    ) -> None:
        self._outermost: tuple[type[LiveStep], ...] = () if outermost is None else (outermost,)
        self._parts: Mapping[str, type[LiveStep]] = parts
        self._base: type[LiveStep] = ordinary
        self._made: dict[tuple[str, ...], type[LiveStep]] = {}
        self.ordinary: type[LiveStep] = self.class_of(())

    def class_of(self, kinds: tuple[str, ...]) -> type[LiveStep]:
        """Return the class of steps that do some things, given by their words, outermost first."""
        made = self._made.get(kinds)
        if made is None:
            bases = (*self._outermost, *(self._parts[kind] for kind in kinds))
            made = self._base
            if bases:
                made = type(made.__name__, (*bases, made), {"__slots__": ()})
            self._made[kinds] = made
        return made

    def maker(self, shape: Shape) -> Make[Any]:
        """Return what makes the steps of the runs of a shape."""
        if not shape.kinds:
            return self.ordinary
        ordinary = self.ordinary
        classes = {number: self.class_of(kinds) for number, kinds in shape.kinds.items()}

        def make(run: Any, number: int, *fields: Any) -> Any:
            return classes.get(number, ordinary)(run, number, *fields)

        return make

    def seen_by(self, outermost: type[LiveStep]) -> StepKinds:
        """Return the same kinds, with a class before all others."""
        return StepKinds(self._base, self._parts, outermost)
