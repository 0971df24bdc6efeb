"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import plots
from .cases import CASES, FULL, QUICK, Effort, Job, Plan, question
from .catalogue import BACKENDS, CONTENDERS, LIMIT, OURS
from .environments import Environments
from .goals import TO_LIMIT_GOALS, judge
from .machine import Machine
from .report import document, section, with_sections
from .results import Answer, answer
from .runner import Processes, Progress, run

if TYPE_CHECKING:
    from .goals import Verdict
    from .runner import Measure

HERE = Path(__file__).resolve().parent

QUICK_CASES = ("noop", "pause", "chain")
CHECKED_CASES = ("noop", "pause")

WHOLE = frozenset({"noop", "pause", "peers"})
"""The cases that goals and plots are made of: those are written all at once."""

RETRIES = 3
"""How often `--check` measures again what was clearly missed, before it fails."""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    found = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = found.add_argument
    add(
        "--list", action="store_true", help="list the cases and the contenders, and measure nothing"
    )
    add("--quick", action="store_true", help="less than a minute: this package, and work by hand")
    add("--check", action="store_true", help="exit 1 if a ratio is clearly above its goal; quick")
    add("--case", action="append", choices=CASES, help="only this one; repeatable")
    add(
        "--against",
        action="append",
        choices=CONTENDERS,
        metavar="CONTENDER",
        help="only this one, beside this package and bare anyio; repeatable; see --list",
    )
    add("--backend", action="append", choices=BACKENDS, help="only this one; repeatable")
    add("--rounds", type=int, metavar="N", help="how often each measure is taken")
    add("--json", type=Path, metavar="FILE", help="write everything that was found there")
    add("--write", action="store_true", help="write benchmarks/RESULTS.md and its plots")
    add(
        "--add",
        action="store_true",
        help="put the cases of --case into benchmarks/RESULTS.md, beside those of earlier runs",
    )
    add("--environments", type=Path, metavar="DIR", help="where to install other contenders")
    add("--python39", metavar="PATH", help="a Python 3.9, for tukio 1.1.2 as published")
    return found


def selected(plan: Plan, options: argparse.Namespace, effort: Effort) -> Plan:
    """Return a plan without the jobs that were not asked for."""

    def wanted(job: Job) -> bool:
        if options.backend and job.backend not in options.backend:
            return False
        if options.check:
            return job.contender in {OURS, LIMIT}
        if options.against:
            return job.contender in {OURS, LIMIT, *options.against}
        return effort.peers or not CONTENDERS[job.contender].is_peer

    return replace(plan, jobs=tuple(filter(wanted, plan.jobs)))


def ask(options: argparse.Namespace, effort: Effort, measure: Measure) -> list[Answer]:
    """Measure the cases that were asked for; print each answer as soon as it is known."""
    quick = QUICK_CASES if not options.check else CHECKED_CASES
    names = options.case or (tuple(CASES) if effort.thorough else quick)
    progress = Progress()
    answers: list[Answer] = []
    for name in dict.fromkeys(names):
        plan = selected(CASES[name](effort), options, effort)
        if not plan.jobs:
            continue
        progress.case(name)
        found = answer(name, plan, run(plan, effort, measure, progress))
        progress.clear()
        print(section(found), end="\n\n", flush=True)
        answers.append(found)
    progress.end()
    return answers


def verdicts_on(answers: list[Answer]) -> list[Verdict]:
    """Return a verdict for each goal of which the case was asked, on that backend."""
    asked = {(answer["case"], row["backend"]) for answer in answers for row in answer["rows"]}
    return [
        verdict
        for verdict in judge(answers, TO_LIMIT_GOALS)
        if (verdict.goal.case, verdict.goal.backend) in asked
    ]


def ask_again(
    answers: list[Answer], options: argparse.Namespace, effort: Effort, measure: Measure
) -> list[Answer]:
    """Measure once more what was clearly missed, and return all answers, the later ones last.

    A machine may have had something else to do: what counts is what was found last.
    """
    doubtful = [verdict.goal for verdict in verdicts_on(answers) if verdict.failed]
    again: list[Answer] = []
    for goal in doubtful:
        print(f"{goal}: clearly missed - measuring again", flush=True)
        narrowed = {**vars(options), "case": [goal.case], "backend": [goal.backend]}
        again += ask(argparse.Namespace(**narrowed), effort, measure)
    return [*answers, *again]


def check(answers: list[Answer]) -> int:
    """Print how the goals are met, and return the exit status."""
    verdicts = verdicts_on(answers)
    for verdict in verdicts:
        found = "" if verdict.found is None else f" {verdict.found:.2f}"
        print(f"{verdict.goal}:{found}, goal {verdict.goal.most:.2f}: {verdict.word}")
    return int(not verdicts or any(verdict.failed for verdict in verdicts))


def list_all() -> None:
    """Print the cases and the contenders."""
    for name in CASES:
        print(f"{name:16} {question(name)[0]}")
    print()
    for contender in CONTENDERS.values():
        print(f"{contender.name:22} {contender.about} ({', '.join(contender.backends)})")


def write(answers: list[Answer], machine: Machine) -> None:
    """Write RESULTS.md and its plots."""
    drawn = []
    for plot in plots.draw(answers):
        (HERE / plot.name).write_text(plot.svg, encoding="utf-8")
        drawn.append((plot.title, plot.name))
    (HERE / "RESULTS.md").write_text(document(answers, machine, drawn), encoding="utf-8")


def add(answers: list[Answer], machine: Machine) -> None:
    """Put what was found into RESULTS.md."""
    file = HERE / "RESULTS.md"
    text = with_sections(file.read_text(encoding="utf-8"), answers, machine)
    file.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Do what the command line says, and return the exit status."""
    options = parser().parse_args(arguments)
    if options.add and (not options.case or not WHOLE.isdisjoint(options.case)):
        parser().error(f"--add takes only cases of --case other than {', '.join(sorted(WHOLE))}")
    if options.list:
        list_all()
        return 0
    effort = QUICK if options.quick or options.check else FULL
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    machine = Machine.now(arguments)
    pythons = {"3.9": options.python39} if options.python39 else {}
    measure = Processes(Environments(options.environments, pythons))
    answers = ask(options, effort, measure)
    for _ in range(RETRIES if options.check else 0):
        answers = ask_again(answers, options, effort, measure)
    if options.json:
        found: dict[str, Any] = {"machine": asdict(machine), "answers": answers}
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if options.write:
        write(answers, machine)
    if options.add:
        add(answers, machine)
    return check(answers) if options.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
