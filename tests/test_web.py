"""The web service of the examples answers as it says, on every backend and in virtual time."""

from __future__ import annotations

import importlib.util
import re
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.asgi import Answer, Client
from tukio._model.registry import TaskRegistry
from tukio.testing import registered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from types import ModuleType

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "web.py"
PAGE = ROOT / "docs" / "web.md"

SHORT = {"workflow": "album", "data": {"pictures": ["a", "b"]}}
LONG = {"workflow": "album", "data": {"pictures": ["a"] * 1000}}
BACKLOG = {"workflow": "backlog", "data": {"pictures": ["a"] * 1000}}


@pytest.fixture
def web() -> Iterator[ModuleType]:
    """Give the example as a module, whose tasks are forgotten after the test."""
    spec = importlib.util.spec_from_file_location("web", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    known = set(TaskRegistry.all())
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        for name in set(TaskRegistry.all()) - known:
            TaskRegistry.remove(name)


@asynccontextmanager
async def served(web: ModuleType, spec_version: str = "2.3") -> AsyncGenerator[Client]:
    """Give a client of the service, for as long as that runs; what is left is cancelled."""
    async with web.app.router.lifespan_context(web.app):
        yield Client(web.app, spec_version)
        web.app.state.runs.engine.stop(force=True)


async def ends(client: Client, uid: str) -> None:
    """Wait for the end of a run, as clients do: its stream ends with it."""
    await client(f"GET /runs/{uid}/events")


async def test_a_run_is_started_and_asked_for_also_when_it_is_over(web: ModuleType) -> None:
    """The id comes at once; the state has no data in it."""
    async with served(web) as client:
        begun = anyio.current_time()
        answer = await client("POST /runs", SHORT)
        assert anyio.current_time() == begun
        assert (answer.status, answer.headers["location"]) == (202, f"/runs/{answer.json['id']}")
        await anyio.sleep(0.15)
        at_work = await client(f"GET /runs/{answer.json['id']}")
        await anyio.sleep(0.15)
        over = await client(f"GET /runs/{answer.json['id']}")
    told = [(one.status, one.json["status"], one.json["ok"]) for one in (at_work, over)]
    assert told == [(200, "running", None), (200, "finished", True)]
    assert over.json["id"] == answer.json["id"]
    states = [task["exec"]["state"] for task in over.json["report"]["tasks"]]
    assert states == ["finished", "finished"]
    assert b"pictures" not in over.body


async def test_the_same_key_starts_one_run_also_when_it_is_over(web: ModuleType) -> None:
    """A webhook that is delivered again; another one by mistake under its key starts nothing."""
    async with served(web) as client:
        other = {**SHORT, "data": {"pictures": ["other"]}}
        for _ in "in progress", "over":
            answers = [await client("POST /runs", SHORT, Idempotency_Key="d-17") for _ in range(2)]
            assert [(one.status, one.json["id"]) for one in answers] == [(202, "d-17")] * 2
            conflict = await client("POST /runs", other, Idempotency_Key="d-17")
            assert conflict.status == 409
            assert b"id 'd-17'" in conflict.body
            await ends(client, "d-17")
        assert (await client("GET /health")).json == {"runs": {}, "started": 1}


async def test_the_same_key_twice_at_once_starts_one_run(web: ModuleType) -> None:
    """Also where the run is over before the second start goes on."""
    empty = {"workflow": "album", "data": {"pictures": []}}
    async with served(web) as client:
        async with anyio.create_task_group() as group:
            for key in ["x", "y"] * 100:
                post = partial(client, "POST /runs", empty, Idempotency_Key=key)
                group.start_soon(post)
        assert (await client("GET /health")).json == {"runs": {}, "started": 2}


async def test_a_task_that_changes_its_data_makes_no_conflict(web: ModuleType) -> None:
    """What was asked for is what was sent, not what has become of it."""

    async def spoil(event: tukio.Event) -> None:
        event.data["pictures"].clear()

    with registered(resize=spoil):
        async with served(web) as client:
            for _ in range(2):
                answer = await client("POST /runs", SHORT, Idempotency_Key="k")
                assert answer.status == 202
                await ends(client, "k")


async def test_why_no_run_was_started_is_told(web: ModuleType) -> None:
    """By a status of its own each, and in words; the keys are free afterwards."""
    unknown = {"workflow": "albun", "data": {}}
    async with served(web) as client:
        assert (await client("POST /runs", BACKLOG)).status == 202
        refusals = [
            await client("POST /runs", unknown, Idempotency_Key="k"),
            await client("POST /runs", BACKLOG, Idempotency_Key="k"),
        ]
        assert (await client("POST /runs", SHORT, Idempotency_Key="k")).status == 202
        web.app.state.runs.engine.stop()
        refusals.append(await client("POST /runs", SHORT))
    assert [
        (one.status, one.body.split(b": ")[1].split(b" - ")[0].decode()) for one in refusals
    ] == [
        (404, tukio.Reason.UNKNOWN_TEMPLATE.value),
        (429, tukio.Reason.SKIPPED.value),
        (503, tukio.Reason.STOPPING.value),
    ]


def test_each_reason_has_a_status(web: ModuleType) -> None:
    """Also those that are to come."""
    assert set(web.STATUS) == set(tukio.Reason)


BODIES = {
    "nothing": b"",
    "no JSON": b"{pictures}",
    "half of it": b'{"workflow": "album", "data": {"pictures": [',
    "no text": b"\xff\xfe\x00",
    "very deep": b"[" * 100_000,
    "a number too long": b"9" * 10_000,
    "a list": b"[]",
    "null": b"null",
    "no workflow": b'{"data": {}}',
    "no data": b'{"workflow": "album"}',
    "a template": b'{"workflow": {"id": "mine", "tasks": [{"name": "resize"}]}, "data": {}}',
    "data that is a list": b'{"workflow": "album", "data": []}',
}


@pytest.mark.parametrize("body", BODIES)
async def test_a_body_that_says_nothing_starts_nothing(web: ModuleType, body: str) -> None:
    """And says what it should be."""
    async with served(web) as client:
        answer = await client("POST /runs", BODIES[body])
        assert (answer.status, answer.body[:14]) == (400, b"body: must be ")
        assert (await client("GET /health")).json["started"] == 0


@pytest.mark.parametrize(
    "key", ["", " ", "a b", "a/b", "..", "%2F", "\x7f", "x" * 201, "x" * 10**6]
)
async def test_a_key_that_can_be_no_part_of_a_url_starts_nothing(web: ModuleType, key: str) -> None:
    """The run could not be asked for."""
    async with served(web) as client:
        answer = await client("POST /runs", SHORT, Idempotency_Key=key)
        assert (answer.status, answer.body[:17]) == (400, b"Idempotency-Key: ")
        assert len(answer.body) < 100
        assert (await client("POST /runs", SHORT, Idempotency_Key="x" * 200)).status == 202
        assert (await client("GET /health")).json["started"] == 1


@pytest.mark.parametrize("request_", ["GET /runs/x", "DELETE /runs/x", "GET /runs/x/events"])
async def test_an_id_that_nobody_knows_is_told(web: ModuleType, request_: str) -> None:
    """However long it is."""
    async with served(web) as client:
        for uid in "x", "y" * 100_000, "%00":
            assert (await client(request_.replace("x", uid))).status == 404


async def test_only_the_newest_runs_that_are_over_are_kept(
    web: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in progress stay known, however old they are."""
    monkeypatch.setattr(web, "KEPT", 2)
    async with served(web) as client:
        await client("POST /runs", LONG, Idempotency_Key="long")
        for key in "abcd":
            await client("POST /runs", SHORT, Idempotency_Key=key)
            await ends(client, key)
        known = [(await client(f"GET /runs/{uid}")).status for uid in ("long", *"abcd")]
        assert known == [200, 404, 404, 200, 200]
        # What was forgotten can be asked for anew.
        assert (await client("POST /runs", LONG, Idempotency_Key="a")).status == 202


async def test_a_run_is_cancelled_with_a_reason(web: ModuleType) -> None:
    """Once: afterwards it is told how it ended."""
    async with served(web) as client:
        for uid, query in ("one", "?reason=wrong%20album"), ("two", ""):
            await client("POST /runs", LONG, Idempotency_Key=uid)
            await anyio.sleep(1)
            answer = await client(f"DELETE /runs/{uid}{query}")
            assert (answer.status, answer.json["status"]) == (202, "closing")
            await ends(client, uid)
            again = await client(f"DELETE /runs/{uid}?reason=too%20late")
            assert (again.status, again.json["status"], again.json["ok"]) == (
                200,
                "cancelled",
                False,
            )
            reason = "wrong album" if query else "asked for over HTTP"
            assert again.json["report"]["exec"]["reason"] == reason


async def test_a_run_that_fails_tells_so(web: ModuleType) -> None:
    """In its state, with the error, and as the last of its events."""
    async with served(web) as client:
        data = {"workflow": "album", "data": {"photos": ["a"]}}
        assert (await client("POST /runs", data, Idempotency_Key="k")).status == 202
        events = (await client("GET /runs/k/events")).events
        state = (await client("GET /runs/k")).json
    assert events[-1]["type"] == "workflow-error"
    assert (state["status"], state["ok"]) == ("failed", False)
    resize, _ = state["report"]["tasks"]
    assert resize["exec"]["error"] == {"type": "KeyError", "message": "'pictures'"}


WHOLE = [
    ("workflow-begin", None),
    ("task-begin", "resize"),
    ("task-progress", "resize"),
    ("task-progress", "resize"),
    ("task-end", "resize"),
    ("task-begin", "publish"),
    ("task-end", "publish"),
    ("workflow-end", None),
]


async def test_events_begin_with_the_run_and_end_with_it(web: ModuleType) -> None:
    """Each as soon as it happens; whoever looks later is told the story, too."""
    async with served(web) as client:
        await client("POST /runs", SHORT, Idempotency_Key="k")
        live = Answer()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(client, "GET /runs/k/events", answer=live))
            await anyio.sleep(0.15)
            assert [event["type"] for event in live.events] == [kind for kind, _ in WHOLE[:3]]
        later = await client("GET /runs/k/events")
    assert live.status == 200
    assert live.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert live.headers["x-accel-buffering"] == "no"
    assert [(event["type"], event["task"]) for event in live.events] == WHOLE
    assert [event["id"] for event in live.events] == list(range(1, 9))
    told = [event.get("progress") for event in live.events if event["type"] == "task-progress"]
    assert told == [{"done": 1, "of": 2}, {"done": 2, "of": 2}]
    # Of progress, the newest is kept.
    assert [(event["type"], event["task"]) for event in later.events] == WHOLE[:2] + WHOLE[3:]
    assert [event["time"] for event in later.events] == [
        event["time"] for event in live.events if event["id"] != 3
    ]


async def test_a_stream_tells_that_there_is_nothing_new(web: ModuleType) -> None:
    """By comments, so that no proxy takes it for dead; no event is lost by them."""

    async def wait(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(40)
        return {"resized": []}

    with registered(resize=wait):
        async with served(web) as client:
            await client("POST /runs", SHORT, Idempotency_Key="k")
            answer = await client("GET /runs/k/events")
    assert answer.body.count(b": nothing new\n\n") == 2
    assert [event["type"] for event in answer.events] == [
        kind for kind, _ in WHOLE if kind != "task-progress"
    ]


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_a_client_that_leaves_harms_nobody(web: ModuleType, spec_version: str) -> None:
    """The run goes on, others hear its end, and nothing listens for who has left."""
    async with served(web, spec_version) as client:
        await client("POST /runs", SHORT, Idempotency_Key="k")
        broker = web.app.state.runs.engine.broker
        left, stays, goes = anyio.Event(), Answer(), Answer()
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                # It is the server that is told, if anybody: who has left hears nothing more.
                try:
                    await client("GET /runs/k/events", answer=goes, left=left)
                except Exception:  # noqa: BLE001 - starlette's, for servers of 2.4
                    assert spec_version == "2.4"

            group.start_soon(partial(client, "GET /runs/k/events", answer=stays))
            group.start_soon(leave)
            await anyio.sleep(0.05)
            assert len(broker._receivers) == 2
            left.set()
            await anyio.sleep(0.1)
            assert len(broker._receivers) == 1
        assert [event["type"] for event in goes.events] == ["workflow-begin", "task-begin"]
        assert stays.events[-1]["type"] == "workflow-end"


async def test_the_runs_have_their_grace_when_the_service_ends(web: ModuleType) -> None:
    """What takes longer is cancelled, and streams are told."""
    short, long = Answer(), Answer()
    async with anyio.create_task_group() as group:
        async with web.app.router.lifespan_context(web.app):
            client = Client(web.app)
            await client(
                "POST /runs",
                {"workflow": "album", "data": {"pictures": ["a"] * 20}},
                Idempotency_Key="short",
            )
            await client("POST /runs", LONG, Idempotency_Key="long")
            group.start_soon(partial(client, "GET /runs/short/events", answer=short))
            group.start_soon(partial(client, "GET /runs/long/events", answer=long))
            await anyio.sleep(1)
            begun = anyio.current_time()
        assert anyio.current_time() - begun == web.GRACE
        states = {
            uid: (await client(f"GET /runs/{uid}")).json["status"] for uid in ("short", "long")
        }
        assert states == {"short": "finished", "long": "cancelled"}
    assert short.events[-1]["type"] == long.events[-1]["type"] == "workflow-end"


# The page -----------------------------------------------------------------------------------------


def test_the_page_shows_the_program_as_it_is() -> None:
    """Each piece is one of the file; what opens the page are the imports for all of them."""
    imports, *pieces = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    program = EXAMPLE.read_text()
    assert len(pieces) > 5
    assert [piece for piece in pieces if piece not in program] == []
    assert re.findall(r"^(?!import|from|$)", imports, re.MULTILINE) == []
