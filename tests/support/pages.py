"""The pages in docs/, as tests read them: their tables, and the words in code."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCS = Path(__file__).parents[2] / "docs"

BLOCK = re.compile(r"^```.*\n(?:(?!```).*\n)*```$", re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")

Row = dict[str, str]


def table(page: str, title: str) -> list[Row]:
    """Return the rows of the first table below a heading: head of the column -> cell."""
    text = BLOCK.sub("", (DOCS / page).read_text())
    headings = [*HEADING.finditer(text), None]
    for heading, following in pairwise(headings):
        if heading is not None and heading[1] == title:
            below = text[heading.end() : None if following is None else following.start()]
            return _rows(below)
    msg = f"{page} has no heading {title!r}"
    raise LookupError(msg)


def _rows(text: str) -> list[Row]:
    lines = text[text.index("\n|") + 1 :].partition("\n\n")[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


def words(cell: str) -> list[str]:
    """Return what is in code in a cell."""
    return [word for _, word in CODE.findall(cell)]


def column(page: str, title: str, head: str) -> set[str]:
    """Return what is in code in a column of the first table below a heading."""
    return {word for row in table(page, title) for word in words(row[head])}


def differences(told: Iterable[str], known: Iterable[str]) -> dict[str, list[str]]:
    """Return what is not on a page, and what is there alone; empty if neither is anything.

    Args:
        told: What the page has.
        known: What the code has.
    """
    told, known = set(told), set(known)
    found = {"not on the page": known - told, "on the page alone": told - known}
    return {what: sorted(words) for what, words in found.items() if words}


def fields_of_messages() -> dict[str, tuple[set[str], set[str]]]:
    """Return message -> the fields that its records have, and those that they may have."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    text = (DOCS / "logging.md").read_text()
    for title in HEADING.findall(text[text.index("## All messages") :])[1:]:
        for row in table("logging.md", title):
            names = [name for name in row["fields"].split(", ") if name]
            always = {f"tukio_{name}" for name in names if not name.startswith("[")}
            perhaps = {f"tukio_{name.strip('[]')}" for name in names}
            found[words(row["message"])[0]] = always, perhaps
    return found
