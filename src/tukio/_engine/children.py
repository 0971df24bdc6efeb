"""The children of runs, as the engine of the runs makes and starts them.

Owns:   where the template of a child comes from, and how deep children may be.

Neither the overrun policy of the template is asked, nor whether the engine is stopping: a child is
part of a run in progress.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .._model.changes import exact
from .._model.children import DEEPEST, has_begun, too_deep
from .._model.display import nearest, shown
from .._model.errors import RescueError, TemplateError
from .._model.record import NOT_WHOLE, read
from .._model.selector import Selector
from .._model.template import WorkflowTemplate
from .._run import restoring
from .._run.appointment import appoint
from .._run.children import Child
from .._run.environment import ChildOf
from .._step.child import Reported
from .._step.items import work_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        run, appointment = workflow._run, child_of.step.run.appointment
        run._uid = uid
        if appointment is not None:
            appoint(run, appointment)
        return workflow

    def launch(
        self, run: Run, start: Callable[[], object], when_over: Callable[[], object]
    ) -> None:
        """Start a run that was made.

        Raises:
            Exception: It could not start. It has ended, as failed, unless it was stopped before.
        """
        self._instances.launch(run, start, when_over)

    async def restore(self, run: Run) -> None:
        """Make the children of a run that was restored, at any depth; none starts.

        Raises:
            RescueError: The report of a child cannot be continued.

        Cancellation: nothing was started.
        """
        runs = [run]
        while runs:
            parent = runs.pop()
            for step in _to_run(parent):
                extras = step._extras
                if extras is None or not isinstance(extras.child, Reported):
                    continue
                if step.template._workflow is None or not has_begun(extras.child.report()):
                    # What the task runs is no workflow any more; or it is to start anew.
                    extras.child = None
                    continue
                workflow = await self._restored(step, parent, extras.child)
                extras.child = Child(step, workflow, is_step=True)
                runs.append(workflow._run)

    async def _restored(self, step: Any, parent: Run, child: Reported) -> Workflow:
        """Return the child of a step as a report shows it, not started.

        Raises:
            RescueError: The report cannot be continued.
        """
        report, what, uid = child.report(), step._workflow(), step._child_id()
        template = await self._get(what) if isinstance(what, str) else what
        if template is None:
            # It goes on as it was, though nobody has its template any more.
            template = _template_in(report, uid)
        record = read(report, template, is_child=True)
        workflow = await self.make(ChildOf(parent.face, step), template, uid)
        run = workflow._run
        restoring.restore(run, record, run.plan.shape)
        # Its parent may have another id now: see `tukio.again`.
        run._uid = uid
        return workflow

    async def _get(self, template_id: str) -> WorkflowTemplate | None:
        found = self.selector.get(exact(template_id))
        template: WorkflowTemplate | None = await found if inspect.isawaitable(found) else found
        return template or None

    async def _loaded(self, template_id: str) -> WorkflowTemplate:
        template = await self._get(template_id)
        if template is None:
            known = [one.uid for one in _all_of(self.selector)]
            advice = nearest(template_id, known, "load it first, by await engine.load(template)")
            msg = f"no workflow is loaded as {shown(template_id)} - {advice}"
            raise LookupError(msg)
        return template


def _to_run(run: Run) -> Iterator[Any]:
    """Yield the steps of a restored run that are to be run, and the items of such steps."""
    for step in run.plan.ready:
        yield step
        work = work_of(step)
        if work is not None:
            yield from work.earlier.values()


def _template_in(report: dict[str, Any], uid: str) -> WorkflowTemplate:
    """Return the template that a report has, without what its run was like.

    Raises:
        RescueError: It has none.
    """
    try:
        tasks = [{key: task[key] for key in task if key != "exec"} for task in report["tasks"]]
        document = {key: report[key] for key in report if key != "exec"}
        return WorkflowTemplate.from_dict({**document, "tasks": tasks})
    except (*NOT_WHOLE, TemplateError) as error:
        raise RescueError(uid, f"its template is not loaded, nor in it ({shown(error)})") from error


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
