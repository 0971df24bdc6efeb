"""Tasks of code form: a function that is registered, and by itself a chain of one task."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._model.changes import own
from .._model.display import shown
from .chain import Chain, Data, In, Node, Out
from .keys import MapKeys, TaskKeys, as_document, as_map
from .places import place_of_caller, place_of_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from .._model.registry import Registry

Result = TypeVar("Result", covariant=True)  # noqa: PLC0105 - users see this name
"""What a call of the function returns: a coroutine, or the result itself for a plain function."""


class Task(Chain[In, Out], Generic[In, Out, Result]):
    """A registered function. Called, it is the function; in a chain, it is a task.

    `task` makes one. In a chain its id is its name; `of` gives it another, and more to say.

    Attributes:
        name: The name that it is registered under.
        function: The function.
    """

    name: str
    function: Callable[[Any], Any]
    _node: Node
    # What is registered: called with an event.
    _registered: Callable[[Any], Any]

    def __init__(
        self,
        name: str,
        function: Callable[[Any], Any],
        registered: Callable[[Any], Any],
        registry: Registry,
        keys: Mapping[str, Any],
    ) -> None:
        document = {"id": name, "name": name, **own(dict(keys))}
        node = Node(document, registry, (place_of_function(function),))
        super().__init__((node,), (node,))
        put = object.__setattr__
        put(self, "name", name)
        put(self, "function", function)
        put(self, "_node", node)
        put(self, "_registered", registered)
        for attribute in (*functools.WRAPPER_ASSIGNMENTS, "__wrapped__"):
            # So that `help` and documentation tools see the function.
            found = function if attribute == "__wrapped__" else getattr(function, attribute, None)
            put(self, attribute, found)

    def __call__(self, value: In, *more: Any, **named: Any) -> Result:
        """Call the function, as if it were no task: without an engine, and in this thread."""
        result: Result = self.function(value, *more, **named)
        return result

    @property
    def coroutine_function(self) -> Callable[[Any], Any]:
        """What is registered: a coroutine function that is called with an event."""
        return self._registered

    def __reduce__(self) -> Any:
        # By the name it was defined by, as a function is pickled.
        return self.function.__qualname__

    def of(self, *, id: str | None = None, **keys: Unpack[TaskKeys]) -> Chain[In, Out]:  # noqa: A002
        """Return this task with an id of its own, or with more to say, for a chain.

            fetch >> (count.of(id="left", timeout=10), count.of(id="right")) >> show

        Args:
            id: The id of the task in its workflow; None is its name. A task that comes twice in a
                workflow needs two.
            keys: Further keys of the task; see `TaskKeys`. They replace those that `@task` gave.

        Raises:
            TypeError: There is no such key.
        """
        given = as_document(keys, TaskKeys, f"{self.name}.of()")
        document = {**self._node.document, **own(given)}
        return _alone(document if id is None else {**document, "id": id}, self._node)

    def map(
        self,
        over: str,
        *,
        id: str | None = None,  # noqa: A002
        **keys: Unpack[MapKeys],
    ) -> Chain[Data, Data]:
        """Return this task for each item of a list, for a chain.

            list_pages >> fetch_page.map(over="pages", limit=20, tolerate=5) >> report

        The function is called with each item. What the task is given goes on, with the results in
        the order of the items. To say more of the task, as its `retry`, give `map` to `of`.

        Args:
            over: Where the list is in what the task is given: a key, or a path as `$.found.pages`.
            id: The id of the task in its workflow; None is its name.
            keys: What else there is to say; see `MapKeys`.

        Raises:
            TypeError: There is no such key.
        """
        given = as_map(over, keys, f"{self.name}.map()")
        document = {**self._node.document, **own(given)}
        return _alone(document if id is None else {**document, "id": id}, self._node, "map")

    def __repr__(self) -> str:
        return f"<Task {shown(self.name)}>"


def named(name: Any, *, id: str | None = None, **keys: Unpack[TaskKeys]) -> Chain[Any, Any]:  # noqa: A002
    """Return a task by the name that it is registered under, for a chain.

    For holder classes, for the task `join`, and for functions that are registered with
    `tukio.register`. It may be registered later, until the workflow is loaded or started.

        fetch >> (left, right) >> named("join", config={"wait_for": 2})

    Args:
        name: The name of a registered task.
        id: The id of the task in its workflow; None is its name.
        keys: Further keys of the task; see `TaskKeys`.

    Raises:
        TypeError: There is no such key, or the name is no string and there is no id.
    """
    if id is None and (not isinstance(name, str) or not name):
        msg = f"a task by the name of {shown(name)} needs an id - named(..., id='...')"
        raise TypeError(msg)
    given = own(as_document(keys, TaskKeys, "named()"))
    return _alone({"id": name if id is None else id, "name": name, **given}, None)


def loaded(template_id: str, *, id: str | None = None, **keys: Unpack[TaskKeys]) -> Chain[Any, Any]:  # noqa: A002
    """Return a task that runs a loaded template as a child of its run, for a chain.

    The template may be loaded later, until the task begins.

        fetch >> loaded("invoice", timeout=600) >> show

    Args:
        template_id: The id of the template.
        id: The id of the task in its workflow; None is that of the template.
        keys: Further keys of the task; see `TaskKeys`.

    Raises:
        TypeError: There is no such key, or the id of the template is no string.
    """
    _text(template_id, "the id of a template")
    given = own(as_document(keys, TaskKeys, "loaded()"))
    uid = template_id if id is None else id
    return child(template_id, None, "loaded", {**given, "id": uid})


def child(
    workflow: Any, registry: Registry | None, made: str, document: Mapping[str, Any]
) -> Chain[Any, Any]:
    """Return a chain of one task that runs a workflow.

    Args:
        workflow: The id of a template, or its document.
        registry: The registry of its tasks; None if that is not known, or is that of the process.
        made: The word by which it is said.
        document: What else is said of the task, with its id.
    """
    places = (place_of_caller(made),)
    uid = _text(document["id"])
    node = Node({"id": uid, "workflow": workflow, **document}, registry, places)
    return Chain((node,), (node,))


def _alone(document: dict[str, Any], like: Node | None, by: str = "of") -> Chain[Any, Any]:
    """Return a chain of one task that is said here.

    Args:
        document: The task, as a document.
        like: The task that it is made from; None for one that is known by its name only.
        by: The method that was called.
    """
    _text(document["id"])
    made = place_of_caller(by if like is not None else "named")
    registry, places = (None, ()) if like is None else (like.registry, like.places)
    node = Node(document, registry, (*places, made))
    return Chain((node,), (node,))


def _text(uid: Any, what: str = "the id of a task") -> str:
    """Return an id.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(uid, str) or not uid:
        msg = f"{what} is a text that is not empty, not {shown(uid)}"
        raise TypeError(msg)
    return uid
