"""Flows: workflow templates that were made of chains.

Owns:   the template that chains stand for, and what it says where the data form would say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self, overload

from .._engine.engine import Engine
from .._model.changes import own, set_state
from .._model.display import shown
from .._model.errors import TemplateError, UnknownTaskName
from .._model.template import WorkflowTemplate
from .._model.validation import find_faults
from .._run.verdict import handed_over
from .chain import First, Next, linked
from .fixed import ADVICE, FixedGraph
from .gathering import Gathered, gather, placed
from .inputs import as_data
from .keys import FlowKeys, MapKeys, TaskKeys, as_document, as_map, given
from .tasks import child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from .._model.registry import Registry
    from .chain import Chain, Chainable, Data


class Flow(WorkflowTemplate):
    """A workflow template that was made of chains, by `flow`; it never changes.

    It is used like any template: loaded, started, written as JSON by `as_dict()`. Its fields cannot
    be set, and what they hand out are copies; its method `copy()` returns a template that can be
    changed.

    Attributes:
        registry: The registry of its tasks; None is that of the process. An engine of one's own
            needs the same: `Engine(registry=...)`.
    """

    __slots__ = ("_places", "registry")

    registry: Registry | None
    # The id of a task -> where in the code of the user it is said.
    _places: Mapping[str, str]

    def __init__(self, *args: object, **kwargs: object) -> None:
        del args, kwargs
        msg = "a flow is made of chains - write flow('id', first >> second)"
        raise TypeError(msg)

    @classmethod
    def _made(cls, document: Mapping[str, Any], gathered: Gathered | None = None) -> Self:
        """Return the flow for a document that has no faults."""
        template = WorkflowTemplate._from_sound(document)
        made = cls.__new__(cls)
        set_state(made, template.__getstate__())
        put = object.__setattr__
        put(made, "dag", FixedGraph.of(template))
        put(made, "registry", None if gathered is None else gathered.registry)
        put(made, "_places", {} if gathered is None else gathered.places)
        return made

    @classmethod
    def _from_sound(cls, wf_dict: Mapping[str, Any]) -> Self:
        return cls._made(wf_dict)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "compiled":
            # No field, but what is worked out of the fields.
            object.__setattr__(self, name, value)
            return
        msg = f"a flow does not change: {name!r} cannot be set - {ADVICE}"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name if name != "compiled" else "fields", None)

    def hand_out(self, value: Any) -> Any:
        """Return a copy of the value of a field."""
        return own(value)

    def take(self, slot: str, value: Any) -> NoReturn:
        """Refuse to set a field."""
        self.__setattr__(slot.removeprefix("_"), value)
        raise AssertionError

    def bare_copy(self) -> Any:
        """Return a copy for runs, a template like any other, that shares the graph alone."""
        copy = WorkflowTemplate.__new__(WorkflowTemplate)
        attributes, slots = self.__getstate__()
        state = {key: value for key, value in slots.items() if key not in Flow.__slots__}
        set_state(copy, (attributes, state | {key: own(state[key]) for key in self.DATA}))
        return copy

    def copy(self) -> Any:
        """Return an equal template that can be changed, and shares nothing with this flow."""
        return WorkflowTemplate._from_sound(self.as_dict())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        # Without its registry: what is registered elsewhere is not known here.
        return type(self)._from_sound, (self.as_dict(),)

    def validate(self, registry: Registry | None = None) -> bool:
        """Return True if the flow is ready to run.

        Args:
            registry: The registry of task names; None is the one of the process.

        Raises:
            TemplateError: It is not ready; the error holds every fault with its path, and with the
                file and the line where the task is defined and where it is said.
        """
        try:
            return super().validate(registry)
        except TemplateError as error:
            ids = [task.uid for task in self.tasks]
            faults = placed(error.faults, ids, self._places, self.as_dict()["graph"])
        if self.registry is not None and self.registry is not registry:
            advice = "its tasks are in a registry of their own: Engine(registry=flow.registry)"
            faults = [
                one._replace(advice=advice) if one.kind is UnknownTaskName else one
                for one in faults
            ]
        raise TemplateError(faults)

    # In a chain ----------------------------------------------------------------------------------

    def of(self, *, id: str | None = None, **keys: Unpack[TaskKeys]) -> Chain[Any, Any]:  # noqa: A002
        """Return a task that runs this flow as a child of its run, for a chain.

            fetch >> invoice.of(timeout=600, retry=tukio.Retry(attempts=2)) >> show

        A flow itself may stand there: that is such a task, of which nothing more is said.

        Args:
            id: The id of the task in its workflow; None is that of the flow. A flow that comes
                twice in a workflow needs two.
            keys: Further keys of the task; see `TaskKeys`.

        Raises:
            TypeError: There is no such key.
        """
        given = own(as_document(keys, TaskKeys, f"{self.uid}.of()"))
        return self._child("of", {**given, "id": self.uid if id is None else id})

    def map(
        self,
        over: str,
        *,
        id: str | None = None,  # noqa: A002
        **keys: Unpack[MapKeys],
    ) -> Chain[Data, Data]:
        """Return a task that runs this flow for each item of a list, for a chain.

            list_orders >> invoice.map(over="orders", limit=20) >> report

        Each item is a child of the run. What the task is given goes on, with the results in the
        order of the items. To say more of the task, as its `retry`, give `map` to `of`.

        Args:
            over: Where the list is in what the task is given: a key, or a path as `$.found.orders`.
            id: The id of the task in its workflow; None is that of the flow.
            keys: What else there is to say; see `MapKeys`.

        Raises:
            TypeError: There is no such key.
        """
        given = own(as_map(over, keys, f"{self.uid}.map()"))
        return self._child("map", {**given, "id": self.uid if id is None else id})

    def _as_chain(self) -> Chain[Any, Any]:
        return self._child("flow", {"id": self.uid})

    def _child(self, made: str, said: Mapping[str, Any]) -> Chain[Any, Any]:
        return child(self.as_dict(), self.registry, made, said)

    @overload
    def __rshift__(
        self, other: Chain[Any, Next] | Sequence[Chain[Any, Next]]
    ) -> Chain[Any, Next]: ...

    @overload
    def __rshift__(
        self, other: Chainable | Sequence[Chain[Any, Any] | Chainable]
    ) -> Chain[Any, Any]: ...

    def __rshift__(self, other: Any) -> Any:
        return linked(self, other)

    def __rrshift__(self, other: Sequence[Chain[First, Any] | Chainable]) -> Chain[First, Any]:
        return linked(other, self)

    async def run(self, data: Any = None) -> Any:
        """Run this workflow once, in an engine of its own, and return what came of it.

            page = await crawl.run({"url": "https://example.org"})

        For scripts. A program with many runs has one engine for all, and `engine.start(flow, ...)`.

        Args:
            data: The data for the first task: a dict, or a record; None is {}.

        Returns:
            What the last task returned, as data. If the workflow has several last tasks, a dict of
            their ids to what they returned.

        Raises:
            WorkflowFailed: A task failed; also if others went on.
            WorkflowTimedOut: It has reached its limit.
            TemplateError: It has faults. Nothing was started.

        Cancellation: the run is cancelled, has unwound and is over.
        """
        async with Engine(registry=self.registry) as engine:
            run = await engine.start(self, as_data(data))
            await run.wait(check=True)
        return handed_over(run._run, run)

    def __str__(self) -> str:
        return f"<Flow {shown(self.uid)}>"

    def __repr__(self) -> str:
        return str(self)


def flow(id: str, *chains: Chain[Any, Any] | Chainable, **keys: Unpack[FlowKeys]) -> Flow:  # noqa: A002
    """Return the workflow that some chains make up together.

        crawl = flow("crawl", fetch >> (count, index) >> show, timeout=30)

    Two tasks of one id are the same task, and must be said alike: so several chains say what one
    cannot, as `flow("x", a >> b >> d, a >> c >> d)` does. A task that is to run twice needs two
    ids: `count.of(id="left")`. There must be one first task.

    The template says what the data form leaves at the ways of 1.x: `policy` is `start-new`, a task
    with several parents waits for them (`join: all`), and a task that reaches its limit has failed
    (`on_timeout: fail`). Each of these is as you say, if you say it; `defaults` say it for all.

    Args:
        id: The id of the workflow.
        chains: The chains; at least one.
        keys: Further keys of the workflow; see `FlowKeys`.

    Raises:
        TemplateError: The workflow has faults. The error holds all of them, each with its path, and
            with the file and the line where the task is defined and where it is said.
        TypeError: There is no chain, or something else, or there is no such key; or the tasks are
            of several registries.
    """
    said = as_document(keys, FlowKeys, "flow()")
    if not id:
        msg = "the id of a flow is a text that is not empty - write flow('id', first >> second)"
        raise TypeError(msg)
    gathered = gather(chains)
    document: dict[str, Any] = {
        "id": id,
        "policy": "start-new",
        **given(said),
        **gathered.document(said.get("defaults")),
    }
    found = find_faults(document, complete=True)
    faults = gathered.faults or placed(found, gathered.nodes, gathered.places, document["graph"])
    if faults:
        raise TemplateError(faults)
    return Flow._made(document, gathered)
