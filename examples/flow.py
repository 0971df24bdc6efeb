"""Write a workflow in code: tasks that take and return records, and chains of them.

$ python examples/flow.py
a.example: 3 words, 17 letters
{'url': 'a.example', 'words': 3, 'letters': 17}
refused: the data is no Job: url: missing
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import anyio

import tukio
from tukio.flow import flow, task


@dataclass
class Job:
    """What to fetch."""

    url: str


@dataclass
class Page:
    """What was fetched."""

    url: str
    text: str


@dataclass
class Words:
    """How many words there are."""

    words: int


@dataclass
class Letters:
    """How many letters there are."""

    url: str
    letters: int


@dataclass
class Line:
    """What both have found: what parents return is merged into one dict."""

    url: str
    words: int
    letters: int


@task
async def fetch(job: Job) -> Page:
    """Fetch a page."""
    await anyio.sleep(0.1)  # in place of a request
    return Page(job.url, f"page of {job.url}")


@task(thread=True)
def count_words(page: Page) -> Words:
    """Count in a thread, as if it took long."""
    return Words(len(page.text.split()))


@task
async def count_letters(page: Page) -> Letters:
    """Count in the event loop."""
    return Letters(page.url, len(page.text))


@task
async def show(line: Line) -> Line:
    """Print what has come; it waits for both."""
    print(f"{line.url}: {line.words} words, {line.letters} letters")
    return line


CRAWL = flow("crawl", fetch.of(timeout=10) >> (count_words, count_letters) >> show, timeout=30)


async def main() -> None:
    """Run the workflow once, and once with data that does not fit."""
    print(await CRAWL.run(Job("a.example")))
    async with tukio.Engine() as engine:
        run = await engine.start(CRAWL, {"uri": "a.example"})
        await run.wait()
        print("refused:", run.errors["fetch"])


if __name__ == "__main__":
    # What is refused is in the log as well, with its traceback: not on this screen.
    logging.getLogger("tukio").setLevel(logging.CRITICAL)
    anyio.run(main)
