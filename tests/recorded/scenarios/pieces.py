"""The pieces by themselves: templates, graphs, events, registry, enumerations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tukio
from tukio.dag import DAG, DAGValidationError
from tukio.task import TaskTemplate, TukioTaskError, register
from tukio.utils import FutureState, Listen

from ..stage import pause

if TYPE_CHECKING:
    from ..stage import Stage


def _sorted_graph(document: Any) -> Any:
    graph = {up: sorted(downs) for up, downs in document["graph"].items()}
    return {**document, "graph": graph}


async def template_from_dict(stage: Stage) -> None:
    """A template as a dict, there and back."""
    document = {
        "id": "flow",
        "policy": "abort-running",
        "topics": ["t1", "t2"],
        "timeout": 12,
        "schema": 3,
        "tasks": [
            {"id": "a", "name": "add", "config": {"deep": {"n": 1}}, "timeout": 5, "topics": ["t"]},
            {"id": "b", "name": "add", "topics": None},
            {"id": "c", "name": "add"},
        ],
        "graph": {"a": ["b", "c"]},
    }
    template = tukio.WorkflowTemplate.from_dict(document)
    stage.note("as_dict", _sorted_graph(template.as_dict()))
    again = tukio.WorkflowTemplate.from_dict(template.as_dict())
    stage.note("again", _sorted_graph(again.as_dict()) == _sorted_graph(template.as_dict()))
    stage.note("root", template.root().uid)
    stage.note("valid", template.validate())
    stage.note("text", [str(template), str(template.tasks[0])])
    stage.note("listen", [template.listen, *[task.listen for task in template.tasks]])


async def template_defaults(stage: Stage) -> None:
    """What is left out."""
    template = tukio.WorkflowTemplate.from_dict({"id": "flow", "tasks": [{"id": "a", "name": "n"}]})
    stage.note("as_dict", template.as_dict())
    stage.note("listen", [template.listen, template.tasks[0].listen])
    stage.note("id", len(tukio.WorkflowTemplate().uid))
    stage.note("task", TaskTemplate("n", uid="a").as_dict())


async def template_by_hand(stage: Stage) -> None:
    """A template is built step by step, and taken apart."""
    template = tukio.WorkflowTemplate(uid="flow", policy="skip")
    first, second, third = (TaskTemplate("add", uid=uid) for uid in ("a", "b", "c"))
    for task in (first, second, third):
        template.add(task)
    template.link(first, second)
    template.link(second, third)
    stage.note("chain", template.as_dict())
    template.unlink(third, second)
    template.delete(third)
    stage.note("shorter", template.as_dict())
    stage.note("tasks", [task.uid for task in template.tasks])
    await stage.refuses("not a task", TypeError, template.add, "a")
    await stage.refuses("twice", ValueError, template.add, first)
    await stage.refuses("delete again", KeyError, template.delete, third)
    await stage.refuses("link to a stranger", KeyError, template.link, first, third)
    await stage.refuses("unlink strangers", KeyError, template.unlink, third, third)


async def template_refusals(stage: Stage) -> None:
    """What is no template."""
    make = tukio.WorkflowTemplate.from_dict
    tasks = [{"id": uid, "name": "add"} for uid in "ab"]
    cycle = {"tasks": tasks, "graph": {"a": ["b"], "b": ["a"]}}
    loop = {"tasks": tasks, "graph": {"a": ["a"]}}
    stranger = {"tasks": tasks, "graph": {"a": ["z"]}}
    await stage.refuses("cycle", DAGValidationError, make, cycle)
    await stage.refuses("loop", DAGValidationError, make, loop)
    await stage.refuses("stranger", KeyError, make, stranger)
    await stage.refuses("no name", KeyError, make, {"tasks": [{"id": "a"}]})
    await stage.refuses("policy", ValueError, make, {"policy": "zzz"})


async def graph(stage: Stage) -> None:
    """The graph by itself."""
    dag: Any = DAG.from_dict({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []})
    stage.note("roots", dag.root_nodes())
    stage.note("leaves", dag.leaves())
    stage.note("successors", sorted(dag.successors("a")))
    stage.note("predecessors", sorted(dag.predecessors("d")))
    stage.note("edges", sorted(dag.edges()))
    stage.note("valid", dag.is_valid())
    dag.delete_edge("c", "d")
    dag.delete_node("b")
    stage.note("roots", sorted(dag.root_nodes()))
    await stage.refuses("node twice", ValueError, dag.add_node, "a")
    await stage.refuses("no such node", KeyError, dag.delete_node, "z")
    await stage.refuses("no such edge", KeyError, dag.delete_edge, "a", "d")
    await stage.refuses("edge to nowhere", KeyError, dag.add_edge, "a", "z")
    dag.add_edge("d", "a")
    dag.add_edge("a", "d")
    stage.note("valid", dag.is_valid())
    await stage.refuses("cycle", DAGValidationError, dag.validate)


async def events(stage: Stage) -> None:
    """Events and their sources."""
    data = {"n": 1}
    event = tukio.Event(data, topic="t", source=tukio.EventSource("w", "x", "a", "y"))
    stage.note("event", event)
    stage.note("repr", repr(event))
    stage.note("copied", event.data is not data)
    stage.note("of an event", tukio.Event(event))
    stage.note("empty source", tukio.EventSource().as_dict())
    await stage.refuses("text", ValueError, tukio.Event, "text")
    await stage.refuses("none", ValueError, tukio.Event, None)
    await stage.refuses("source", ValueError, tukio.Event, {}, "t", "source")


async def registry(stage: Stage) -> None:
    """What can be registered as a task."""

    async def function(event: Any) -> None:
        pass

    def plain_function(event: Any) -> None:
        pass

    stage.task(function)
    stage.note("found", tukio.TaskRegistry.get("function") == (None, function))
    await stage.refuses("twice", ValueError, register("function"), function)
    await stage.refuses("not async", TypeError, register("other"), plain_function)
    await stage.refuses("no such method", AttributeError, register("other", "nope"), tukio.Event)
    await stage.refuses("no method", TypeError, register("other"), tukio.Event)
    await stage.refuses("unknown", tukio.UnknownTaskName, tukio.TaskRegistry.get, "other")
    stage.note("other", "other" in tukio.TaskRegistry.all())


async def enumerations(stage: Stage) -> None:
    """The words for states, events, policies and listening."""
    from tukio.task.factory import TaskExecState
    from tukio.workflow import OverrunPolicy, WorkflowExecState

    stage.note("listen", {member.name: member.value for member in Listen})
    stage.note("policies", {member.name: member.value for member in OverrunPolicy})
    stage.note("states", {member.name: member.value for member in FutureState})
    stage.note("done", [member.value for member in FutureState if member.done()])
    stage.note("workflow events", {member.name: member.value for member in WorkflowExecState})
    stage.note("task events", {member.name: member.value for member in TaskExecState})
    stage.note("listening", [Listen.get(None), Listen.get([]), Listen.get(["t"])])
    await stage.refuses("no list", TypeError, Listen.get, "t")
    stage.note("default policy", OverrunPolicy.get())
    await stage.refuses("no policy", ValueError, OverrunPolicy.get, "zzz")


async def states_of_futures(stage: Stage) -> None:
    """The state of a run, a task or any future."""
    workflow = await stage.start("a", {"a": pause(0.1)})
    await asyncio.sleep(0.05)
    stage.note("running", FutureState.get(workflow))
    stage.note("running task", FutureState.get(next(iter(workflow.tasks))))
    await stage.over(workflow)
    stage.note("over", FutureState.get(workflow))
    stage.note("task that is over", FutureState.get(next(iter(workflow.tasks))))
    future: Any = asyncio.get_running_loop().create_future()
    future.set_exception(TukioTaskError("no"))
    stage.note("failed future", FutureState.get(future))
    future.exception()


async def workflow_by_itself(stage: Stage) -> None:
    """A run without an engine."""
    workflow: Any = tukio.Workflow(stage.template("a b"), loop=asyncio.get_running_loop())
    stage.note("before", [workflow.done(), len(workflow.tasks)])
    workflow.run({"start": 0})
    await stage.refuses("again", RuntimeError, workflow.run, {"start": 1})
    await stage.over(workflow)
