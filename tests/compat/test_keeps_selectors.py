"""A selector of the user's own, as tukio 1.1.2 has it, still holds the templates of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support.flow import flow
from tukio.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tukio


def one(uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one `quick` task, `a`."""
    return flow("a", names={"a": "quick"}, id=uid, **fields)


def lasting(uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one `slow` task, `a`."""
    return flow("a", names={"a": "slow"}, id=uid, **fields)


def ids(runs: Any) -> list[str]:
    """Return the ids of the templates of some runs."""
    return sorted(run.template.uid for run in runs)


class InStore:
    """A selector of the user's own, which makes templates when they are asked for."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def select(self, topic: str | None = None) -> Iterator[Any]:
        """Yield a template for each topic."""
        self.calls.append(("select", topic))
        yield one(f"by {topic}")

    def get(self, template_id: str) -> Any:
        """Return a template, whatever the id."""
        self.calls.append(("get", template_id))
        return lasting(template_id, policy="skip")

    def load(self, template: tukio.WorkflowTemplate) -> None:
        """Keep no template."""
        self.calls.append(("load", template.uid))

    def unload(self, template_id: str) -> str:
        """Hand out what the engine hands on."""
        self.calls.append(("unload", template_id))
        return f"was {template_id}"

    def clear(self) -> None:
        """Keep no template."""
        self.calls.append(("clear",))


class InRemoteStore(InStore):
    """One that waits for its answers."""

    async def select(self, topic: str | None = None) -> Any:  # type: ignore[override]
        """Take a second."""
        await anyio.sleep(1)
        return list(super().select(topic))

    async def get(self, template_id: str) -> Any:
        """Take a second."""
        await anyio.sleep(1)
        return super().get(template_id)


@pytest.mark.parametrize("kind", [InStore, InRemoteStore])
async def test_a_selector_of_the_users_own_is_asked(ran: list[str], kind: Any) -> None:
    """Its `select` and `get` may be async, the others are not."""
    selector = kind()
    async with Engine(selector=selector) as engine:
        assert engine.selector is selector
        await engine.load(one("loaded"))
        await engine.reload([one("x"), one("y")])
        unloaded: Any = await engine.unload("x")
        assert ids(await engine.data_received({}, "news")) == ["by news"]
        assert ids(await engine.data_received({})) == ["by None"]
        run: Any = await engine.trigger("mine", {})
        assert run.template.uid == "mine"
        # Another template object of the same id: that is what policies go by.
        assert not await engine.trigger("mine", {})

    assert unloaded == "was x"
    assert selector.calls == [
        ("load", "loaded"),
        ("clear",),
        ("load", "x"),
        ("load", "y"),
        ("unload", "x"),
        ("select", "news"),
        ("select", None),
        ("get", "mine"),
        ("get", "mine"),
    ]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("answer", [None, False, {}, ""], ids=repr)
async def test_a_selector_says_in_its_own_way_that_it_has_no_such_template(
    ran: list[str], waits: bool, answer: Any
) -> None:
    """Anything falsy; so does the engine then."""

    class Empty(InStore):
        def get(self, template_id: str) -> Any:
            return answer

    class EmptyRemotely(InStore):
        async def get(self, template_id: str) -> Any:
            return answer

    async with Engine(selector=EmptyRemotely() if waits else Empty()) as engine:
        assert not await engine.trigger("mine", {})
        assert engine.instances == []


async def test_a_selector_may_hand_on_what_another_one_awaits(ran: list[str]) -> None:
    """1.1.2 looked at the function, not at what it returned, and took the coroutine itself."""

    class Front(InStore):
        back = InRemoteStore()

        def select(self, topic: str | None = None) -> Any:
            return self.back.select(topic)

        def get(self, template_id: str) -> Any:
            return self.back.get(template_id)

    async with Engine(selector=Front()) as engine:
        assert ids(await engine.data_received({}, "news")) == ["by news"]
        assert ids([await engine.trigger("mine", {})]) == ["mine"]


async def test_a_selector_may_be_falsy(ran: list[str]) -> None:
    """As one that counts its templates is at first; 1.1.2 used another one without a word."""

    class Counted(InStore):
        def __len__(self) -> int:
            return 0

    selector = Counted()
    async with Engine(selector=selector) as engine:
        assert engine.selector is selector
        assert ids(await engine.data_received({}, "news")) == ["by news"]


async def test_a_selector_that_fails_is_told_to_the_caller(ran: list[str]) -> None:
    """The next call is answered."""

    class Failing(InStore):
        down = True

        async def select(self, topic: str | None = None) -> Any:  # type: ignore[override]
            if self.down:
                raise LookupError("store is down")
            return [one()]

    selector = Failing()
    async with Engine(selector=selector) as engine:
        with pytest.raises(LookupError, match="store is down"):
            await engine.data_received({})
        selector.down = False
        assert ids(await engine.data_received({})) == ["flow"]


async def test_the_engines_own_selector_answers_the_same_questions(ran: list[str]) -> None:
    """It is at hand for use outside of the engine."""
    async with Engine() as engine:
        await engine.load(one("all"))
        await engine.load(one("news", topics=["news"]))
        selector = engine.selector
        assert selector.get("news").uid == "news"
        assert selector.get("other") is None
        assert sorted(template.uid for template in selector.select("news")) == ["all", "news"]
        assert [template.uid for template in selector.select()] == ["all"]
        selector.load(one("more", topics=["more"]))
        assert selector.unload("news").uid == "news"
        assert ids(await engine.data_received({}, "more")) == ["all", "more"]
        selector.clear()
        assert await engine.data_received({}, "more") == []
