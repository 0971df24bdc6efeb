"""Tasks of code form, for what type checkers must accept, and must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import tukio
from tukio.flow import task
from tukio.task import Registry

OWN = Registry()


@dataclass
class Job:
    """What comes first."""

    url: str


@dataclass
class Page:
    """What a job makes."""

    text: str


@dataclass
class LongPage(Page):
    """A kind of page."""

    pages: int = 2


@dataclass
class Count:
    """What a page has."""

    n: int


@dataclass
class Words:
    """What else a page has."""

    words: int


class Order(TypedDict):
    """A record that is a dict."""

    item: str


@task(registry=OWN)
async def fetch(job: Job) -> Page:
    """Return a page."""
    return Page(job.url)


@task(registry=OWN)
async def fetch_long(job: Job) -> LongPage:
    """Return a kind of page."""
    return LongPage(job.url)


@task(registry=OWN, thread=True)
def count(page: Page) -> Count:
    """Take a page."""
    return Count(len(page.text))


@task(registry=OWN, process=True, timeout=3, limiter=2)
def words(page: Page) -> Words:
    """Take a page, too, and return something else."""
    return Words(len(page.text.split()))


@task(registry=OWN)
async def show(count: Count) -> None:
    """Return nothing: what comes after it takes what it takes."""


@task(registry=OWN, name="audit", join="all")
async def look(page: Page) -> None:
    """Return nothing."""


@task(registry=OWN)
async def event(event: tukio.Event) -> dict[str, Any]:
    """Take an event, and return a dict."""
    return dict(event.data)


@task(registry=OWN)
async def silent(event: tukio.Event) -> None:
    """Take an event, and return nothing."""


@task(registry=OWN)
async def data(data: dict[str, Any]) -> Page:
    """Take a dict."""
    return Page(data["text"])


@task(registry=OWN)
async def mapping(data: Mapping[str, Any]) -> dict[str, Any]:
    """Take a mapping."""
    return {**data}


@task(registry=OWN)
async def order(order: Order) -> Order:
    """Take a TypedDict, and return one."""
    return order


@task(registry=OWN)
async def anything(it: Any) -> Any:
    """Take anything."""
    return it
