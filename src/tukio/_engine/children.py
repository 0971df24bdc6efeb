"""The children of runs, as the engine of the runs makes and starts them.

Owns:   where the template of a child comes from, and how deep children may be.

Neither the overrun policy of the template is asked, nor whether the engine is stopping: a child is
part of a run in progress.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .._model.changes import exact
from .._model.children import DEEPEST, too_deep
from .._model.display import nearest, shown
from .._model.selector import Selector

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._model.template import WorkflowTemplate
    from .._run.environment import ChildOf
    from .._run.run import Run
    from .._run.workflow import Workflow
    from .binding import Binding
    from .instances import Instances


class ChildRuns:
    """Makes and starts the children of the runs of one engine; see `Children`.

    Args:
        instances: The runs of the engine.

    Attributes:
        binding: Makes runs. Set once, by the engine, as is the next one.
        selector: The object that holds the loaded templates.
    """

    __slots__ = ("_instances", "binding", "selector")

    binding: Binding
    selector: Any

    def __init__(self, instances: Instances) -> None:
        self._instances: Instances = instances

    async def make(self, child_of: ChildOf, what: WorkflowTemplate | str, uid: str) -> Workflow:
        """Return a new run, not started.

        Raises:
            LookupError: No template with this id is loaded.
            RecursionError: There are too many runs above it, each the child of the next one.

        Cancellation: nothing was made.
        """
        template = await self._loaded(what) if isinstance(what, str) else what
        above = _above(child_of)
        if len(above) > DEEPEST:
            raise too_deep([*above, template.uid])
        workflow = self.binding.new_child(template, child_of)
        workflow._run._uid = uid
        return workflow

    def launch(
        self, run: Run, start: Callable[[], object], when_over: Callable[[], object]
    ) -> None:
        """Start a run that was made.

        Raises:
            Exception: It could not start. It has ended, as failed, unless it was stopped before.
        """
        self._instances.launch(run, start, when_over)

    async def _loaded(self, template_id: str) -> WorkflowTemplate:
        found = self.selector.get(exact(template_id))
        template: WorkflowTemplate | None = await found if inspect.isawaitable(found) else found
        if not template:
            known = [one.uid for one in _all_of(self.selector)]
            advice = nearest(template_id, known, "load it first, by await engine.load(template)")
            msg = f"no workflow is loaded as {shown(template_id)} - {advice}"
            raise LookupError(msg)
        return template


def _all_of(selector: Any) -> list[WorkflowTemplate]:
    return list(selector.all()) if isinstance(selector, Selector) else []


def _above(child_of: ChildOf | None) -> list[str]:
    """Return the ids of the templates of all runs above a child, from the outermost one on."""
    found: list[str] = []
    while child_of is not None:
        run = child_of.step.run
        found.append(run.template.uid)
        child_of = run.environment.child_of
    return found[::-1]
