"""The task `trigger`: it starts a run that is the engine's, and goes on without waiting for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.display import nearest, plain, shown
from .._model.errors import EngineError
from .._model.findings import is_mapping, type_of
from .._model.registry import Registry
from .._run.current import calling_task
from .._step.holder import TaskHolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._model.event import Event

KEYS = ("template", "topic", "data")
"""The keys of the config of a trigger."""


@Registry.build_in("trigger", "execute")
class TriggerTask(TaskHolder):
    """Starts a run of another workflow, which goes on whatever becomes of this one.

    A refusal does not make the task fail: it is returned as data.

    Args:
        config: `template`: the id of a loaded template; its overrun policy is asked. Or `topic`: a
            topic, for all that listens to it. `data`: the data, a dict; by default, that of the
            task.
    """

    __slots__ = ()

    @staticmethod
    def find_faults(config: Any, parents: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Yield the faults in the config of a trigger: path within it, problem, advice.

        Args:
            config: The config.
            parents: Ids of the tasks that lead to the trigger.
        """
        del parents
        config = config if is_mapping(config) else {}
        for key in config:
            if key not in KEYS:
                yield plain(key), "unknown key", nearest(key, KEYS)
        given = [key for key in ("template", "topic") if config.get(key) is not None]
        if not given:
            advice = "give the id of a template, or a 'topic' in place of it"
            yield "template", "missing", advice
        elif len(given) > 1:
            yield "topic", "beside 'template'", "a trigger has one of them: remove one"
        for key in given:
            if not isinstance(config[key], str):
                yield key, f"must be a string, not {type_of(config[key])}", "quote it"
        data = config.get("data")
        if data is not None and not is_mapping(data):
            problem = f"must be an object, not {shown(data)}"
            yield "data", problem, "leave it out for the data of the task"

    async def execute(self, event: Event) -> dict[str, Any]:
        """Start the run, or the runs of a topic, and return their ids.

        Returns:
            For a template, `run_id`, or `refused`: the `reason`, the `template_id`, and `why` in
            words. For a topic, `run_ids` and `refused`, two lists.

        Raises:
            EngineError: The run of this task has no engine.

        Cancellation: nothing was started.
        """
        reference = calling_task().run.environment.engine
        engine = None if reference is None else reference()
        if engine is None:
            msg = "a run without an engine triggers nothing - start it by engine.start(...)"
            raise EngineError(msg)
        given = self.config.get("data")
        data = event.data if given is None else dict(given)
        template, topic = self.config.get("template"), self.config.get("topic")
        if template is None:
            runs = await engine.data_received(data, topic)
            refused = [_as_data(refusal) for refusal in runs.refused]
            return {"run_ids": [run.uid for run in runs], "refused": refused}
        run = await engine.trigger(template, data)
        return {"run_id": run.uid} if run else {"refused": _as_data(run)}


def _as_data(refusal: Any) -> dict[str, Any]:
    reason = refusal.reason
    return {"reason": reason.name, "template_id": refusal.template_id, "why": reason.value}
