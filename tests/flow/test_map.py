"""A task for each item of a list, in code: `fetch.map(over="pages")`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from tukio.flow import flow, named, task

if TYPE_CHECKING:
    from tukio.task import Registry


@dataclass
class Page:
    """A record."""

    url: str


async def find(event: tukio.Event) -> dict[str, Any]:
    """Find pages."""
    return {"pages": [{"url": "a"}, {"url": "bc"}], "of": event.data}


async def size(page: Page) -> dict[str, int]:
    """Tell the size of a page."""
    return {"size": len(page.url)}


def words_of(template: tukio.WorkflowTemplate, uid: str = "size") -> Any:
    """Return the `map` of a task, and what else is written for it."""
    [document] = [one for one in template.as_dict()["tasks"] if one["id"] == uid]
    return document["map"], document.get("on_timeout")


async def test_each_item_is_a_record_and_so_are_the_results(own: Registry) -> None:
    """What was given goes on."""
    found, sized = task(registry=own)(find), task(registry=own)(size)
    chain = found >> sized.map(over="pages", limit=1, tolerate=1)
    result = await flow("sizes", chain).run({"q": 1})
    assert result == {
        "pages": [{"url": "a"}, {"url": "bc"}],
        "of": {"q": 1},
        "results": [{"size": 1}, {"size": 2}],
    }


def test_a_key_alone_is_a_path(own: Registry) -> None:
    """Whatever is in it; a path stays what it is."""
    sized = task(registry=own)(size)
    for over, path in (
        ("pages", "$.pages"),
        ("all pages", '$["all pages"]'),
        ("a.b", '$["a.b"]'),
        ("$.a.b", "$.a.b"),
    ):
        assert words_of(flow("x", sized.map(over))) == ({"over": path}, None)
        assert words_of(flow("x", sized.of(map={"over": over}))) == ({"over": path}, None)
        assert words_of(flow("x", named("size", map={"over": over}))) == ({"over": path}, None)


def test_a_limit_of_items_is_one_at_which_they_fail(own: Registry) -> None:
    """As code form writes it for every limit."""
    sized = task(registry=own)(size)
    assert words_of(flow("x", sized.map("pages", timeout=3)))[1] == "fail"
    kept = sized.of(map={"over": "pages", "timeout": 3}, on_timeout="continue")
    assert words_of(flow("x", kept))[1] == "continue"


def test_it_may_have_an_id_and_leaves_the_task_as_it_is(own: Registry) -> None:
    """Both may be in one workflow."""
    sized = task(registry=own)(size)
    template = flow("x", sized >> sized.map("pages", id="each"))
    assert words_of(template, "each") == ({"over": "$.pages"}, None)
    assert next(one.get("map") for one in template.as_dict()["tasks"]) is None


def test_what_is_refused(own: Registry) -> None:
    """At once, or with the place of the call."""
    sized: Any = task(registry=own)(size)
    with pytest.raises(TypeError, match=r"size.map\(\) got an unknown key 'limits' - did you mean"):
        sized.map("pages", limits=3)
    with pytest.raises(tukio.TemplateError) as refused:
        flow("x", sized.map("pages", limit=0))
    [fault] = refused.value.faults
    assert (fault.path, fault.problem) == (
        "tasks[0].map.limit",
        "must be a positive number or null, not 0",
    )
    assert f"map at {__file__}:" in str(fault.place)
    with pytest.raises(tukio.TemplateError) as refused:
        flow("x", sized.of(map="pages"))
    assert [fault.path for fault in refused.value.faults] == ["tasks[0].map"]
    with pytest.raises(tukio.TemplateError) as refused:
        flow("x", sized.map(3))
    assert [fault.path for fault in refused.value.faults] == ["tasks[0].map.over"]
