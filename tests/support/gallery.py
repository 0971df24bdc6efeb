"""A gallery of workflows: one of each kind, small, and the same outcome each time.

The everywhere-helpers walk over all of them, on every backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

import tukio

from .flow import flow

if TYPE_CHECKING:
    from .flow import Tasks


DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}
FORK = {"a": ["b", "c"], "b": ["d"]}


def register_tasks(task: Tasks) -> None:  # noqa: C901, PLR0915 - many, and small
    """Register what the workflows of the gallery run; each adds its id to what it was given."""

    def result(event: tukio.Event) -> dict[str, Any]:
        return {**event.data, tukio.current_task().template.uid: 1}

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        return result(event)

    @task
    class slow(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            await anyio.sleep(self.config.get("seconds", 1))
            return result(event)

        async def teardown(self) -> dict[str, Any]:
            await anyio.sleep(0.5)
            return {"torn": tukio.current_task().template.uid}

    @task
    async def nothing(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def skips(event: tukio.Event) -> None:
        raise tukio.SkipTask("why not")

    @task
    async def fails(event: tukio.Event) -> None:
        await anyio.sleep(1)
        raise KeyError("boom")

    @task
    async def fails_with_output(event: tukio.Event) -> None:
        raise tukio.TukioTaskError({"code": 3})

    @task
    async def leaf(event: tukio.Event) -> list[int]:
        return [1, 2]

    @task
    async def router(event: tukio.Event) -> dict[str, Any]:
        tukio.current_workflow().set_next_tasks(["b"])
        await anyio.sleep(1)
        return result(event)

    @task
    async def stops_here(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks([])

    @task
    async def nests(event: tukio.Event) -> dict[str, Any]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 1)
            group.start_soon(anyio.sleep, 2)
        return result(event)

    @task
    async def flaky(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(0.5)
        if tukio.current_task().attempt < 3:
            raise ConnectionError("not yet")
        return result(event)

    @task.predicate("not yet")
    def not_yet(error: BaseException, attempt: int) -> bool:
        return isinstance(error, ConnectionError) and attempt < 2

    @task.predicate("unsure")
    def unsure(error: BaseException) -> bool:
        raise LookupError(type(error).__name__)

    @task
    async def beats(event: tukio.Event) -> dict[str, Any]:
        for _ in range(3):
            await anyio.sleep(0.75)
            tukio.heartbeat()
        await anyio.sleep(tukio.current_task().template.config.get("silent", 0))
        return result(event)

    @task
    async def lists(event: tukio.Event) -> dict[str, Any]:
        return {**result(event), "list": [{"n": 0}, {"n": 1}, "two"]}

    @task
    async def takes(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(1.5 if event.data.get("n") else 1)
        if event.data.get("n") == 1 and tukio.current_task().attempt < 3:
            raise ConnectionError("not yet")
        return result(event)

    @task
    async def cleans_up(event: tukio.Event) -> dict[str, Any]:
        try:
            await anyio.sleep(1)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.25)
        return result(event)


def simple(graph: Any, names: str, **fields: Any) -> tukio.WorkflowTemplate:
    """Return a workflow; `names` says which task is run under which id, "a=quick b=slow"."""
    ids = dict(pair.split("=") for pair in names.split())
    return flow(graph, names=ids, **fields)


def retrying(names: str, **words: Any) -> tukio.WorkflowTemplate:
    """Return a fork whose second task is run again when it has failed."""
    template = simple(FORK, names)
    template.tasks[1].retry = {"jitter": "none", **words}
    return template


def mapped(names: str, keys: dict[str, Any] | None = None, **words: Any) -> tukio.WorkflowTemplate:
    """Return a chain whose second task is mapped over what the first one lists."""
    template = simple("a b c", names)
    template.tasks[1].map = {"over": "$.list", **words}
    for key, value in (keys or {}).items():
        setattr(template.tasks[1], key, value)
    return template


def with_defaults(names: str, **defaults: Any) -> tukio.WorkflowTemplate:
    """Return a fork whose tasks say nothing; the workflow says it for all, but for the third."""
    template = simple(FORK, names, defaults=defaults)
    template.tasks[2].timeout, template.tasks[2].retry = 0, {"attempts": 1}
    return template


def watched(silent: float) -> tukio.WorkflowTemplate:
    """Return a fork whose second task must show signs of life, and in the end shows none."""
    template = simple(FORK, "a=quick b=beats c=slow d=quick")
    template.tasks[1].idle_timeout = 1
    template.tasks[1].config = {"silent": silent}
    return template


def failing(says: Any, names: str = "a=quick b=fails c=slow d=quick", **fields: Any) -> Any:
    """Return a fork whose second task says what follows from its failure, and a task behind both.

    That task waits for what can come: a handler, or what it is the handler for.
    """
    template = simple({"a": ["b"], "b": ["c", "d"], "c": ["e"], "d": ["e"]}, names, **fields)
    template.tasks[1].on_error = says
    template.tasks[4].join = "all"
    return template


def closing(
    names: str, undo: Any = "cleans_up", graph: Any = None, **fields: Any
) -> tukio.WorkflowTemplate:
    """Return a fork whose tasks can be undone, and with two tasks that come last."""
    last = [{"name": "slow", "id": "y"}, {"name": "quick", "id": "z", "timeout": 9}]
    template = simple(graph or FORK, names, **{"on_error": "abort", "finally": last} | fields)
    for one in template.tasks[:3]:
        one.compensate = undo
    return template


def closing_items(undo: Any, **words: Any) -> tukio.WorkflowTemplate:
    """Return a chain that fails, of a task whose items can be undone, and of others."""
    template = closing("a=lists b=takes c=quick d=fails", undo, graph="a b c d")
    template.tasks[1].map = {"over": "$.list", "limit": 2, **words}
    return template


def nested(names: str = "x=quick y=slow", *, keys: Any = None, **fields: Any) -> Any:
    """Return a fork whose second task is a chain of its own, by its key `workflow`."""
    graph = {"x": ["y"], "y": ["z"]} if "z=" in names else {"x": ["y"]}
    child = simple(graph, names, id="child", **fields)
    template = simple(FORK, "a=quick b=quick c=slow d=quick")
    document = template.as_dict()
    task = {"id": "b", "workflow": child.as_dict(), **(keys or {})}
    document["tasks"] = [task if one["id"] == "b" else one for one in document["tasks"]]
    return tukio.WorkflowTemplate.from_dict(document)


def map_of_runs(
    names: str = "x=quick y=slow", keys: Any = None, *, words: Any = None, **fields: Any
) -> Any:
    """Return a chain whose second task runs a chain of its own for each item of a list."""
    child = simple("x y", names, id="child", **fields)
    document = mapped("a=lists b=quick c=quick", **{"limit": 2, **(words or {})}).as_dict()
    del document["tasks"][1]["name"]
    document["tasks"][1] |= {"workflow": child.as_dict(), **(keys or {})}
    return tukio.WorkflowTemplate.from_dict(document)


def doubly_nested() -> Any:
    """Return a workflow whose child has a child."""
    document = nested("x=slow y=quick z=quick").as_dict()
    tasks = document["tasks"][1]["workflow"]["tasks"]
    inner = simple("s t", "s=quick t=cleans_up", id="inner").as_dict()
    tasks[1] = {"id": "y", "workflow": inner}
    return tukio.WorkflowTemplate.from_dict(document)


def waiting(join: str | int, names: str = "a=quick b=slow c=slow d=quick e=quick") -> Any:
    """Return a diamond whose last task waits for parents by its key `join`, and a task after it."""
    template = simple({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["e"]}, names)
    template.tasks[3].join = join
    return template


def joining(config: dict[str, Any], **changes: Any) -> tukio.WorkflowTemplate:
    """Return a workflow with a join of three parents; the `changes` are other names, or limits."""
    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}
    names = {"a": "quick", "b": "slow", "c": "quick", "d": "nothing", "j": "join", "k": "slow"}
    limits = changes.pop("limits", None)
    template = flow(graph, names=names | changes, limits=limits)
    by_id = {task.uid: task for task in template.tasks}
    by_id["j"].config = config
    by_id["b"].config = {"seconds": 600 if limits else 2}
    return template


ALL_THREE = {"wait_for": 3, "collect": "all"}

WORKFLOWS: dict[str, tukio.WorkflowTemplate] = {
    "one task": simple("a", "a=slow"),
    "chain": simple("a b c d", "a=slow b=quick c=slow d=leaf"),
    "nothing and skip": simple("a b c d", "a=nothing b=skips c=nothing d=quick"),
    "diamond": simple(DIAMOND, "a=slow b=slow c=quick d=slow"),
    "shortcut": simple({"a": ["b", "c"], "b": ["c"]}, "a=quick b=slow c=quick"),
    "error": simple(FORK, "a=quick b=fails c=slow d=quick"),
    "output error": simple(FORK, "a=quick b=fails_with_output c=slow d=quick"),
    "abort": simple({"a": ["b", "c"]}, "a=quick b=fails c=nests", on_error="abort"),
    "task limits": simple("a b c", "a=slow b=nothing c=quick", limits={"a": 0.5, "b": 0.25}),
    "routing": simple(DIAMOND, "a=router b=slow c=slow d=quick"),
    "stop here": simple(FORK, "a=slow b=stops_here c=slow d=quick"),
    "nested": simple("a b", "a=nests b=cleans_up"),
    "workflow limit": simple("a b c", "a=slow b=slow c=slow", timeout=2.5),
    "join two": joining({"wait_for": 2}),
    "join all": joining({"wait_for": ["b", "d", "c"], "collect": "all"}),
    "join merge": joining({"wait_for": 3, "collect": "merge"}),
    "join with a failed parent": joining(ALL_THREE, b="fails"),
    "join with skips": joining(ALL_THREE, b="skips", c="skips"),
    "join of routed": joining(ALL_THREE, a="router"),
    "fan-in of all": waiting("all"),
    "fan-in of all, one fails": waiting("all", "a=quick b=fails c=slow d=quick e=quick"),
    "fan-in of settled": waiting("settled", "a=quick b=fails c=slow d=slow e=quick"),
    "fan-in of one": waiting(1, "a=quick b=quick c=slow d=slow e=quick"),
    "fan-in of routed": waiting("all", "a=router b=slow c=slow d=quick e=quick"),
    "retry": retrying("a=quick b=flaky c=slow d=quick"),
    "retry in vain": retrying("a=quick b=fails c=slow d=quick", attempts=2),
    "retry at once": retrying("a=quick b=fails_with_output c=nothing d=quick", initial=0),
    "map": mapped("a=lists b=nothing c=quick"),
    "map of some at once": mapped("a=lists b=takes c=quick", limit=2, tolerate=1),
    "map with too many failures": mapped("a=lists b=takes c=quick", limit=3),
    "map of no list": mapped("a=quick b=takes c=quick"),
    "map with retries": mapped(
        "a=lists b=takes c=quick", {"retry": {"initial": 0.25, "jitter": "none"}}, limit=2
    ),
    "map with limits": mapped("a=lists b=slow c=quick", limit=2, timeout=0.75),
    "map at the limit of all": mapped("a=lists b=slow c=quick", {"timeout": 0.75}, limit=2),
    "map of a prompt task": mapped("a=lists b=quick c=slow", limit=3),
    "retry within": retrying("a=quick b=fails c=slow d=quick", attempts=2, within=60),
    "retry that is cut": retrying("a=quick b=flaky c=slow d=quick", within=0.25),
    "retry if": retrying("a=quick b=flaky c=slow d=quick", retry_if="not yet"),
    "retry if nobody knows": retrying("a=quick b=fails c=slow d=quick", retry_if="unsure"),
    "limits by default": with_defaults("a=quick b=slow c=slow d=quick", timeout=0.75),
    "retries by default": with_defaults(
        "a=quick b=slow c=fails d=quick",
        timeout=0.75,
        on_timeout="retry",
        retry={"attempts": 2, "jitter": "none"},
    ),
    "signs of life": watched(0.25),
    "silence": watched(9),
    "a handler": failing({"to": ["c"]}, "a=quick b=fails c=slow d=quick e=slow"),
    "a handler in vain": failing({"to": ["c"]}, "a=quick b=slow c=slow d=quick e=slow"),
    "an output after all": failing({"output": {"x": 1}}, "a=quick b=fails c=slow d=quick e=leaf"),
    "no abort": failing({"to": []}, "a=slow b=fails c=slow d=quick e=slow", on_error="abort"),
    "closing": closing("a=slow b=quick c=slow d=quick"),
    "closing after a failure": closing("a=slow b=quick c=quick d=fails"),
    "closing in vain": closing("a=slow b=quick c=quick d=fails", "fails"),
    "closing what has begun": closing(
        "a=slow b=nests c=fails d=quick",
        {"name": "flaky", "retry": {"jitter": "none"}, "begun": True},
    ),
    "closing at its limit": closing("a=slow b=slow c=slow", graph="a b c", timeout=2.5),
    "closing items": closing_items("cleans_up", tolerate=1),
    "closing items of a map that fails": closing_items(
        {"name": "flaky", "retry": {"jitter": "none"}, "begun": True}, limit=1
    ),
    "closing items at the limit of their task": closing_items(
        {"name": "quick", "begun": True}, tolerate="all", timeout=1.25
    ),
    "child": nested(),
    "child that fails": nested("x=quick y=fails z=quick", on_error="abort"),
    "child with errors": nested("x=quick y=fails z=quick"),
    "child at its limit": nested(timeout=0.5),
    "child at the limit of its task": nested(keys={"timeout": 0.5}),
    "child that fails at the limit of its task": nested(
        "x=cleans_up y=quick", keys={"timeout": 0.5, "on_timeout": "fail"}
    ),
    "child that is run again": nested(
        "x=fails y=quick",
        on_error="abort",
        keys={"retry": {"attempts": 2, "jitter": "none", "initial": 0.25}},
    ),
    "child of a child": doubly_nested(),
    "map of workflows": map_of_runs(),
    "map of workflows that fail": map_of_runs(
        "x=takes y=cleans_up", words={"tolerate": 1}, on_error="abort"
    ),
    "map of workflows with too many failures": map_of_runs(
        "x=takes y=slow", words={"limit": None}, on_error="abort"
    ),
    "map of workflows with errors": map_of_runs("x=slow y=fails"),
    "map of workflows with limits": map_of_runs(
        "x=takes y=cleans_up", {"on_timeout": "continue"}, words={"timeout": 0.75}
    ),
    "map of workflows at the limit of all": map_of_runs(keys={"timeout": 0.75}),
    "map of workflows with retries": map_of_runs(
        "x=fails y=quick",
        {"retry": {"attempts": 2, "jitter": "none", "initial": 0.25}},
        words={"tolerate": "all"},
        on_error="abort",
    ),
    "join at its limit": joining(ALL_THREE, limits={"j": 100}),
}
"""Name -> template. The outcome of none depends on the order of what happens at one instant."""
