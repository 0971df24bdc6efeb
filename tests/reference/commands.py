"""What is done to an engine, as data: drawn, done to the engine, and done to the model.

Owns:   the words for what can be done, how likely each is, and what is looked at after each.
Knows:  the engine as its user does, and the model.

A list of commands is plain data, to be pasted into a test:

    ("load", template), ("reload", [template, ...]), ("unload", id),
    ("trigger", id), ("data_received", topic), ("run_once", template),
    ("cancel", n), ("timeout", n), ("suspend", n), ("resume", n), ("unlock", n) of a run: 0 is the
    latest, 1 the one before, and so on, round and round,
    ("stop", grace, force), ("pause", seconds)

They follow each other without anything else happening, but for pauses. Pauses and tasks take whole
seconds; limits and graces do not, and so never end together with those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from hypothesis import strategies as st

import tukio
from tukio.testing import Timeline, settle
from tukio.testing.actors import ACTOR
from tukio.testing.watch import Watch

from .engine_model import TOPICS, EngineModel
from .observed import kinds, plain
from .short_run import TASK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from .parts import Data
    from .timeline import Told

Command: TypeAlias = tuple[Any, ...]

BEGIN = tukio.workflow.WorkflowExecState.BEGIN.value
REFUSED = (tukio.WorkflowError, KeyError, TypeError)
"""What may be raised in place of an answer."""

DOES: tuple[Data | None, ...] = (
    *({"seconds": 9},) * 4,
    *({"seconds": 9, "shields": 2},) * 4,
    *({"seconds": 3}, {"seconds": 3, "shields": 2}, {"seconds": 9, "when_cut": "dict"}),
    *({"seconds": 2, "ends": "error"}, {"starts": "error"}, {}, {"ends": "skip"}),
    *({"awaits": 1, "listens": ["red"]},) * 3,
    *({"awaits": 1, "listens": None, "shields": 2},) * 3,
    {"seconds": 2, "awaits": 1, "listens": ["red", "blue"]},
    None,
)
"""What the task of a template does; None is a task that nobody has registered."""
IDS = ("a", "b")
ORDERS = ("suspend", "resume", "cancel", "timeout", "unlock")
"""What is done to a run."""
NAMES = (
    *(None, "load", "run_once", "reload", "unload", "unlock", "timeout"),
    *("trigger",) * 6,
    *("data_received",) * 6,
    *("pause",) * 9,
    *("suspend",) * 4,
    *("resume",) * 5,
    *("cancel",) * 2,
)
"""What is done, each as often as it is likely."""
POLICIES = ("skip", "start-new", "skip-until-unlock", "abort-running")
LISTENS: tuple[list[str] | None, ...] = (None, [], ["red"], ["red", "blue"], ["blue", "blue"])


def _templates(*ids: str) -> SearchStrategy[Data]:
    return st.fixed_dictionaries(
        {
            "id": st.sampled_from(ids or IDS),
            "policy": st.sampled_from(POLICIES),
            "topics": st.sampled_from(LISTENS),
            "does": st.sampled_from(DOES),
            "timeout": st.sampled_from([None, None, 2 + 1 / 16, 5 + 1 / 16]),
            "on_error": st.sampled_from(["continue", "continue", "abort"]),
        }
    )


def _stops() -> SearchStrategy[Command | None]:
    graces, forces = st.sampled_from([None, 1.5, 0, 4.5]), st.sampled_from([False, False, True])
    return st.none() | st.tuples(st.just("stop"), graces, forces)


@st.composite
def command_lists(draw: DrawFn) -> list[Command]:
    """Draw what is done to an engine; it has templates first, and is stopped once or twice."""
    templates, ids, of_runs = _templates(), st.sampled_from(IDS), st.sampled_from([0, 0, 1, 2])
    details: dict[str | None, SearchStrategy[Any]] = {
        "trigger": ids,
        "data_received": st.sampled_from([*TOPICS, "red", 5]),
        "pause": st.sampled_from([0, 1, 0, 1, 2, 5]),
        **dict.fromkeys(ORDERS, of_runs),
        "load": templates,
        "run_once": templates,
        "reload": st.lists(templates, max_size=3),
        "unload": ids,
    }
    # By itself a list would be short; what is None is left out.
    names = st.lists(st.sampled_from(NAMES), min_size=5, max_size=12)
    drawn: list[Command | None] = [("load", draw(_templates(uid))) for uid in IDS]
    for stops in (st.none(), _stops(), _stops()):
        drawn.append(draw(stops))
        drawn += [(name, draw(details[name])) for name in draw(names) if name]
    return [command for command in drawn if command is not None]


def on_model(model: EngineModel, command: Command, place: int) -> Any:
    """Do something to the model; return the answer."""
    name, *details = command
    match name:
        case "trigger" | "data_received" | "run_once":
            return getattr(model, name)(*details, {"n": place})
        case "cancel" | "timeout" | "suspend" | "resume" | "unlock":
            return model.of_run(name, *details)
        case _:
            return getattr(model, name)(*details)


def state_of_model(model: EngineModel) -> Data:
    """Return all there is to see of the model."""
    return {
        "now": model.now,
        "instances": model.instances,
        "selector": {topic: model.select(topic) for topic in TOPICS},
        "loaded": sorted(model.loaded),
        "done": model.is_done,
        "runs": [(run.state, run.locked, run.errors) for run in model.runs],
        "stories": [run.story for run in model.runs],
    }


def sound(template: Data) -> tukio.WorkflowTemplate:
    """Return the template that is meant; a faulty one is sound in all but the name of its task."""
    does = dict(template["does"] or {})
    task: Data = {"id": TASK, "name": ACTOR if template["does"] is not None else "of nobody"}
    task |= {"topics": does.pop("listens", []), "config": does}
    fields = {key: template[key] for key in ("id", "policy", "topics", "timeout", "on_error")}
    return tukio.WorkflowTemplate.from_dict({**fields, "tasks": [task], "graph": {TASK: []}})


async def _pause(seconds: float) -> None:
    await anyio.sleep(seconds)
    await settle()


class Stage:
    """An engine, the runs that it has given out, and what was told of them.

    Args:
        engine: The engine, entered a moment ago.
    """

    def __init__(self, engine: tukio.Engine) -> None:
        self.engine = engine
        self.runs: list[tukio.Workflow] = []
        self.watch = Watch.of(engine)
        self.timeline = Timeline.of(engine)
        self.stories: dict[str, list[Told]] = {}
        self._heard = 0
        self._start = anyio.current_time()

    async def do(self, command: Command, place: int) -> Any:
        """Do something to the engine; return the answer, in the words of the model."""
        try:
            answer = await self._do(command[0], command[1:], {"n": place})
        except REFUSED as error:
            return type(error).__name__
        return self._in_words(answer)

    async def _do(self, name: str, details: Sequence[Any], data: Data) -> Any:
        engine = self.engine
        deeds: dict[str, Callable[..., Awaitable[Any]]] = {
            "load": lambda template: engine.load(sound(template)),
            "reload": lambda templates: engine.reload([*map(sound, templates)]),
            "unload": engine.unload,
            "trigger": lambda uid: engine.trigger(uid, data),
            "data_received": lambda topic: engine.data_received(data, topic),
            "run_once": lambda template: engine.run_once(sound(template), data),
            "pause": _pause,
        }
        if name in deeds:
            return await deeds[name](*details)
        if name == "stop":
            grace, force = details
            engine.stop(grace, force=force)
            return None
        (number,) = details
        return getattr(self.runs[-1 - number % len(self.runs)], name)() if self.runs else None

    def _in_words(self, answer: Any) -> Any:
        if isinstance(answer, list):
            return [self._in_words(each) for each in answer]
        if isinstance(answer, tukio.Workflow):
            self.runs.append(answer)
            self.stories.setdefault(answer.uid, [])
            return len(self.runs) - 1
        if isinstance(answer, tukio.Refusal):
            return f"{answer.reason.name} {answer.template_id}"
        return answer.uid if isinstance(answer, tukio.WorkflowTemplate) else answer

    def state(self) -> Data:
        """Return all there is to see of the engine, in the words of the model."""
        self.watch.check()
        engine, selector = self.engine, self.engine.selector
        runs = self.runs
        self._listen()
        return {
            "now": anyio.current_time() - self._start,
            "instances": [runs.index(run) if run in runs else run for run in engine.instances],
            "selector": {topic: [each.uid for each in selector.select(topic)] for topic in TOPICS},
            "loaded": [uid for uid in IDS if selector.get(uid)],
            "done": engine.done(),
            "runs": [
                (
                    run.state.value,
                    run.lock.locked(),
                    {uid: kinds(error) for uid, error in run.errors.items()},
                )
                for run in runs
            ],
            "stories": list(self.stories.values()),
        }

    def check_order(self, number: int, replaced: Sequence[int]) -> None:
        """Make sure that a run began when those were over which it replaces."""
        last = {moment.run: place for place, moment in enumerate(self.timeline)}
        begun = [place for place, moment in enumerate(self.timeline) if moment.kind == BEGIN]
        own, others = self.runs[number].uid, [self.runs[other].uid for other in replaced]
        first = [place for place in begun if self.timeline.moments[place].run == own]
        assert all(last[other] < place for place in first for other in others)

    def _listen(self) -> None:
        """Tell the stories on; also of runs that were given to nobody."""
        moments = self.timeline.moments
        for moment in moments[self._heard :]:
            told = (moment.time, moment.kind, moment.task, plain(moment.content))
            self.stories.setdefault(str(moment.run), []).append(told)
        self._heard = len(moments)
