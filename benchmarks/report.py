"""Answers as tables, for the terminal and for RESULTS.md; one form serves both: Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cases import CASES
from .catalogue import CONTENDERS
from .goals import GOALS, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .machine import Machine
    from .results import Answer, Row, Spread

EMPTY = ""
NOT_MEASURED = "not measured"


def table(answer: Answer) -> str:
    """Return the answer to a case as a Markdown table with aligned columns."""
    columns = [column for column in _columns(answer) if any(column.cells)]
    widths = [max(len(column.head), *map(len, column.cells)) for column in columns]
    rules = ["-" * width for width in widths]
    rules = [r if c.is_text else f"{r[:-1]}:" for r, c in zip(rules, columns, strict=True)]
    lines = [[c.head for c in columns], rules, *zip(*[c.cells for c in columns], strict=True)]
    return "\n".join(
        f"| {' | '.join(_pad(*cell) for cell in zip(line, widths, columns, strict=True))} |"
        for line in lines
    )


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, its cells, and whether those are words or figures."""

    head: str
    cells: list[str]
    is_text: bool = False


def _columns(answer: Answer) -> Iterator[Column]:
    """Yield all columns; those without a single entry are not worth showing."""
    rows = answer["rows"]
    yield Column("contender", [row["contender"] for row in rows], is_text=True)
    yield Column("backend", [row["backend"] for row in rows], is_text=True)
    if len({row["work"] for row in rows}) > 1:
        yield Column("work", [row["work"] for row in rows], is_text=True)
    yield Column(answer["counts"], [f"{row['size']:,}" for row in rows])
    if answer["unit"]:
        yield Column(answer["unit"], [with_range(row["value"]) or _mark(row) for row in rows])
    for title in answer["comparisons"]:
        yield Column(title, [with_range(row["ratios"].get(title)) for row in rows])
    for name in answer["figures"]:
        yield Column(name, [with_range(row["figures"].get(name)) or _mark(row) for row in rows])


def _mark(row: Row) -> str:
    """Return what stands for a figure: a mark that leads to the reason, if there is one."""
    return "\\*" if row["problem"] else EMPTY


def _pad(cell: str, width: int, column: Column) -> str:
    return cell.ljust(width) if column.is_text else cell.rjust(width)


def with_range(found: Spread | None) -> str:
    """Return a median with its range, when there is one: `0.35 (0.33-0.37)`."""
    if found is None:
        return EMPTY
    median = number(found["median"])
    if found["rounds"] == 1:
        return median
    return f"{median} ({number(found['low'])}-{number(found['high'])})"


def number(value: float) -> str:
    """Return a figure with three digits that mean something, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def problems(answer: Answer) -> Iterator[str]:
    """Yield a line for each reason why something was not measured, with whom it concerns."""
    whom: dict[str, list[str]] = {}
    for row in answer["rows"]:
        if row["problem"]:
            who = f"{row['contender']} on {row['backend']} ({row['work']}, {row['size']:,})"
            whom.setdefault(row["problem"], []).append(who)
    for problem, rows in whom.items():
        yield f"\\* {'; '.join(rows)}: {problem}"


def section(answer: Answer) -> str:
    """Return one case: the question, the table, what was not measured, and how to read it."""
    parts = [f"## {answer['case']}", f"**{answer['question']}**", table(answer)]
    parts += problems(answer)
    parts += [answer["reading"]] if answer["reading"] else []
    return "\n\n".join(parts)


def with_sections(text: str, answers: list[Answer], machine: Machine) -> str:
    """Return RESULTS.md with the cases of a later run in it; each of them says of which run it is.

    Args:
        text: RESULTS.md as it is.
        answers: What was found later. No goal and no plot may be made of it, for those are of one
            run with all that they show.
        machine: Where, when and how.

    Raises:
        OtherVersions: A contender had another version in the run that the document is of.
    """
    head, *found = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    sections = {part.partition("\n")[0].removeprefix("## "): part.rstrip() for part in found}
    run = f"In a run of its own: {_run(machine)}"
    for answer in answers:
        heading, rest = section(answer).split("\n\n", 1)
        sections[answer["case"]] = f"{heading}\n\n{run}\n\n{rest}"
    order = ["Goals", *CASES]
    parts = [sections[name] for name in sorted(sections, key=order.index)]
    return "\n\n".join([_with_contenders(head.rstrip(), answers), *parts]) + "\n"


class OtherVersions(Exception):
    """What was measured is not what the document says of its contenders; the text says who."""


def _with_contenders(head: str, answers: list[Answer]) -> str:
    """Return the head of RESULTS.md with those contenders in its table that are new there."""
    lines = head.splitlines()
    table = [line for line in lines if line.startswith("| ")]
    known = {line.split(" | ")[0]: line for line in table}
    for row in _who(answers).splitlines()[2:]:
        was = known.setdefault(row.split(" | ")[0], row)
        if was != row and not row.endswith(f"| {NOT_MEASURED} |"):
            msg = f"{was} in the document, and {row} in this run - measure all cases anew"
            raise OtherVersions(msg)
    start = lines.index(table[0])
    return "\n".join([*lines[:start], *known.values(), *lines[start + len(table) :]])


def document(answers: list[Answer], machine: Machine, plots: list[tuple[str, str]]) -> str:
    """Return RESULTS.md.

    Args:
        answers: What was found.
        machine: Where, when and how.
        plots: Title and file name of each plot.
    """
    parts = [
        "# What a workflow costs",
        _run(machine),
        HOW_TO_READ,
        _who(answers),
        *(f"![{title}]({name})" for title, name in plots),
        *_goals(answers),
        *map(section, answers),
    ]
    return "\n\n".join(parts) + "\n"


def _run(machine: Machine) -> str:
    return f"`{machine.command}`, {machine.date}, on {machine.text()}."


HOW_TO_READ = """\
Every measure has a process of its own. The contenders take turns, round after round; a ratio is
taken within a round. A figure is the median of the rounds, with the lowest and the highest in
brackets. Time is processor time. That of dbos and prefect is time on the wall, since they wait for
a disk, and so is what their ratios are taken to. The garbage collector is on, as users have it: the
more objects are alive, the more of the time it takes.
**Only ratios travel** from one machine to another; the microseconds are of this one."""


def _who(answers: list[Answer]) -> str:
    names = dict.fromkeys(row["contender"] for answer in answers for row in answer["rows"])
    lines = ["| contender | what it is | versions |", "| --- | --- | --- |"]
    for name in names:
        found: dict[str, str] = {}
        for answer in answers:
            for row in answer["rows"]:
                if row["contender"] == name:
                    found |= row["versions"]
        versions = ", ".join(f"{what} {version}" for what, version in found.items())
        lines.append(f"| {name} | {CONTENDERS[name].about} | {versions or NOT_MEASURED} |")
    return "\n".join(lines)


def _goals(answers: list[Answer]) -> Iterator[str]:
    verdicts = judge(answers, GOALS)
    if not verdicts:
        return
    lines = [
        "## Goals",
        "",
        "| case | backend | ratio | goal | found |  |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for verdict in verdicts:
        goal = verdict.goal
        found = EMPTY if verdict.found is None else number(verdict.found)
        cells = [goal.case, goal.backend, goal.ratio, f"{goal.most:.2f}", found, verdict.word]
        lines.append(f"| {' | '.join(cells)} |")
    yield "\n".join(lines)
