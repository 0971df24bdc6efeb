"""The benchmarks: every case runs, says what it asks, and is honest about what it could not do.

Nothing here looks at a time: how long something takes is not for a test to say.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import math
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks import cases, catalogue, environments, goals, plots, report, results, runner, worker
from benchmarks.__main__ import main, parser, selected
from benchmarks.contenders import peer_policies
from benchmarks.contenders.steps import WorkNotDone, verify
from benchmarks.machine import Machine
from benchmarks.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = environments.ROOT
TINY = cases.Effort(rounds=1, enough=0.0, peers=False, cap=3)


def in_this_process(job: cases.Job, enough: float) -> dict[str, Any]:
    """Measure a job here, which is enough where its time does not matter."""
    module = catalogue.CONTENDERS[job.contender].module
    return worker.measure(module, job.backend, job.work, job.size, enough)


def measured(name: str, plan: cases.Plan, measure: Callable[..., Any]) -> results.Answer:
    """Return the answer to a case that was measured in some way."""
    return results.answer(name, plan, runner.run(plan, TINY, measure, runner.Progress()))


def plan_of(name: str, *arguments: str) -> cases.Plan:
    """Return what a case measures at the least effort, for some arguments."""
    return selected(cases.CASES[name](TINY), parser().parse_args(arguments), TINY)


@pytest.mark.parametrize("name", cases.CASES)
def test_every_case_says_in_a_question_what_it_is_for(name: str) -> None:
    """A table without its question is misread."""
    asked, reading = cases.question(name)
    assert asked.endswith("?")
    assert not reading or reading.endswith(".")


@pytest.mark.parametrize("name", cases.CASES)
def test_every_case_runs_and_each_row_has_a_figure_or_says_why_not(name: str) -> None:
    """With tiny sizes; the contenders verify that the work was really done."""
    plan = plan_of(name)
    answer = json.loads(json.dumps(measured(name, plan, in_this_process)))
    assert len(answer["rows"]) == len(plan.jobs) > 0
    for row in answer["rows"]:
        if row["problem"]:
            assert row["problem"].startswith(("not available: ", "not installed: ")), row
            continue
        found = [row["value"]] if plan.unit else [row["figures"][name] for name in plan.figures]
        assert all(math.isfinite(figure["median"]) for figure in found), row
        assert row["versions"]["python"]
    assert report.section(answer).count("\n| ") == len(plan.jobs) + 2


def test_a_measure_in_a_process_of_its_own_gives_what_the_runner_needs() -> None:
    """The worker, the environment of the checkout, and the line of JSON between them."""
    processes = runner.Processes(environments.Environments())
    plan = plan_of("noop", "--backend", "asyncio")
    answer = measured("noop", plan, processes)
    assert [row["problem"] for row in answer["rows"]] == [None] * 3
    ours, by_hand, _ = answer["rows"]
    assert ours["ratios"].keys() == {catalogue.TO_LIMIT}
    assert by_hand["ratios"] == {}


def test_the_command_writes_what_it_found(tmp_path: Path) -> None:
    """From the command line to the file."""
    file = tmp_path / "found.json"
    words = ["--quick", "--rounds", "1", "--case", "report", "--backend", "asyncio"]
    command = [sys.executable, "-m", "benchmarks", *words, "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(file.read_text())
    assert found["machine"]["command"].startswith("python -m benchmarks --quick")
    assert found["answers"][0]["rows"][0]["value"]["median"] > 0
    assert "| tukio" in done.stdout
    assert "report" in done.stderr


@pytest.mark.parametrize("option", ["--case", "--against", "--backend"])
def test_an_unknown_name_is_refused_with_those_that_exist(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody wants to read the source for the name of a case."""
    with pytest.raises(SystemExit) as stop:
        main([option, "nonsense"])
    assert stop.value.code == 2
    words = capsys.readouterr().err
    known: dict[str, Any] = {
        "--case": cases.CASES,
        "--against": catalogue.CONTENDERS,
        "--backend": ["trio"],
    }
    assert "nonsense" in words
    assert all(name in words for name in known[option])


def test_all_cases_and_contenders_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With the questions, and without measuring anything."""
    assert main(["--list"]) == 0
    words = capsys.readouterr().out
    assert all(name in words for name in [*cases.CASES, *catalogue.CONTENDERS])


def test_a_restriction_keeps_what_ours_is_compared_with() -> None:
    """`--against` names a rival; ratios need this package and bare anyio beside it."""
    plan = plan_of("peers", "--against", "langgraph")
    assert {job.contender for job in plan.jobs} == {"tukio", "bare-anyio", "langgraph"}
    plan = plan_of("noop", "--backend", "trio")
    assert {job.backend for job in plan.jobs} == {"trio"}


def test_nothing_that_has_to_be_installed_is_measured_unless_asked_for() -> None:
    """`--quick` works offline."""
    for name in cases.CASES:
        assert not any(catalogue.CONTENDERS[job.contender].is_peer for job in plan_of(name).jobs)


@pytest.mark.parametrize("name", catalogue.CONTENDERS)
def test_every_contender_is_asked_something_and_has_a_module(name: str) -> None:
    """A contender that no case asks, or whose work is misspelt, would be dropped in silence."""
    contender = catalogue.find(name)
    folder = Path(environments.ROOT) / "benchmarks" / "contenders"
    assert (folder / f"{contender.module}.py").exists()
    jobs = [job for ask in cases.CASES.values() for job in ask(cases.FULL).jobs]
    mine = [job for job in jobs if job.contender == name]
    assert mine
    if not contender.is_peer:
        works = importlib.import_module(f"benchmarks.contenders.{contender.module}").WORKS
        assert {job.work for job in mine} <= works.keys()


def test_every_job_that_is_compared_with_another_has_it_measured_or_does_without() -> None:
    """Comparisons name other jobs; one that never exists would be an empty column."""
    for name, ask in cases.CASES.items():
        plan = ask(cases.FULL)
        for comparison in plan.comparisons:
            assert any(comparison.base(job) in plan.jobs for job in plan.jobs), (name, comparison)


@pytest.mark.parametrize("name", cases.PEERS)
def test_a_peer_has_the_work_it_is_asked_for(name: str) -> None:
    """And no other. Read from its source, since it cannot be imported here."""
    contender = catalogue.find(name)
    folder = Path(environments.ROOT) / "benchmarks" / "contenders"
    known = works_in((folder / f"{contender.module}.py").read_text(encoding="utf-8"))
    jobs = [job for ask in cases.CASES.values() for job in ask(cases.FULL).jobs]
    asked = {job.work for job in jobs if job.contender == name}
    assert asked == known


def works_in(source: str) -> set[str]:
    """Return the names in `WORKS`, and those that the shared helpers add to it."""
    found: set[str] = set()
    [works] = [
        statement.value
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and "WORKS" in ast.unparse(statement).partition("=")[0]
    ]
    assert works is not None
    for node in ast.walk(works):
        if isinstance(node, ast.Dict):
            found |= {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "peer_works":
            found |= {"noop", "pause"}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "maps":
            found |= {"map pause"} if node.keywords else {"map pause", "limited map pause"}
    return found


def test_no_work_of_a_contender_hides_another_of_the_same_name() -> None:
    """The case that asks for the hidden one would measure something else."""
    from benchmarks.contenders import bare_anyio, bare_policies, policies, tukio2

    merged = [(tukio2.works(), policies.WORKS), (bare_anyio.OF_GRAPHS.items(), bare_policies.WORKS)]
    for works, more in merged:
        assert dict(works).keys().isdisjoint(more)


@pytest.mark.parametrize("name", [n for n, c in catalogue.CONTENDERS.items() if c.most])
def test_who_writes_to_a_database_has_no_more_workflows_at_once_than_it_takes(name: str) -> None:
    """Items and waiting workflows have limits of their own."""
    most = catalogue.find(name).most
    assert most is not None
    for case in ("peers", "peers-policies", "peers-children"):
        sizes = {job.size for job in cases.CASES[case](cases.FULL).jobs if job.contender == name}
        assert sizes
        assert max(sizes) == most


# What peers share --------------------------------------------------------------------------------


def measured_peer(work: Any, size: int = 3) -> dict[str, float]:
    """Return the figures of a work of a made-up peer."""
    meter = Meter(0.0)
    asyncio.run(work(meter, size))
    return meter.figures


def test_a_peer_that_leaves_out_an_item_is_not_measured() -> None:
    """The results are compared, one by one and in order."""

    def make(of: slice) -> Any:
        def made(wait: Any, at_once: int | None) -> Any:
            async def run_items(items: list[dict[str, int]]) -> Any:
                await wait()
                assert at_once in {None, peer_policies.AT_ONCE}
                return [{"value": item["value"] + 1} for item in items][of]

            return run_items

        return made

    for work in peer_policies.maps(make(slice(None))).values():
        measured_peer(work)
    for of in (slice(1, None), slice(None, None, -1), slice(0, 0)):
        with pytest.raises(WorkNotDone):
            measured_peer(peer_policies.maps(make(of))["map pause"])


def test_a_peer_without_limits_is_not_asked_for_a_limited_map() -> None:
    """A map that ignores its limit would be measured as one that keeps it."""
    words = peer_policies.maps(lambda *_: pytest.fail("not run"), limits=False)
    assert words.keys() == {"map pause"}


def test_what_waits_for_its_next_attempt_is_weighed_and_ended() -> None:
    """Each has failed once, and nothing of it is left in the loop."""
    loops: list[asyncio.Task[None]] = []

    def make(failing: peer_policies.Failing) -> Any:
        async def tried() -> None:
            with suppress(ConnectionError):
                failing.fail()
            await asyncio.sleep(1_000)

        def start() -> None:
            loops.append(asyncio.create_task(tried()))

        return start

    figures = measured_peer(peer_policies.waiting(make))
    assert figures.keys() == {"KiB each", "tasks of the loop each"}
    assert figures["tasks of the loop each"] == 1.0
    assert all(task.cancelled() for task in loops)


def test_a_peer_that_tries_again_at_once_is_not_weighed() -> None:
    """It does not wait."""

    def make(failing: peer_policies.Failing) -> Any:
        async def tried() -> None:
            for _ in range(2):
                with suppress(ConnectionError):
                    failing.fail()
            await asyncio.sleep(1_000)

        return lambda: asyncio.create_task(tried())

    with pytest.raises(WorkNotDone):
        measured_peer(peer_policies.waiting(make))


# What cannot be measured -------------------------------------------------------------------------


def test_a_contender_that_cannot_be_installed_is_reported_with_the_reason() -> None:
    """It stays in the table: nobody is dropped in silence."""
    missing = catalogue.Environment("none", ("tukio==0",), python="1.0")
    with pytest.raises(
        environments.CannotInstall, match=r"no Python 1\.0 was found - .*--python10"
    ):
        environments.Environments().command(missing)

    def refuse(job: cases.Job, _: float) -> dict[str, Any]:
        return {"problem": "not installed: no Python 1.0"} if job.contender != "tukio" else {}

    plan = cases.Plan((cases.Job("dbos", "asyncio", "noop", 1),), "µs", "workflows at once")
    text = report.section(measured("peers", plan, refuse))
    assert "| dbos " in text
    assert "dbos on asyncio (noop, 1): not installed: no Python 1.0" in text


def test_a_contender_that_fails_is_reported_with_its_error() -> None:
    """And the others are measured all the same."""
    assert worker.measure("tukio2", "asyncio", "no such work", 1)["problem"] == (
        "failed: KeyError: 'no such work'"
    )
    assert worker.measure("no_such_module", "asyncio", "noop", 1)["problem"].startswith(
        "not installed: No module named"
    )


def test_a_process_that_dies_or_never_ends_is_reported() -> None:
    """Peers do not always fail politely."""
    died: subprocess.CompletedProcess[str] = subprocess.CompletedProcess([], -9, "", "")
    assert runner.outcome_of(died) == {"problem": "failed: the process ended with -9 and no result"}
    slow = runner.Processes(environments.Environments(), longest=0.01)
    outcome = slow(cases.Job("tukio", "asyncio", "noop", 1), 0.0)
    assert outcome == {"problem": "not over after 0.01 s"}


def test_work_that_was_not_done_is_not_a_measure() -> None:
    """1.1.2 fails in silence on newer Pythons, and would be very fast there."""
    verify(done=True, what="fine")
    with pytest.raises(WorkNotDone, match="nothing ran"):
        verify(done=False, what="nothing ran")


def test_a_contender_is_looked_for_where_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the benchmarks may have another one on the path."""
    other = tmp_path / "tukio"
    other.mkdir()
    (other / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert environments.installed(Path(sys.executable)) != other


def test_mending_refuses_a_copy_that_is_not_as_expected(tmp_path: Path) -> None:
    """Half a mend would measure something else."""
    factory = tmp_path / "task" / "factory.py"
    factory.parent.mkdir()
    factory.write_text("queue = asyncio.Queue(loop=self._loop)\ndef tukio_factory(loop, coro):\n")
    environments.mend(tmp_path)
    assert factory.read_text() == "queue = asyncio.Queue()\ndef tukio_factory(loop, coro, **_):\n"
    with pytest.raises(environments.CannotInstall, match="has not exactly one"):
        environments.mend(tmp_path)


# Figures -----------------------------------------------------------------------------------------


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which the machine was busy slows both; dividing medians would mix rounds."""
    found = results.ratio({0: 1.0, 1: 30.0, 2: 6.0}, {0: 2.0, 1: 30.0, 3: 1.0})
    assert found == {"median": 0.75, "low": 0.5, "high": 1.0, "rounds": 2}
    assert results.ratio({0: 1.0}, {1: 1.0}) is None


def test_time_on_the_wall_is_compared_with_time_on_the_wall() -> None:
    """On a busy machine it is not the time of the processor; for all others that is what counts."""

    def note(job: cases.Job, _: float) -> dict[str, Any]:
        return {"cpu_us": 1.0, "wall_us": 4.0, "figures": {}, "versions": {}}

    plan = plan_of("peers", "--against", "langgraph", "--against", "dbos")
    answer = measured("peers", plan, note)
    ratios = {row["contender"]: row["ratios"].get(catalogue.TO_OURS) for row in answer["rows"]}
    assert {name for name, found in ratios.items() if found and found["median"] == 1.0} == {
        "bare-anyio",
        "langgraph",
        "dbos",
    }


def test_rounds_are_interleaved_and_each_begins_somewhere_else() -> None:
    """What disturbs one contender must be as likely to disturb another."""
    jobs = tuple(cases.Job(name, "asyncio", "noop", 1) for name in ("tukio", "bare-anyio", "dbos"))
    order: list[str] = []

    def note(job: cases.Job, _: float) -> dict[str, Any]:
        order.append(job.contender)
        return {"cpu_us": 1.0, "wall_us": 2.0, "figures": {}, "versions": {}}

    effort = cases.Effort(rounds=3, enough=0.0, peers=True)
    found = runner.run(cases.Plan(jobs, "µs", "n"), effort, note, runner.Progress())
    a, b, c = (job.contender for job in jobs)
    assert order == [a, b, c, b, c, a, c, a, b]
    # dbos waits for a disk: what counts is the clock on the wall.
    assert [measured.values[0] for measured in found] == [1.0, 1.0, 2.0]


def test_a_quick_run_that_is_late_ends_after_the_round() -> None:
    """`--quick` promises to be quick on a slow machine, too."""
    effort = cases.Effort(rounds=9, enough=0.0, peers=True, seconds=0.0)
    plan = cases.Plan((cases.Job("tukio", "asyncio", "noop", 1),), "µs", "n")
    [found] = runner.run(plan, effort, in_this_process, runner.Progress())
    assert len(found.values) == 1


# Goals -------------------------------------------------------------------------------------------


def answer_with(case: str, backend: str, **ratios: float) -> results.Answer:
    """Return a made-up answer with the ratio of this package to bare anyio, if one is given."""
    found = {
        title: {"median": value, "low": value, "high": value, "rounds": 1}
        for title, value in ratios.items()
    }
    row: Any = {
        "contender": "tukio",
        "backend": backend,
        "work": case,
        "size": goals.SIZE,
        "value": None,
        "ratios": {catalogue.TO_LIMIT: found["anyio"]} if found else {},
        "figures": {},
        "versions": {},
        "problem": None,
    }
    return {
        "case": case,
        "question": "?",
        "reading": "",
        "unit": "µs",
        "counts": "n",
        "comparisons": [],
        "figures": [],
        "rows": [row],
    }


GOAL = goals.Goal("noop", "asyncio", catalogue.TO_LIMIT, 0.2)


@pytest.mark.parametrize(
    ("ratio", "word", "failed"),
    [
        (0.20, "met", False),
        (0.21, "missed", False),
        (0.30, "missed", False),
        (0.31, "missed, clearly", True),
    ],
)
def test_a_check_fails_only_when_a_ratio_is_clearly_above_its_goal(
    ratio: float, word: str, *, failed: bool
) -> None:
    """Half as much again: less than that may be the noise of the machine."""
    [verdict] = goals.judge([answer_with("noop", "asyncio", anyio=ratio)], [GOAL])
    assert (verdict.word, verdict.failed) == (word, failed)


def test_a_check_fails_when_there_was_nothing_to_check() -> None:
    """A check that passes because a contender did not run checks nothing."""
    [verdict] = goals.judge([answer_with("noop", "asyncio")], [GOAL])
    assert verdict.failed
    assert verdict.word.startswith("not measured: ")
    assert goals.judge([answer_with("pause", "asyncio", anyio=0.1)], [GOAL]) == []


def test_a_check_names_the_row_that_fails_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status alone sends people to the log."""
    from benchmarks.__main__ import check

    fine = answer_with("noop", "asyncio", anyio=0.1)
    assert check([fine]) == 0
    assert check([fine, answer_with("pause", "trio", anyio=2.0)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "pause on trio / bare anyio: 2.00, goal 0.64: missed, clearly"
    assert check([]) == 1


def test_a_check_measures_again_what_was_clearly_missed() -> None:
    """A machine that was busy for a moment must not keep a change from going in."""
    from benchmarks.__main__ import ask_again, check

    options = parser().parse_args(["--check", "--case", "noop", "--backend", "trio"])
    asked: list[cases.Job] = []

    def answer_in(ratio: float, job: cases.Job) -> dict[str, Any]:
        asked.append(job)
        cost = ratio if job.contender == catalogue.OURS else 1.0
        return {"cpu_us": cost, "wall_us": cost, "figures": {}, "versions": {}}

    missed = answer_with("noop", "trio", anyio=2.0)
    effort = cases.Effort(rounds=1, enough=0.0, peers=False)
    found = ask_again([missed], options, effort, lambda job, _: answer_in(0.1, job))
    assert {(job.work, job.backend, job.contender) for job in asked} == {
        ("noop", "trio", catalogue.OURS),
        ("noop", "trio", catalogue.LIMIT),
    }
    assert check(found) == 0
    found = ask_again([missed], options, effort, lambda job, _: answer_in(3.0, job))
    assert check(found) == 1
    asked.clear()
    assert ask_again(found[:0], options, effort, lambda job, _: answer_in(0.1, job)) == []
    assert asked == []


# RESULTS.md --------------------------------------------------------------------------------------


def test_the_document_says_where_when_and_how_and_shows_every_case() -> None:
    """A figure without its machine is worth little."""
    answers = [measured("noop", plan_of("noop", "--backend", "asyncio"), in_this_process)]
    machine = Machine.now(["--quick", "--write", "--json", str(ROOT / "found.json")])
    text = report.document(answers, machine, [("A plot", "cost.svg")])
    for words in (machine.command, machine.date, machine.python, "![A plot](cost.svg)", "## noop"):
        assert words in text
    assert "--json found.json" in text
    assert str(ROOT) not in text
    assert str(Path.home()) not in text


def added(text: str, case: str, *names: str, version: str = "1.0") -> str:
    """Return a document to which a made-up run of a case was added."""

    def made_up(_job: cases.Job, _: float) -> dict[str, Any]:
        versions = {"python": version}
        return {"cpu_us": 1.0, "wall_us": 1.0, "figures": {}, "versions": versions}

    jobs = tuple(cases.Job(name, "asyncio", case, 1) for name in names)
    answer = measured(case, cases.Plan(jobs, "µs", "n"), made_up)
    return report.with_sections(text, [answer], Machine.now(["--add", "--case", case]))


def test_a_case_that_is_measured_later_comes_into_its_place() -> None:
    """All else stays as it was, and the later one says of which run it is."""
    start = report.document([], Machine.now(["--write"]), []).replace("| --- | --- | --- |", HEAD)
    with_maps = added(start, "maps", "tukio")
    with_both = added(with_maps, "chain", "tukio", "dbos")
    assert with_maps.startswith(start.rstrip())
    assert re.findall(r"^## (.*)$", with_both, re.MULTILINE) == ["chain", "maps"]
    command = "In a run of its own: `python -m benchmarks --add --case maps`, "
    assert f"## maps\n\n{command}" in with_both
    assert with_both.count("\n| dbos | durable workflows, here on SQLite | python 1.0 |\n") == 1
    assert with_both.endswith(with_maps[with_maps.index("## maps") :])
    assert added(with_both, "chain", "tukio", "dbos") == with_both


HEAD = "| --- | --- | --- |\n| tukio | this package | python 1.0 |"


def test_figures_of_another_version_are_not_put_beside_those_of_the_first() -> None:
    """The table of versions is that of all cases."""
    start = report.document([], Machine.now(["--write"]), []).replace("| --- | --- | --- |", HEAD)
    with pytest.raises(report.OtherVersions, match=r"python 1\.0 .* python 2\.0"):
        added(start, "maps", "tukio", version="2.0")


def test_a_contender_that_could_not_be_measured_later_keeps_its_versions() -> None:
    """They are of the cases in which it was."""
    start = report.document([], Machine.now(["--write"]), []).replace("| --- | --- | --- |", HEAD)
    plan = cases.Plan((cases.Job("tukio", "asyncio", "maps", 1),), "µs", "n")
    answer = measured("maps", plan, lambda *_: {"problem": "not installed"})
    text = report.with_sections(start, [answer], Machine.now(["--add"]))
    assert HEAD in text
    assert "not installed" in text


@pytest.mark.parametrize("words", [[], ["--case", "noop"], ["--case", "maps", "--case", "peers"]])
def test_what_goals_and_plots_are_made_of_is_not_added_alone(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """They would show another run than the table beside them."""
    with pytest.raises(SystemExit):
        main(["--add", *words])
    assert (
        "--add takes only cases of --case other than noop, pause, peers" in capsys.readouterr().err
    )


def test_plots_are_drawn_from_what_was_measured() -> None:
    """And left out where there is nothing to draw."""
    from xml.etree import ElementTree as ET

    def made_up(job: cases.Job, _: float) -> dict[str, Any]:
        cost = 10.0 * (1 + len(job.contender)) * max(job.size, 1) ** 0.1
        return {"cpu_us": cost, "wall_us": cost, "figures": {}, "versions": {}}

    full = cases.Effort(rounds=1, enough=0.0, peers=True, thorough=True)
    progress = runner.Progress()
    plans = {name: cases.CASES[name](full) for name in ("noop", "pause", "peers")}
    answers = [
        results.answer(name, plan, runner.run(plan, full, made_up, progress))
        for name, plan in plans.items()
    ]
    drawn = plots.draw(answers)
    assert [plot.name for plot in drawn] == ["cost.svg", "peers.svg"]
    for plot in drawn:
        ET.fromstring(plot.svg)  # noqa: S314 - our own drawing
        assert "bare-anyio" in plot.svg
    assert drawn[0].svg.count("<polyline") == 10
    assert plots.draw([measured("noop", plan_of("noop"), in_this_process)]) == []
