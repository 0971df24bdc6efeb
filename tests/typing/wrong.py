"""What type checkers must refuse: each line below is wrong, and both of them say so, at this line.

Each reports a comment that hides nothing: mypy always, pyright because of the next line.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true, reportUnusedExpression=false

from __future__ import annotations

from tukio.flow import flow, task

from .tasks import OWN, Job, Page, count, fetch, look, order, show

fetch >> show  # type: ignore[operator]
count >> fetch  # type: ignore[operator]
order >> count  # type: ignore[operator]
fetch >> look >> show  # type: ignore[operator]
fetch >> (count, show)  # type: ignore[operator]
fetch >> [count, show]  # type: ignore[operator]
fetch >> (count, count.of(id="b")) >> fetch  # type: ignore[operator]
fetch >> ((count, count.of(id="b")) >> fetch)  # type: ignore[operator]
fetch >> "count"  # type: ignore[operator]
flow("a", (count, count.of(id="b")) >> fetch)  # type: ignore[arg-type]
flow("a", (fetch, fetch.of(id="b")) >> show)  # type: ignore[arg-type]
flow("a", "count")  # type: ignore[arg-type]
flow("a", fetch, polcy="skip")  # type: ignore[call-arg]
flow("a", fetch, policy="skipp")  # type: ignore[arg-type]
flow("a", fetch, defaults={"timout": 3})  # type: ignore[typeddict-unknown-key]
flow("a", fetch, defaults={"on_timeout": "stop"})  # type: ignore[typeddict-item]
fetch.of(timout=3)  # type: ignore[call-arg]
fetch.of(timeout="3")  # type: ignore[arg-type]
fetch.of(join="every")  # type: ignore[arg-type]
fetch.map()  # type: ignore[call-arg]
fetch.map("pages", limit="2")  # type: ignore[arg-type]
fetch.map("pages", retry={})  # type: ignore[call-arg]
CALLED = fetch(Page("x"))  # type: ignore[arg-type]
COUNTED = count(Job("x"))  # type: ignore[arg-type]
task(registry=OWN, thread=True, process=True)  # type: ignore[call-overload]
task(registry=OWN, limiter=3)  # type: ignore[call-overload]


def plain(page: Page) -> Page:
    """Be a plain function."""
    return page


async def needs_more(page: Page, more: Page) -> Page:
    """Need two arguments."""
    return more


task(plain)  # type: ignore[arg-type]
task(registry=OWN)(plain)  # type: ignore[arg-type]
task(needs_more)  # type: ignore[arg-type]
task("count")  # type: ignore[call-overload]
