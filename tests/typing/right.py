"""What type checkers accept; it is executed, too."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Never, assert_type

import tukio
from tukio.flow import Chain, Flow, Task, flow, named

from .tasks import (
    OWN,
    Count,
    Job,
    LongPage,
    Order,
    Page,
    Words,
    anything,
    count,
    data,
    event,
    fetch,
    fetch_long,
    look,
    mapping,
    order,
    show,
    silent,
    words,
)

# What the decorator makes of a function.

assert_type(fetch, Task[Job, Page, Coroutine[object, Never, Page]])
assert_type(count, Task[Page, Count, Count])
assert_type(words, Task[Page, Words, Words])
# What returns nothing passes on what it was given.
assert_type(show, Task[Count, Count, Coroutine[object, Never, None]])
assert_type(count(Page("x")), Count)
assert_type(fetch.of(id="a", timeout=3), Chain[Job, Page])

# Chains, from the first that is taken to the last that is returned.

assert_type(fetch >> count, Chain[Job, Count])
assert_type(fetch >> count >> show, Chain[Job, Count])
assert_type(fetch >> look >> count, Chain[Job, Count])
assert_type(fetch >> (count, count.of(id="b")), Chain[Job, Count])
assert_type(fetch >> [count, count.of(id="b")] >> show, Chain[Job, Count])
# Of tasks that return different types, the next one gets the data of all.
assert_type(fetch >> (count, words), Chain[Job, Any])
assert_type(fetch >> (count, words) >> show, Chain[Job, Count])
# A kind of page is a page.
assert_type(fetch_long >> count, Chain[Job, Count])
assert_type(fetch_long >> (count, words), Chain[Job, Any])
assert_type(fetch_long, Task[Job, LongPage, Coroutine[object, Never, LongPage]])
# For each item of a list: what is given goes on, with the results.
assert_type(fetch.map(over="pages", limit=2, tolerate="10%"), Chain[dict[str, Any], dict[str, Any]])
assert_type(data >> fetch.map("pages") >> show, Chain[dict[str, Any], Count])
assert_type(fetch.of(map={"over": "$.pages"}), Chain[Job, Page])
# Several that lead to one.
assert_type((count, count.of(id="b")) >> show, Chain[Page, Count])
assert_type((count, words) >> show, Chain[Any, Count])
assert_type((fetch, event) >> count, Chain[Any, Count])
assert_type((fetch_long, fetch_long.of(id="b")) >> count, Chain[Job, Count])
assert_type((fetch, fetch) >> count, Chain[Job, Count])
assert_type(fetch >> ((count, words) >> show), Chain[Job, Count])

# An event takes what any task returns, and so does a dict; what returns a dict may lead to any.

assert_type(fetch >> event >> count, Chain[Job, Count])
assert_type(fetch >> mapping >> count, Chain[Job, Count])
assert_type(fetch >> data >> count, Chain[Job, Count])
assert_type(event >> (count, show), Chain[tukio.Event, Count])
assert_type(silent >> count, Chain[tukio.Event, Count])
assert_type(fetch >> (count, event, data), Chain[Job, Any])
assert_type(order >> order.of(id="b"), Chain[Order, Order])
assert_type(fetch >> named("a") >> show, Chain[Job, Count])

# Workflows.

assert_type(flow("a", fetch >> count, timeout=3, policy="skip"), Flow)
assert_type(flow("a", fetch >> count, fetch >> words), Flow)
assert_type(flow("a", fetch >> anything >> count), Flow)
assert_type(flow("a", fetch, on_error=tukio.ErrorPolicy.ABORT, topics=["red"]), Flow)
assert_type(flow("a", fetch, defaults={"timeout": 3, "retry": tukio.Retry(attempts=2)}), Flow)


async def main() -> None:
    """Use a flow, and a task as a function."""
    assert_type(await fetch(Job("x")), Page)
    async with tukio.Engine(registry=OWN) as engine:
        assert_type(await engine.start(flow("a", fetch), {"url": "x"}), tukio.Workflow)
