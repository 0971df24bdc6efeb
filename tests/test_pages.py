"""The pages of reference in docs/ are whole: what the code has is on its page, and nothing else.

What the blocks of a page print is held by `test_docs.py`.
"""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow
from support.log_calls import CALLS, SOURCES
from support.loose import loose
from support.pages import DOCS, column, differences, table, words
from tukio import errors
from tukio._model import fan_in, size_limits
from tukio._model.codecs import DecodedReport
from tukio._model.keys import TASK_KEYS, WORKFLOW_KEYS
from tukio._model.lost import Lost
from tukio._model.registered import CODECS
from tukio._model.state import TaskExecState, WorkflowExecState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.pages import Row

# Templates ---------------------------------------------------------------------------------------

KEYS = {"Keys of a template": WORKFLOW_KEYS, "Keys of a task": TASK_KEYS}

every_table_of_keys = pytest.mark.parametrize("title", KEYS)


@every_table_of_keys
def test_every_key_of_a_template_is_on_its_page(title: str) -> None:
    """With its type, its default, an example and its meaning."""
    assert differences(column("templates.md", title, "key"), KEYS[title]) == {}
    for row in table("templates.md", title):
        assert row["type"]
        assert row["example"]
        assert row["meaning"]


def test_the_defaults_on_the_page_are_those_of_a_template() -> None:
    """As the dict form has them, or the words that a key left out stands for."""
    template = tukio.WorkflowTemplate.from_dict({})
    found = template.as_dict() | {
        "on_error": template.on_error.value,
        "closing_timeout": template.closing_timeout,
    }
    assert told_defaults("Keys of a template", found) == {}
    task = tukio.TaskTemplate.from_dict({"name": "x"})
    assert told_defaults("Keys of a task", task.as_dict()) == {}


def told_defaults(title: str, found: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the defaults on the page that are not those that were found, each beside that."""
    told: dict[str, Any] = {}
    for row in table("templates.md", title):
        cell = row["default"].partition(",")[0].strip("`")
        if cell and not cell.startswith("a new"):
            is_word = cell.replace("-", "").isalpha() and cell != "null"
            told[words(row["key"])[0]] = cell if is_word else json.loads(cell)
    assert len(told) > 4
    return {key: (value, found.get(key)) for key, value in told.items() if found.get(key) != value}


def examples(title: str) -> dict[str, Any]:
    """Return the examples of a table of keys as one document."""
    document: dict[str, Any] = {}
    for row in table("templates.md", title):
        [example] = words(row["example"])
        [key] = words(row["key"]) or [""]
        document |= json.loads(f'{{"{key}": {example}}}' if key else f"{{{example}}}")
    return document


def test_the_examples_on_the_page_are_a_template() -> None:
    """All of them together have no fault, and come back as they are."""
    document, task = examples("Keys of a template"), examples("Keys of a task")
    child = {key: task[key] for key in ("id", "workflow", "timeout", "topics", "retry")}
    child |= {"config": {}, "topics": []}
    del task["workflow"]
    template = tukio.WorkflowTemplate.from_dict(document)
    whole = template.as_dict()
    assert {key: whole[key] for key in document.keys() - {"tasks", "graph"}}.items() <= (
        document.items()
    )
    assert [one.uid for one in template.tasks] == [one["id"] for one in document["tasks"]]
    assert tukio.TaskTemplate.from_dict(task).as_dict() == task
    assert tukio.TaskTemplate.from_dict(child).as_dict() == child
    tukio.WorkflowTemplate.from_dict({"tasks": [task, child | {"id": "child"}]})


WORDS: dict[tuple[str, str], set[str]] = {
    ("Policy", "`policy`"): {policy.value for policy in tukio.OverrunPolicy},
    ("`on_error`", "`on_error`"): {policy.value for policy in tukio.ErrorPolicy},
    ("`join` and `collect`", "`join`"): {*fan_in.WORDS},
}


@pytest.mark.parametrize(("title", "head"), WORDS, ids=lambda word: word.strip("`"))
def test_every_word_for_a_key_is_on_the_page(title: str, head: str) -> None:
    """A policy that is added has a row."""
    assert differences(column("templates.md", title, head), WORDS[title, head]) == {}


def test_every_way_to_join_is_in_the_table_of_what_parents_do() -> None:
    """And every way to collect in that of what a task receives."""
    text = (DOCS / "templates.md").read_text()
    assert f"\n| a parent | {' | '.join(f'`{word}`' for word in fan_in.WORDS)} | a number |" in text
    rows = re.findall(
        r"^\| `(\w+)`(?:, the default)? \| (?:one dict|a dict|the data)", text, re.MULTILINE
    )
    assert differences(rows, fan_in.COLLECT) == {}


def test_the_limits_of_size_are_on_the_page() -> None:
    """Each by its number."""
    told = [int(row["at most"].replace(",", "")) for row in table("templates.md", "Limits of size")]
    limits = size_limits
    assert told == [limits.MOST_TASKS, limits.MOST_EDGES, limits.MOST_VALUES, limits.DEEPEST]


# Events ------------------------------------------------------------------------------------------


def test_every_type_of_an_execution_event_is_on_its_page() -> None:
    """With when it comes; all but one that never does have their content."""
    known = {*WorkflowExecState.values(), *TaskExecState.values()}
    assert differences(column("events.md", "Execution events", "`type`"), known) == {}
    for row in table("events.md", "Execution events"):
        assert row["when"]
        assert row["`content`"] or "never" in row["when"]


def test_every_attribute_of_an_event_is_on_its_page() -> None:
    """And those of its source."""
    told = column("events.md", "Events", "attribute of an `Event`")
    assert differences(told, public(tukio.Event)) == {}
    [source] = [row[""] for row in table("events.md", "Events") if "EventSource" in row[""]]
    of_source = {word for word in words(source) if word != "EventSource"}
    assert differences(of_source, public(tukio.EventSource) - {"as_dict"}) == {}


def public(kind: type) -> set[str]:
    """Return the public names that a class has."""
    return {name for name in vars(kind) if not name.startswith("_")}


# Reports -----------------------------------------------------------------------------------------

FIELDS = {
    "`exec` of the run": ("_run/reporting.py", {"closing", "exec", "undoes"}),
    "`exec` of a task": ("_step/snapshot.py", set[str]()),
    "`items`": ("_model/items.py", set[str]()),
    "`error`": ("_model/account.py", set[str]()),
}
"""The heading of each table of fields, the module that makes them, and keys of others in there."""


def made_keys(tree: ast.AST) -> Iterator[str]:
    """Yield the texts that a module uses as the keys of dicts that it makes."""
    for node in ast.walk(tree):
        keys: list[ast.expr | None] = []
        if isinstance(node, ast.Dict):
            keys = node.keys
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            keys = [node.slice]
        for key in keys:
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value


@pytest.mark.parametrize("title", FIELDS)
def test_every_field_of_a_report_is_on_its_page(title: str) -> None:
    """With its type, when it is there, and its meaning."""
    module, others = FIELDS[title]
    known = {*made_keys(SOURCES[module])} - others
    assert len(known) > 4
    assert differences(column("reports.md", title, "key"), known) == {}
    for row in table("reports.md", title):
        assert row["type"]
        assert row["there"]
        assert row["meaning"]


def test_every_type_that_survives_json_is_on_the_page() -> None:
    """Those with a form of their own; others are lost unless they are registered."""
    rows = table("reports.md", "Through JSON")
    told = {
        word.replace("None", "NoneType")
        for row in rows
        if row["through JSON"].startswith("as it was")
        for word in words(row["type of a value"])
    }
    known = CODECS.built_in - {Lost, DecodedReport}
    assert differences(told, {kind.__name__ for kind in known}) == {}


ENDLESS: dict[str, Any] = {}
ENDLESS["endless"] = ENDLESS


def spoil(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that changes a report, and returns it."""

    def spoilt(report: dict[str, Any]) -> dict[str, Any]:
        change(report)
        return report

    return spoilt


def executions(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the executions in a report: of `get`, `show` and `also`, and of the run."""
    return [*(task["exec"] for task in report["tasks"]), report["exec"]]


def without_the_mark(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report as some parser read it, without the key that says what it is."""
    executions(report)[0]["inputs"]["page"] = (1, 2)
    document: dict[str, Any] = json.loads(tukio.report_to_json(report))
    del document["$tukio"]
    return document


def with_something_lost(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report that went through JSON with an object in it."""
    executions(report)[0]["outputs"]["page"] = executions(report)[1]["inputs"]["page"] = object()
    return tukio.report_from_json(tukio.report_to_json(report))


SPOILT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no id": spoil(lambda report: executions(report)[-1].pop("id")),
    "no inputs": spoil(lambda report: executions(report)[0].pop("inputs")),
    "no JSON": lambda _: tukio.report_from_json("nonsense"),
    "a list": lambda _: tukio.report_from_json("[]"),
    "no mark": without_the_mark,
    "not started": spoil(lambda report: executions(report)[-1].update(start=None)),
    "no root": spoil(lambda report: report["tasks"][0].update(exec=None)),
    "another template": spoil(lambda report: report.update(id="a")),
    "a task is gone": spoil(lambda report: report["tasks"][1].update(id="gone")),
    "a successor is gone": spoil(lambda report: executions(report)[0].update(chosen=["gone"])),
    "out of reach": spoil(lambda report: executions(report)[0].update(chosen=[])),
    "a list to pass on": spoil(lambda report: executions(report)[0].update(outputs=[1])),
    "another order": spoil(lambda report: executions(report)[-1].update(order=["show"])),
    "no results": spoil(lambda report: executions(report)[0]["outputs"].pop("results")),
    "used up": spoil(lambda report: executions(report)[-1].update(elapsed=60)),
    "lost": with_something_lost,
    "endless": spoil(
        lambda report: [one.update(inputs=ENDLESS, outputs=ENDLESS) for one in executions(report)]
    ),
    "in progress": lambda report: report,
}
"""What is done to the report of a run, which `rescue` then refuses."""


async def refusal_of(name: str, task: Tasks) -> str:
    """Return the reason why a rescue refuses a report to which something was done."""

    @task
    async def get(event: tukio.Event) -> dict[str, Any]:
        return {"page": "x"}

    @task
    async def show(event: tukio.Event) -> None:
        await anyio.sleep({"show": 1, "also": 2, "last": 5}[tukio.current_task().template.uid])

    graph = {"get": ["show", "also"], "show": ["last"], "also": ["last"]}
    names = {"also": "show", "last": "show"}
    template = flow(graph, names=names, id="b", timeout=60)
    if name == "no results":
        template.tasks[0].map, template.tasks[0].compensate = {"over": "$.list"}, "show"
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"list": []})
        # Then `last` has come from one of its parents, and the other one is late.
        await anyio.sleep(2.5 if name == "endless" else 0.5)
        report = run.report()
        if name != "in progress":
            run.cancel()
            await run.wait()
        with pytest.raises(tukio.RescueError) as caught:
            await engine.rescue(template, SPOILT[name](report))
        run.cancel()
    return caught.value.reason


def meant(word: str) -> re.Pattern[str]:
    """Return a pattern for a reason as the page has it: `...` is anything."""
    return re.compile(".*".join(map(re.escape, word.split("..."))))


@pytest.mark.backends("asyncio")
async def test_every_refusal_of_a_rescue_is_on_the_page(task: Tasks) -> None:
    """And each on the page is one that there is."""
    told = column("reports.md", "What it refuses", "the reason")
    told -= {"data=False"}
    reasons: dict[str, str] = {}
    for name in SPOILT:
        reasons[name] = await refusal_of(name, task)
        task.forget()
    matched = {
        name: [word for word in told if meant(word).match(reason)]
        for name, reason in reasons.items()
    }
    assert {name: reasons[name] for name, found in matched.items() if not found} == {}
    assert told - {word for found in matched.values() for word in found} == set()


# Errors ------------------------------------------------------------------------------------------

TABLES_OF_ERRORS = (
    "When nothing was started",
    "How a run ended",
    "What became of a task",
    "Raised by your tasks",
)


def rows_of_errors() -> dict[str, Row]:
    """Return the row of each error on the page."""
    rows = [row for title in TABLES_OF_ERRORS for row in table("errors.md", title)]
    return {word.partition("(")[0]: row for row in rows for word in words(row["error"])}


def test_every_error_is_on_its_page() -> None:
    """But for the one that is never raised as such, and has a paragraph."""
    known = {*errors.__all__} - {"WorkflowError"}
    assert differences(rows_of_errors(), known) == {}
    assert "`WorkflowError` is the root of" in (DOCS / "errors.md").read_text()


def attributes_of(name: str) -> set[str]:
    """Return the attributes that the docstring of an error has."""
    _, _, attributes = str(getattr(errors, name).__doc__).partition("Attributes:\n")
    return set(re.findall(r"^ +(\w+): ", attributes, re.MULTILINE))


WITH_ATTRIBUTES = [name for name in errors.__all__ if attributes_of(name)]


ENTRIES = {"Fault": "TemplateError", "Misfit": "InvalidInput"}
"""What is no error itself -> the error that has several."""


@pytest.mark.parametrize("name", WITH_ATTRIBUTES)
def test_the_attributes_of_an_error_are_on_its_page(name: str) -> None:
    """In its row, or in that of the error that has it; of a fault, those that users need."""
    rows = [rows_of_errors()[one] for one in {name, ENTRIES.get(name, name)}]
    told = {word for row in rows for cell in row.values() for word in words(cell)}
    known = attributes_of(name) - ({"kind", "facts"} if name == "Fault" else set[str]())
    assert known - told == set()


def drawn(kind: type[Any], depth: int = 0) -> Iterator[str]:
    """Yield the lines of the tree of errors below one of them."""
    others = [base.__name__ for base in kind.__bases__ if not issubclass(base, errors.TukioError)]
    more = [name for name in others if name != "Exception"]
    yield f"{'  ' * depth}{kind.__name__}{f' ({more[0]})' if more else ''}"
    for name in errors.__all__:
        other = getattr(errors, name)
        if kind in other.__bases__:
            yield from drawn(other, depth + 1)


def test_the_tree_of_errors_is_drawn_as_they_derive() -> None:
    """With what else each of them is."""
    text = (DOCS / "errors.md").read_text()
    [tree] = re.findall(r"^```text\n(TukioError\n.*?)```$", text, re.MULTILINE | re.DOTALL)
    assert tree.splitlines() == [*drawn(errors.TukioError)]
    assert len(tree.splitlines()) == len(set(errors.__all__) - set(ENTRIES))


HOW: dict[str, tuple[str, dict[str, float], dict[str, Any]]] = {
    "has gone well": ("fine", {}, {}),
    "came to its end, and a task has failed": ("fine fails", {}, {}),
    "came to its end, and a task has reached its time limit": ("slow fine", {"slow": 1}, {}),
    "was ended by an error (`on_error: abort`)": ("fine fails", {}, {"on_error": "abort"}),
    "has reached its time limit": ("slow", {}, {"timeout": 2}),
    "was cancelled": ("slow", {}, {}),
}
"""What became of a run -> its tasks, their limits, and fields of its template."""


@pytest.fixture
def steps(task: Tasks) -> None:
    """Register what is run."""

    @task
    async def fine(event: tukio.Event) -> None:
        pass

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    @task
    async def fails(event: tukio.Event) -> None:
        raise LookupError


async def ended(engine: tukio.Engine, how: str) -> tukio.Workflow:
    """Return a run of which something has become."""
    names, limits, fields = HOW[how]
    run = await engine.start(flow(names, limits=limits, **fields), {})
    if how == "was cancelled":
        await anyio.sleep(1)
        run.cancel()
    await run.wait()
    return run


async def said(waiting: Callable[[], Any]) -> str:
    """Return what comes of waiting, in the words of the page."""
    try:
        result = waiting()
        if hasattr(result, "__await__"):
            result = await result
    except BaseException as error:  # noqa: BLE001 - a cancellation is what is looked for
        return type(error).__name__
    return "the tasks" if isinstance(result, set) else result.value


async def awaited(run: tukio.Workflow) -> Any:
    """Await a run itself."""
    return await run


def test_every_end_of_a_run_is_in_the_table() -> None:
    """And no other one."""
    assert [row["the run"] for row in table("errors.md", "How a run went")] == [*HOW]


@pytest.mark.parametrize("how", HOW)
async def test_what_waiting_returns_or_raises_is_on_the_page(
    backend: str, how: str, steps: None
) -> None:
    """For each way to wait, on each backend; only on asyncio a run is a future."""
    async with tukio.Engine() as engine:
        run: Any = await ended(engine, how)
        found = {
            "`await run.wait()`": await said(run.wait),
            "`await run.wait(check=True)`": await said(lambda: run.wait(check=True)),
            "`await run`": await said(lambda: awaited(run)),
        }
        assert hasattr(run, "result") == (backend != "trio")
        if backend != "trio":
            found["`run.result()`"] = await said(run.result)
    if backend != "trio":
        async with loose() as engine:
            run = await ended(engine, how)
            found["`await run`, loose"] = await said(lambda: awaited(run))
    [row] = [row for row in table("errors.md", "How a run went") if row["the run"] == how]
    assert found == {head: words(row[head])[0] for head in found}


# Logging -----------------------------------------------------------------------------------------

LOGGERS = ("tukio.engine", "tukio.run", "tukio.broker", "tukio.watchdog", "tukio")


def test_every_message_is_on_the_page_below_its_logger() -> None:
    """With its level; what is missing is told as rows to put there."""
    told = {
        (logger, words(row["message"])[0], row["level"])
        for logger in LOGGERS
        for row in table("logging.md", f"`{logger}`")
    }
    logged = {*messages()}
    lacking = sorted(logged - told)
    rows = [f"below ### `{where}`:\n{row_of(text, level)}" for where, text, level in lacking]
    assert not rows, "docs/logging.md lacks these rows:\n" + "\n".join(rows)
    assert told - logged == set(), "these rows of docs/logging.md are of no message any more"


def messages() -> Iterator[tuple[str, str, str]]:
    """Yield the logger, the text and the level of each message of the package."""
    for module, call in CALLS:
        assert isinstance(call.func, ast.Attribute)
        assert isinstance(call.args[0], ast.Constant)
        level = call.func.attr.replace("exception", "error").upper()
        yield logger_of(SOURCES[module]), str(call.args[0].value), level


def logger_of(tree: ast.AST) -> str:
    """Return the name of the logger of a module."""
    [name] = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Log"
        and isinstance(node.args[0], ast.Constant)
    ]
    return str(name)


def row_of(text: str, level: str) -> str:
    """Return a row for a message, in which its fields, when and how often are to be filled in."""
    fence = "``" if "`" in text else "`"
    return f"| {fence}{text}{fence} | {level} | fields? | when? | how often? |"


def test_every_row_of_a_message_says_when_and_how_often() -> None:
    """A row that was put there as the test above prints it is not filled in yet."""
    for logger in LOGGERS:
        for row in table("logging.md", f"`{logger}`"):
            assert row["when"]
            assert row["how often"]
            assert "?" not in row["fields"] + row["when"] + row["how often"]
