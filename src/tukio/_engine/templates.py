"""The templates of an engine: loaded, replaced and unloaded.

Owns:   the object that holds the loaded templates.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .._model.changes import exact
from .._model.documents import as_template
from .._model.errors import EngineError
from .._model.selector import Selector
from .observing import Observable
from .silence import warn_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._model.documents import TemplateLike
    from .._model.registry import Registry
    from .._model.template import WorkflowTemplate


class Templates(Observable):
    """The base class of `Engine` that has the loaded templates.

    Args:
        selector: The object that holds the templates; None is a `Selector`.
        loop: As for `Lifecycle`.
        registry: Likewise.
        cleanup_timeout: Likewise.

    Raises:
        ValueError: `cleanup_timeout` is not a positive number.
    """

    def __init__(
        self, selector: Any, loop: Any, registry: Registry | None, cleanup_timeout: float
    ) -> None:
        super().__init__(loop, registry, cleanup_timeout)
        # Holds the loaded templates. Always this object; changed only by `load`, `reload` and
        # `unload`, which validate templates first.
        self._selector: Any = Selector() if selector is None else selector
        self._children.selector = self._selector
        self._registry: Registry | None = registry

    async def load(self, template: TemplateLike) -> WorkflowTemplate:
        """Load a template, so that data can trigger it; one with the same id is replaced.

        The log tells of what is likely a mistake in it; see `WorkflowTemplate.warnings`.

        Args:
            template: The template, or its dict form.

        Returns:
            The template.

        Raises:
            EngineError: The engine runs in another event loop or thread. Nothing changes.
            TemplateError: The template has faults, all of which are in the error. Nothing changes.

        Cancellation: nothing changes.
        """
        self._binding.check()
        await self._turns.give_way()
        loaded = as_template(template, self._registry)
        self._selector.load(loaded)
        warn_of(loaded)
        return loaded

    async def reload(self, templates: Iterable[TemplateLike]) -> None:
        """Replace all loaded templates by others; runs in progress go on.

        Args:
            templates: The templates, or their dict forms.

        Raises:
            EngineError: The engine runs in another event loop or thread. Nothing changes.
            TemplateError: One of the new templates has faults. Nothing changes.

        Cancellation: nothing changes.
        """
        self._binding.check()
        await self._turns.give_way()
        # All of them are validated before anything changes.
        loaded = [as_template(template, self._registry) for template in templates]
        self._selector.clear()
        for template in loaded:
            self._selector.load(template)
        # Behind that: what logging raises may end the program, and finds all of them loaded.
        for template in loaded:
            warn_of(template)

    async def unload(self, template_id: str) -> WorkflowTemplate:
        """Unload a template and return it; its runs in progress go on.

        Raises:
            EngineError: The engine runs in another event loop or thread. Nothing changes.
            KeyError: No template with this id is loaded.

        Cancellation: nothing changes.
        """
        self._binding.check()
        await self._turns.give_way()
        template: WorkflowTemplate = self._selector.unload(exact(template_id))
        return template

    @property
    def templates(self) -> list[WorkflowTemplate]:
        """The loaded templates, in the order in which they were loaded.

        Raises:
            EngineError: A selector of the user's own holds them, and does not tell which.
        """
        every = getattr(self._selector, "all", None)
        if every is None:
            msg = f"{type(self._selector).__name__} has no method 'all' - ask the selector itself"
            raise EngineError(msg)
        return list(every())

    @property
    def selector(self) -> Any:
        """The object that holds the loaded templates."""
        return self._selector

    # For the start of runs ----------------------------------------------------------------------

    async def _loaded(self, template_id: str) -> WorkflowTemplate | None:
        """Return the loaded template with an id; None if there is none."""
        template = self._selector.get(exact(template_id))
        if inspect.isawaitable(template):
            template = await template
        return template or None

    def _as_template(self, what: TemplateLike) -> WorkflowTemplate:
        """Return a template that is ready to run.

        Raises:
            TemplateError: It is not, or is no template.
        """
        return as_template(what, self._registry)
