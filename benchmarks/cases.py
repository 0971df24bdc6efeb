"""The questions: one function each, whose docstring is the question and how to read the answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace

from .catalogue import BEFORE, CONTENDERS, LIMIT, OURS, TO_BEFORE, TO_LIMIT, TO_OURS


@dataclass(frozen=True)
class Job:
    """One measure: who does what, on which backend, how many at once."""

    contender: str
    backend: str
    work: str
    size: int

    def __str__(self) -> str:
        return f"{self.contender}/{self.backend}, {self.work}, {self.size:,}"


@dataclass(frozen=True)
class Comparison:
    """A column of ratios.

    Attributes:
        title: Its head.
        base: The job that a job is compared with, by the job.
    """

    title: str
    base: Callable[[Job], Job]


@dataclass(frozen=True)
class Plan:
    """How a question is answered.

    Attributes:
        jobs: What is measured, each round in this order, started at another place each time.
        unit: Unit of the main figure; None if only other figures are measured.
        counts: What the size is the number of.
        comparisons: The columns of ratios.
        figures: Other figures to show.
        rounds: The most rounds it is worth; None for no such limit.
    """

    jobs: tuple[Job, ...]
    unit: str | None
    counts: str
    comparisons: tuple[Comparison, ...] = ()
    figures: tuple[str, ...] = ()
    rounds: int | None = None


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: How often each measure is taken.
        enough: Seconds that one measure takes, at least.
        peers: Whether those are measured that have to be installed.
        cap: The largest size; None for no limit.
        thorough: Whether small and large sizes are measured, beside the usual ones.
        seconds: After so long no case begins another round; None for no such limit.
    """

    rounds: int
    enough: float
    peers: bool
    cap: int | None = None
    thorough: bool = False
    seconds: float | None = None

    def sizes(self, usual: int, *others: int) -> tuple[int, ...]:
        """Return the sizes to measure, in order, each once."""
        sizes = {usual, *others} if self.thorough else {usual}
        return tuple(sorted({min(size, self.cap or size) for size in sizes}))


FULL = Effort(rounds=5, enough=0.6, peers=True, thorough=True)
QUICK = Effort(rounds=3, enough=0.3, peers=False, cap=10_000, seconds=50)

Ask = Callable[[Effort], Plan]
CASES: dict[str, Ask] = {}

BARE = (LIMIT, "bare-asyncio", "bare-trio")
ALL_TUKIO = (OURS, "tukio-1.1.2", BEFORE)
PEERS = ("pydantic-graph", "langgraph", "llama-index-workflows", "dbos", "prefect")

BY_LIMIT = Comparison(TO_LIMIT, lambda job: replace(job, contender=LIMIT))
BY_OURS = Comparison(TO_OURS, lambda job: replace(job, contender=OURS))
BY_BEFORE = Comparison(TO_BEFORE, lambda job: replace(job, contender=BEFORE))


def case(function: Ask) -> Ask:
    """Add a question, under the name of its function with hyphens."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


def question(name: str) -> tuple[str, str]:
    """Return what a case asks, and how to read the answer (may be empty)."""
    text = inspect.getdoc(CASES[name]) or ""
    asked, _, reading = text.partition("\n\n")
    return asked, " ".join(reading.split())


def jobs(contenders: tuple[str, ...], works: tuple[str, ...], sizes: tuple[int, ...]) -> list[Job]:
    """Return a job for each contender on each of its backends; those to compare are neighbours."""
    return [
        Job(name, backend, work, size)
        for work in works
        for size in sizes
        for backend in ("asyncio", "uvloop", "trio")
        for name in contenders
        if backend in CONTENDERS[name].backends
    ]


def against_limits(work: str, sizes: tuple[int, ...], unit: str, counts: str) -> Plan:
    """Return a plan that compares this package with what could be done by hand."""
    found = tuple(jobs((OURS, *BARE), (work,), sizes))
    return Plan(found, f"µs per {unit}", counts, (BY_LIMIT,))


def readme(work: str, effort: Effort) -> Plan:
    """Return the plan for the DAG of the README."""
    sizes = effort.sizes(1_000, 1, 100, 10_000)
    found = tuple(jobs((*ALL_TUKIO, *BARE), (work,), sizes))
    return Plan(found, "µs per workflow", "workflows at once", (BY_LIMIT, BY_BEFORE))


@case
def noop(effort: Effort) -> Plan:
    """What does a workflow of six tasks cost when no step ever suspends?

    The DAG of the README. Above all else this shows the cost of starting tasks: a step that never
    suspends needs none here, and one everywhere else.
    """
    return readme("noop", effort)


@case
def pause(effort: Effort) -> Plan:
    """What does a workflow of six tasks cost when each step suspends once?

    The same DAG. Real steps wait for something, so this is nearer to them than `noop`.
    """
    return readme("pause", effort)


@case
def peers(effort: Effort) -> Plan:
    """What does the same workflow cost elsewhere?

    The DAG of the README, written the way each project teaches it. They do not all offer the same:
    dbos writes every step to a database, and is measured up to 100 for the time that takes. prefect
    tells its server of every state, which refuses some of 100 flows at once; one is measured.
    """
    return among_peers(dict.fromkeys(("noop", "pause"), PEERS), effort.sizes(100, 1, 1_000))


@case
def peers_policies(effort: Effort) -> Plan:
    """What do a retry and a watch over signs of life cost elsewhere that are never needed?

    The DAG of the README, no step of which suspends. pydantic-graph has no retries. A limit to the
    silence of a step is langgraph's alone, as `idle_timeout`. dbos keeps what each step comes to in
    a database, and prefect the states of each task and flow; their time is that on the wall, and so
    is what it is compared with.
    """
    retry = ("langgraph", "llama-index-workflows", "dbos", "prefect")
    who = {"retry noop": retry, "signs noop": ("langgraph",), "noop": retry}
    plan = among_peers(who, effort.sizes(100, 1))
    without = Comparison("/ without", lambda job: replace(job, work=job.work.rpartition(" ")[2]))
    return replace(plan, comparisons=(without, *plan.comparisons))


@case
def peers_maps(effort: Effort) -> Plan:
    """What does an item of a mapped task cost elsewhere, when each suspends once?

    With `limited`, 50 items are at work at once; pydantic-graph has no such limit. It and
    llama-index-workflows give the results as they come, so there the items carry their places, and
    are sorted. An item is a step, but in dbos with `limited`: there it is a workflow in a queue.
    prefect runs items in threads. The time of these two is that on the wall, and so is what it is
    compared with.
    """
    limited = tuple(name for name in PEERS if name != "pydantic-graph")
    who = {"map pause": PEERS, "limited map pause": limited}
    plan = among_peers(who, effort.sizes(100), durable=100)
    return replace(plan, unit="µs per item", counts="items")


@case
def peers_back_off(effort: Effort) -> Plan:
    """What does a workflow take elsewhere whose step has failed, and waits for its next attempt?

    The resident memory that came with them, shared out, and the tasks of the event loop. In dbos
    the step waits in its process; what is on the disk is not counted. pydantic-graph has no
    retries, and prefect cannot have as many flows at once.
    """
    who = ("langgraph", "llama-index-workflows", "dbos")
    plan = among_peers({"back-off": who}, effort.sizes(2_000), durable=2_000)
    return replace(plan, unit=None, comparisons=(), figures=("KiB each", "tasks of the loop each"))


@case
def peers_children(effort: Effort) -> Plan:
    """What does a task cost elsewhere that is a workflow of one task, beside that task itself?

    A chain of three, none of which suspends. In langgraph a graph takes the place of a node. In
    pydantic-graph and llama-index-workflows the step in the middle awaits a run of its own, which
    they do not know for a child. In dbos and prefect a child is kept as its parent is, with an id.
    Their time is that on the wall, and so is what it is compared with.
    """
    plan = among_peers(dict.fromkeys(("child", "no child"), PEERS), effort.sizes(100, 1))
    without = Comparison("/ without", lambda job: replace(job, work="no child"))
    return replace(plan, comparisons=(without, *plan.comparisons))


def among_peers(
    who: dict[str, tuple[str, ...]], sizes: tuple[int, ...], durable: int | None = None
) -> Plan:
    """Return a plan that compares peers with this package and with work by hand, on asyncio.

    Args:
        who: Work -> the peers that can do it.
        sizes: How many at once.
        durable: The most at once for those that write all to a database; None is what the
            catalogue says, which is about workflows.
    """

    def is_wanted(job: Job) -> bool:
        most = CONTENDERS[job.contender].most
        return job.backend == "asyncio" and (most is None or job.size <= (durable or most))

    found = [
        job for work, names in who.items() for job in jobs((OURS, LIMIT, *names), (work,), sizes)
    ]
    wanted = tuple(filter(is_wanted, found))
    return Plan(wanted, "µs per workflow", "workflows at once", (BY_OURS, BY_LIMIT), rounds=3)


@case
def chain(effort: Effort) -> Plan:
    """What does a task cost in a chain of 1,000, when no step suspends?"""
    return against_limits("chain noop", effort.sizes(1_000), "task", "tasks")


@case
def chain_pause(effort: Effort) -> Plan:
    """What does a task cost in a chain of 1,000, when each step suspends once?"""
    return against_limits("chain pause", effort.sizes(1_000), "task", "tasks")


@case
def fan_out(effort: Effort) -> Plan:
    """Does the cost of a task stay the same from 10 to 10,000 side by side, then joined?

    The last column is the cost of a task over that among 100; 1.3 or less is linear enough. The
    garbage collector, which looks at more objects the more there are, is in it.
    """
    return _fan_out("fan-out noop", effort)


@case
def fan_out_pause(effort: Effort) -> Plan:
    """Does it stay the same when all those tasks are suspended at once?

    Read it as `fan-out`. Here every task needs a task of the backend, by hand and in the engine.
    """
    return _fan_out("fan-out pause", effort)


def _fan_out(work: str, effort: Effort) -> Plan:
    plan = against_limits(work, effort.sizes(100, 10, 1_000, 10_000), "task", "tasks")
    usual = min(100, effort.cap or 100)
    linear = Comparison("/ that of 100", lambda job: replace(job, size=usual))
    return replace(plan, comparisons=(*plan.comparisons, linear))


@case
def limits(effort: Effort) -> Plan:
    """What do time limits cost that never fire: one on every task, and one on the workflow?

    By hand they are scopes: `anyio.move_on_after`, `asyncio.timeout`, `trio.move_on_after`.
    """
    works = tuple(f"{prefix}{kind}" for kind in ("noop", "pause") for prefix in ("limits ", ""))
    found = tuple(jobs((OURS, *BARE), works, effort.sizes(1_000)))
    without = Comparison(
        "/ without limits", lambda job: replace(job, work=job.work.removeprefix("limits "))
    )
    return Plan(found, "µs per workflow", "workflows at once", (BY_LIMIT, without))


@case
def policies(effort: Effort) -> Plan:
    """What does a policy on every task cost that is never needed: `retry`, or signs of life?

    The DAG of the README. `retry` is looked at when a task fails; `signs` sets an alarm for each
    task, which looks for a sign of life. By hand they are a loop with a `try`, and a scope whose
    deadline a sign would move.
    """
    words = ("retry ", "signs ", "")
    works = tuple(f"{word}{kind}" for kind in ("noop", "pause") for word in words)
    found = tuple(jobs((OURS, LIMIT), works, effort.sizes(1_000)))
    without = Comparison("/ without", lambda job: replace(job, work=job.work.rpartition(" ")[2]))
    return Plan(found, "µs per workflow", "workflows at once", (without, BY_LIMIT))


@case
def typed(effort: Effort) -> Plan:
    """What does a task cost that takes and returns a dataclass, beside one that takes the event?

    A chain of 1,000 tasks, written in code, none of which suspends.
    """
    found = tuple(jobs((OURS,), ("typed chain", "untyped chain"), effort.sizes(1_000)))
    without = Comparison("/ untyped", lambda job: replace(job, work="untyped chain"))
    return Plan(found, "µs per task", "tasks", (without,))


@case
def maps(effort: Effort) -> Plan:
    """What does an item of a mapped task cost, beside a task of a fan-out of the same size?

    The goal is 1.3 or less, and the same for each of 10,000 items as for each of 100. With
    `limited`, 50 items are at work at once. `branches` is that fan-out, without a task that joins
    it. By hand an item is a child task of one task group, that a semaphore lets in.
    """
    words = ("map ", "limited map ", "branches ")
    works = tuple(f"{word}{kind}" for kind in ("noop", "pause") for word in words)
    found = tuple(jobs((OURS, LIMIT), works, effort.sizes(100, 10_000)))
    beside = Comparison(
        "/ fan-out", lambda job: replace(job, work=f"branches {job.work.rpartition(' ')[2]}")
    )
    return Plan(found, "µs per item", "items", (beside, BY_LIMIT))


@case
def back_off(effort: Effort) -> Plan:
    """What does a workflow take whose task has failed, and waits for its next attempt?

    By hand it is a loop that sleeps: a task of the event loop each, and a timer. The goal is no
    task of the loop, and 6 KiB or less.
    """
    found = tuple(jobs((OURS, LIMIT), ("back-off",), effort.sizes(2_000)))
    figures = ("KiB each", "tasks of the loop each")
    return Plan(found, None, "workflows at once", figures=figures, rounds=3)


@case
def children(effort: Effort) -> Plan:
    """What does a task cost that is a workflow of one task, beside that task itself?

    Between two others; none of them suspends. A child is a run of its own: it has a start, an end,
    a driver, and events if anybody listens. By hand it is a task group in a task group.
    """
    found = tuple(jobs((OURS, LIMIT), ("child", "no child"), effort.sizes(1_000)))
    without = Comparison("/ without", lambda job: replace(job, work="no child"))
    return Plan(found, "µs per workflow", "workflows at once", (without, BY_LIMIT))


@case
def broker(effort: Effort) -> Plan:
    """What does it cost to hand one of 10,000 events to one of 100 subscribers of a topic?

    By hand it is a call, or an `await`, of each subscriber in turn.
    """
    contenders = (OURS, *BARE, BEFORE)
    found = tuple(jobs(contenders, ("dispatch sync", "dispatch async"), effort.sizes(100)))
    return Plan(found, "µs per handler call", "subscribers", (BY_LIMIT, BY_BEFORE), rounds=3)


@case
def listeners(effort: Effort) -> Plan:
    """What do those who listen to execution events cost the workflows?

    Without listeners the events are not even made.
    """
    works = tuple(f"listeners {count}" for count in (0, 1, 10))
    found = tuple(jobs((OURS, BEFORE), works, effort.sizes(1_000)))
    without = Comparison("/ without", lambda job: replace(job, work="listeners 0"))
    return Plan(found, "µs per workflow", "workflows at once", (without, BY_BEFORE))


@case
def report(effort: Effort) -> Plan:
    """What does the report of a run of 1,000 tasks cost?"""
    found = tuple(jobs((OURS, BEFORE), ("report",), effort.sizes(1_000)))
    return Plan(found, "µs per task", "tasks", (BY_BEFORE,))


@case
def rescue(effort: Effort) -> Plan:
    """What does it cost to take up a run of 1,000 tasks from its report, and finish it?

    All but the last task of a chain had finished when the report was made.
    """
    found = tuple(jobs((OURS, BEFORE), ("rescue",), effort.sizes(1_000)))
    return Plan(found, "µs per task", "tasks", (BY_BEFORE,))


@case
def memory(effort: Effort) -> Plan:
    """How much memory does a workflow in flight take?

    The DAG of the README with two branches parked, 10,000 times: the resident memory that came
    with them, shared out. The goal is 13 KiB or less on asyncio and uvloop, 16 on trio.
    """
    found = tuple(jobs((OURS, *BARE, BEFORE), ("memory",), effort.sizes(10_000)))
    return Plan(found, None, "workflows at once", figures=("KiB each",), rounds=3)


@case
def scale(effort: Effort) -> Plan:
    """How does one loop take 100,000 workflows in one burst, and how does it let go of them?

    One task sends all the data without a pause, the workflows park two branches each, and all are
    cancelled at once. A heartbeat on the same loop tells its longest stall. A full round of the
    garbage collector, which looks at all that is alive, is a stall of its own: the longest one is
    given with it and without it. Then the same where the program has told it to do no full rounds,
    by `gc.set_threshold(700, 10, 1_000_000_000)`. By hand, others have a turn after every 32nd
    workflow that is started, as they have here.
    """
    works = ("scale", "scale, no full rounds")
    found = tuple(jobs((OURS, LIMIT), works, effort.sizes(100_000)))
    return Plan(found, None, "workflows at once", figures=SCALE_FIGURES, rounds=1)


SCALE_FIGURES = (
    "s to send",
    "s until all wait",
    "longest stall starting, s",
    "the same without the collector, starting, s",
    "KiB each",
    "s to cancel all",
    "longest stall cancelling, s",
    "the same without the collector, cancelling, s",
)
