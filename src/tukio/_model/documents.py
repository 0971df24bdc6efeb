"""What users hand in where a template is wanted: the template, or a document that describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .display import shown
from .errors import Fault, TemplateError
from .registry import registry_for
from .shape import known_shape
from .template import WorkflowTemplate
from .validation import find_faults

if TYPE_CHECKING:
    from .registry import Registry

TemplateLike: TypeAlias = WorkflowTemplate | Mapping[str, Any]
"""A template, or its dict form."""


def as_template(what: object, registry: Registry | None = None) -> WorkflowTemplate:
    """Return a template that is ready to run: the one given, or the one that a document describes.

    A template that was found sound is not validated again until it, or the registry, is changed:
    that would take longer than a run of it.

    Args:
        what: A template, or a document: the dict form of a template.
        registry: The registry of task names; None is the one of the process.

    Raises:
        TemplateError: It has faults, all of which are in the error. Or the argument is neither a
            template nor a document; then the error is a `TypeError`, too.
    """
    if not isinstance(what, WorkflowTemplate):
        what = _described(what, registry)
    known = registry_for(registry)
    shape, sound = known_shape(what), (known, known.changes, known.predicates.changes)
    if shape is None:
        # One is made for the first run.
        what.validate(registry)
    elif shape.sound != sound:
        what.validate(registry)
        shape.sound = sound
    return what


def _described(what: object, registry: Registry | None) -> WorkflowTemplate:
    """Return the template that a document describes.

    Raises:
        TemplateError: It has faults, or is no document.
    """
    if not isinstance(what, Mapping):
        advice = "make one with tukio.WorkflowTemplate.from_dict(...)"
        if isinstance(what, str | bytes):
            advice = "an id is for engine.start(...), and text is to be parsed first"
        problem = f"expected a template or its dict form, not {shown(what)}"
        raise TemplateError([Fault("", problem, advice, TypeError)])
    # All faults together, those of the names of tasks included.
    home = registry_for(registry)
    predicates = home.predicates
    if faults := find_faults(what, complete=True, known=home.tasks, predicates=predicates):
        raise TemplateError(faults)
    return WorkflowTemplate._from_sound(what)
