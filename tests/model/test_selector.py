"""The selector: which templates an event triggers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from tukio._model.selector import Selector
from tukio._model.template import WorkflowTemplate


def loaded(**topics: list[str] | None) -> Selector:
    """Return a selector with a template of each id, which listens to these topics."""
    selector = Selector()
    for uid, listens in topics.items():
        selector.load(WorkflowTemplate(uid, topics=listens))
    return selector


def selected(selector: Selector, topic: str | None = None) -> list[str]:
    """Return the ids of the templates that a topic triggers."""
    return [template.uid for template in selector.select(topic)]


def test_an_event_triggers_those_that_listen_to_its_topic_or_to_everything() -> None:
    """Those that listen to everything come first."""
    selector = loaded(t=["t"], nothing=[], everything=None, tu=["u", "t"], more=None)
    assert selected(selector, "t") == ["everything", "more", "t", "tu"]
    assert selected(selector, "u") == ["everything", "more", "tu"]
    assert selected(selector, "other") == ["everything", "more"]


def test_an_event_without_topic_triggers_those_that_listen_to_everything() -> None:
    """As in 1.x."""
    assert selected(loaded(t=["t"], everything=None, nothing=[])) == ["everything"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.none() | st.lists(st.sampled_from("tu"), max_size=3) | st.just("unload"),
        )
    )
)
def test_what_is_selected_follows_from_what_is_loaded(history: list[tuple[str, Any]]) -> None:
    """After any history; a topic that is listed twice counts once."""
    selector = Selector()
    topics: dict[str, list[str] | None] = {}
    for uid, action in history:
        known = uid in topics
        topics.pop(uid, None)
        if action != "unload":
            selector.load(WorkflowTemplate(uid, topics=action))
            topics[uid] = action
        elif known:
            assert selector.unload(uid).uid == uid
    for topic in "tuv":
        everything = [uid for uid, listens in topics.items() if listens is None]
        listeners = [uid for uid, listens in topics.items() if listens and topic in listens]
        assert selected(selector, topic) == everything + listeners
    for uid in "abc":
        assert (selector.get(uid) is not None) is (uid in topics)


def test_a_template_is_found_by_its_id() -> None:
    """And None is the answer for one that is not loaded."""
    selector, template = Selector(), WorkflowTemplate("flow")
    selector.load(template)
    assert selector.get("flow") is template
    assert selector.get("other") is None


def test_a_template_with_the_same_id_replaces_the_earlier_one() -> None:
    """Also for topics that only the earlier one had."""
    selector = loaded(flow=["t"])
    newer = WorkflowTemplate("flow", topics=["u"])
    selector.load(newer)
    assert selector.select("t") == []
    assert selector.select("u") == [newer]
    assert selector.get("flow") is newer


def test_a_template_is_unloaded_whole_even_if_its_topics_were_changed() -> None:
    """1.x raised `KeyError` for the topic, and kept half of it."""
    selector, template = Selector(), WorkflowTemplate("flow", topics=["t", "t"])
    selector.load(template)
    template.topics = ["u"]
    assert selector.unload("flow") is template
    assert selector.select("t") == selector.select("u") == []
    assert selector.get("flow") is None


def test_a_template_that_is_not_loaded_cannot_be_unloaded() -> None:
    """A `KeyError` with its id, as in 1.x."""
    with pytest.raises(KeyError) as refusal:
        loaded(flow=["t"]).unload("other")
    assert refusal.value.args == ("other",)


def test_topics_that_are_no_list_are_refused_and_nothing_changes() -> None:
    """The one that was loaded stays."""
    selector, wrong = loaded(flow=["t"]), WorkflowTemplate("flow")
    late: Any = wrong
    late.topics = "t"
    with pytest.raises(TypeError, match="'t' is not a list"):
        selector.load(wrong)
    assert selected(selector, "t") == ["flow"]
    assert selector.get("flow") is not wrong


def test_clear_forgets_all() -> None:
    """Whatever they listen to."""
    selector = loaded(t=["t"], everything=None)
    selector.clear()
    assert selector.select("t") == []
    assert selector.get("t") is None


def test_a_list_that_was_returned_is_the_callers() -> None:
    """The engine may load while it goes through it."""
    selector = loaded(t=["t"])
    selector.select("t").clear()
    assert selected(selector, "t") == ["t"]
