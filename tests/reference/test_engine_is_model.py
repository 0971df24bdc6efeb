"""The engine does what the model says: any template, any behaviour, any orders, any backend.

`TUKIO_REFERENCE_EXAMPLES` in the environment says how many examples are tried on each backend.
"""

from __future__ import annotations

import logging
import os
from pprint import pformat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, note, reject, settings

from tukio.testing.clock import BACKENDS, is_available, run

from .behaviours import perform, registered
from .model import runs
from .parts import Outcome
from .strategies import cases
from .timeline import Diverged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .parts import Data, Order

EXAMPLES = int(os.environ.get("TUKIO_REFERENCE_EXAMPLES", "300"))
PATIENCE = 400
"""How many ways to tell a story are tried before it is left undecided."""
DATA = {"in": 0}

some = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
on_each_backend = pytest.mark.parametrize(
    "backend",
    [pytest.param(name, marks=[] if is_available(name) else pytest.mark.skip) for name in BACKENDS],
)


@pytest.fixture(autouse=True, scope="module")
def actors() -> Iterator[None]:
    """Register the tasks that perform behaviours, and let their failures out of the log."""
    log = logging.getLogger("tukio")
    level = log.level
    log.setLevel(logging.CRITICAL)
    with registered():
        yield
    log.setLevel(level)


def difference(observed: Outcome, template: Data, orders: list[Order]) -> str | None:
    """Return where a run left what the model allows; None if it did not."""
    furthest, closest = -1, ""
    for tried, way in enumerate(runs(template, DATA, orders, observed.story), 1):
        if isinstance(way, Diverged):
            place, told = way.args
            if place > furthest:
                furthest, closest = place, f"the model tells {told}"
        elif way == observed:
            return None
        else:
            furthest, closest = len(observed.story), fields(way, observed)
        if tried == PATIENCE:
            reject()
    return f"after event {furthest}: {closest}"


def fields(model: Outcome, engine: Outcome) -> str:
    """Return what two outcomes differ in."""
    names = ("state", "end", "errors", "outputs")
    pairs = [(name, getattr(model, name), getattr(engine, name)) for name in names]
    pairs += [(uid, model.tasks[uid], engine.tasks[uid]) for uid in model.tasks]
    return "\n".join(f"{what}: model {one}, engine {two}" for what, one, two in pairs if one != two)


def show(template: Data, orders: list[Order], outcome: Outcome) -> None:
    """Print an example as a template and a timeline."""
    note(f"template = {pformat(template, sort_dicts=False, width=98)}")
    note(f"orders = {orders}")
    for at, kind, uid, content in outcome.story:
        note(f"{at:>8} {kind:<16} {uid or '':<3} {content}")


@on_each_backend
@some
@given(case=cases())
def test_a_run_is_what_the_model_says(backend: str, case: tuple[Data, list[Order]]) -> None:
    """States, times, data, errors, joins and the order of all events."""
    template, orders = case
    observed = run(backend, perform, template, DATA, orders)
    show(template, orders, observed)
    assert difference(observed, template, orders) is None


@pytest.mark.skipif(not is_available("uvloop"), reason="uvloop is not installed")
@some
@given(case=cases())
def test_every_backend_tells_the_same_story(case: tuple[Data, list[Order]]) -> None:
    """Event by event, wherever it is determined which of them comes first."""
    template, orders = case
    (expected, *_) = runs(template, DATA, orders)
    assert isinstance(expected, Outcome)
    stories = {name: run(name, perform, template, DATA, orders) for name in BACKENDS}
    show(template, orders, stories["asyncio"])
    if not expected.choices:
        assert stories["asyncio"] == stories["uvloop"] == stories["trio"]
    for observed in stories.values():
        assert set(observed.tasks) == set(expected.tasks)
        assert observed.story[-1][1] in ("workflow-end", "workflow-error")


def flow(graph: dict[str, list[str]], tasks: Data, **fields: Any) -> Data:
    """Return a template in its dict form; `limit` in a behaviour is the time limit of the task."""
    described: list[Data] = []
    for uid in graph:
        config = dict(tasks.get(uid, {}))
        limit = config.pop("limit", None)
        name = "join" if "wait_for" in config else "actor"
        described.append({"id": uid, "name": name, "config": config, "timeout": limit})
    return {"id": "flow", "policy": "start-new", "tasks": described, "graph": graph} | fields


PAIR = {"a": ["b"], "b": []}
FORK = {"a": ["b", "c"], "b": [], "c": []}
SHIELDS: Data = {"seconds": 9, "shields": 4}
CLEANS: Data = {"seconds": 9, "cleans": 2, "limit": 2}

TIGHT: dict[str, tuple[Data, list[Order]]] = {
    "the run's limit passes during a teardown": (flow(PAIR, {"a": CLEANS}, timeout=3), []),
    "and nothing would follow it": (flow({"a": []}, {"a": CLEANS}, timeout=3), []),
    "the grace passes during a teardown": (flow(PAIR, {"a": CLEANS}), [(0.5, "stop", 2)]),
    "a cancellation comes after the run's limit": (
        flow(PAIR, {"a": SHIELDS}, timeout=3),
        [(4.5, "cancel", None)],
    ),
    "a suspension comes after the run's limit": (
        flow(PAIR, {"a": SHIELDS}, timeout=3),
        [(4.5, "suspend", None)],
    ),
    "the run's limit passes while one step is put off, another unwinds": (
        flow(FORK, {"b": {"seconds": 9}, "c": SHIELDS}, timeout=3),
        [(2.5, "suspend", None)],
    ),
    "a limit passes while a step unwinds from a suspension": (
        flow(PAIR, {"a": SHIELDS | {"limit": 2}}),
        [(1.5, "suspend", None), (9.5, "resume", None)],
    ),
    "a suspension comes while a step unwinds from its limit": (
        flow(PAIR, {"a": SHIELDS | {"limit": 1}}),
        [(2.5, "suspend", None), (9.5, "resume", None)],
    ),
    "a resume comes while a step unwinds": (
        flow(PAIR, {"a": SHIELDS}),
        [(0.5, "suspend", None), (2.5, "resume", None)],
    ),
    "a branch fails while all unwind": (
        flow(FORK, {"b": SHIELDS, "c": SHIELDS | {"when_cut": "error"}}, on_error="abort"),
        [(0.5, "cancel", None)],
    ),
}


@on_each_backend
@pytest.mark.parametrize(("template", "orders"), TIGHT.values(), ids=TIGHT)
def test_a_tight_case_is_what_the_model_says(
    backend: str, template: Data, orders: list[Order]
) -> None:
    """Two things that meet while a step takes its time to end: what came first counts."""
    observed = run(backend, perform, template, DATA, orders)
    assert difference(observed, template, orders) is None
