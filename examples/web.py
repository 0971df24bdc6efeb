"""Workflows behind HTTP: start them, look at them, follow them live, cancel them.

It needs starlette and hypercorn. When it is told to end, by SIGTERM or Ctrl-C, it answers on until
the runs in progress are over, for `GRACE` seconds at most:

    python examples/web.py --backend asyncio|uvloop|trio --port 8000

Any other server cuts the streams first, after a time that has to be given, and then waits for the
runs:

    uvicorn --app-dir examples web:app --timeout-graceful-shutdown 2
    PYTHONPATH=examples hypercorn web:app --worker-class trio --graceful-timeout 2

The page docs/web.md explains it piece by piece.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import re
import signal
from collections import deque
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import tukio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

GRACE: Final = 5.0
"""Seconds that the runs in progress have when the service is told to end."""

LAST: Final = 5.0
"""Seconds that connections have after that. hypercorn ends them after three; on asyncio it waits
for whoever has sent half a request, however long that takes."""

KEPT: Final = 1000
"""The number of runs that are over and can still be asked for."""

SILENCE: Final = 15.0
"""Seconds after which a stream says that there is nothing new, for proxies cut a silent one."""

KEY: Final = re.compile(r"\w[\w.~-]{0,199}", re.ASCII)
"""What a key may be: it becomes the id of a run, and part of a URL."""

STATUS: Final = {
    tukio.Reason.UNKNOWN_TEMPLATE: 404,
    tukio.Reason.SKIPPED: 429,
    tukio.Reason.STOPPING: 503,
    tukio.Reason.TOO_MANY_HOPS: 508,
    tukio.Reason.FAULTY: 500,
}
"""What the service answers when no run was started."""


# The workflows ------------------------------------------------------------------------------------


@tukio.register
async def resize(event: tukio.Event) -> dict[str, Any]:
    """Stand for work that takes a while, and tell how far it is."""
    pictures = event.data["pictures"]
    for done, _ in enumerate(pictures, 1):
        await anyio.sleep(0.1)
        tukio.current_task().dispatch_progress({"done": done, "of": len(pictures)})
    return {"resized": pictures}


@tukio.register
async def publish(event: tukio.Event) -> dict[str, Any]:
    """Stand for what is done with the result."""
    return {"published": len(event.data["resized"])}


STEPS: Final[dict[str, Any]] = {
    "tasks": [
        {"id": "resize", "name": "resize", "timeout": 600},
        {"id": "publish", "name": "publish"},
    ],
    "graph": {"resize": ["publish"]},
    "on_error": "abort",
}

# As many albums at once as are asked for, and one backlog: while it is at work, another is refused.
TEMPLATES: Final = [
    {"id": "album", "policy": "start-new", **STEPS},
    {"id": "backlog", "policy": "skip", **STEPS},
]


# The runs -----------------------------------------------------------------------------------------


class Runs:
    """The runs by id: those in progress, and the last `KEPT` that are over.

    The engine forgets a run that is over. Here one can ask for it a while longer, and the key that
    it was started with starts no other one.
    """

    def __init__(self, engine: tukio.Engine) -> None:
        self.engine: tukio.Engine = engine
        # Each with what was asked for, as text: nothing that a task does to its data changes that.
        self._runs: dict[str, tuple[str, tukio.Workflow]] = {}
        self._over: deque[str] = deque()
        self._starting: anyio.Lock = anyio.Lock()

    async def start(self, workflow: str, data: dict[str, Any], key: str | None) -> tukio.Workflow:
        """Start a run, or return the one that was started with the same key.

        Raises:
            NotStarted: No run was started, for the reason in it.
            IdConflict: Something else was started with the same key.
        """
        asked = json.dumps([workflow, data], sort_keys=True)
        # One at a time, for of two with the same key both might find nothing.
        async with self._starting:
            if key in self._runs:
                before, run = self._runs[key]
                if asked != before:
                    raise tukio.IdConflict(run.uid, run.template.uid)
            else:
                run = await self.engine.start(workflow, data, id=key)
                self._runs[run.uid] = (asked, run)
            return run

    def find(self, uid: str) -> tukio.Workflow | None:
        """Return a run by its id; None if there is none, or it was over long ago."""
        _, run = self._runs.get(uid, (None, None))
        return run

    def listen(self, kind: str, run: tukio.Workflow, task: object, content: object) -> None:
        """Called with each execution event: forget the oldest run when too many are over."""
        del task, content
        if kind in {"workflow-end", "workflow-error"}:
            self._over.append(run.uid)
            if len(self._over) > KEPT:
                self._runs.pop(self._over.popleft(), None)


def state_of(run: tukio.Workflow) -> dict[str, Any]:
    """Return how a run goes, without its data."""
    report = json.loads(tukio.report_to_json(run.report(data=False)))
    return {"id": run.uid, "status": run.status, "ok": run.ok, "report": report}


class LiveEvents(StreamingResponse):
    """The events of a run as server-sent events, from its begin; they end with the run."""

    media_type = "text/event-stream"

    def __init__(self, run: tukio.Workflow) -> None:
        self._events = run.events()
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them; listen no more when the run is over or the client has left."""
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """Return the next event as text, or a comment if there is none for a while."""
        with anyio.move_on_after(SILENCE):
            return as_text(await anext(self._events))
        return ": nothing new\n\n"


def as_text(event: tukio.Event) -> str:
    """Return an event as a server-sent one; of the data, it has only what tells of progress."""
    kind, source, time = event.data["type"], event.source, event.time
    assert source is not None
    assert time is not None
    told = {"type": kind, "task": source.task_template_id, "time": time.isoformat()}
    if kind == "task-progress":
        told["progress"] = event.data["content"]
    return f"id: {event.seq}\ndata: {json.dumps(told, default=str)}\n\n"


# What is answered ---------------------------------------------------------------------------------


async def start(request: Request) -> Response:
    """POST /runs: start a run, and return its id at once."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise HTTPException(400, f"Idempotency-Key: must match {KEY.pattern}")
    match await body_of(request):
        case {"workflow": str(workflow), "data": dict(data)}:
            run = await runs_of(request).start(workflow, data, key)
        case _:
            raise HTTPException(400, 'body: must be {"workflow": "an id", "data": {...}}')
    return JSONResponse({"id": run.uid}, 202, {"Location": f"/runs/{run.uid}"})


async def look(request: Request) -> Response:
    """GET /runs/{id}: tell how a run goes, or went."""
    return JSONResponse(state_of(run_of(request)))


async def follow(request: Request) -> Response:
    """GET /runs/{id}/events: tell what has happened in a run, and what happens from now on."""
    return LiveEvents(run_of(request))


async def cancel(request: Request) -> Response:
    """DELETE /runs/{id}: cancel a run; 202 while it ends, 200 if it was over before."""
    run = run_of(request)
    reason = request.query_params.get("reason", "asked for over HTTP")
    status = 202 if run.cancel(reason) else 200
    return JSONResponse(state_of(run), status)


async def health(request: Request) -> Response:
    """GET /health: tell how much there is to do."""
    numbers = runs_of(request).engine.statistics()
    return JSONResponse({"runs": numbers.runs, "started": numbers.started})


async def refused(request: Request, error: Exception) -> Response:
    """Tell why no run was started."""
    del request
    status = STATUS[error.reason] if isinstance(error, tukio.NotStarted) else 409
    return PlainTextResponse(str(error), status)


def runs_of(request: Request) -> Runs:
    """Return the runs of the service."""
    runs: Runs = request.app.state.runs
    return runs


def run_of(request: Request) -> tukio.Workflow:
    """Return the run that a URL names."""
    run = runs_of(request).find(request.path_params["id"])
    if run is None:
        raise HTTPException(404, "there is no run with this id, or it was over long ago")
    return run


async def body_of(request: Request) -> Any:
    """Return what the body of a request says."""
    try:
        return await request.json()
    except (ValueError, RecursionError, ClientDisconnect) as error:
        raise HTTPException(400, f"body: must be JSON - {error}") from error


# The service --------------------------------------------------------------------------------------


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Have an engine for as long as the service runs, and give its runs time at the end."""
    async with tukio.Engine() as engine:
        for template in TEMPLATES:
            await engine.load(template)
        app.state.runs = runs = Runs(engine)
        with engine.tap(runs.listen):
            yield
            await engine.stop(grace=GRACE)


app = Starlette(
    lifespan=lifespan,
    exception_handlers={tukio.NotStarted: refused, tukio.IdConflict: refused},
    routes=[
        Route("/runs", start, methods=["POST"]),
        Route("/runs/{id}", look, methods=["GET"]),
        Route("/runs/{id}", cancel, methods=["DELETE"]),
        Route("/runs/{id}/events", follow, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
    ],
)


# The program --------------------------------------------------------------------------------------

BACKENDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


async def told_to_end(serving: anyio.CancelScope) -> None:
    """Return when the process was told to end, and its runs are over."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(aiter(signals))
    # The server serves on, so each stream has the end of its run. A second signal ends the process
    # at once.
    await app.state.runs.engine.stop(grace=GRACE)
    serving.deadline = anyio.current_time() + LAST


async def main(library: str, port: int) -> None:
    """Serve until the process is told to end."""
    config: Any = importlib.import_module("hypercorn").Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = logging.getLogger("hypercorn")
    serve: Any = importlib.import_module(f"hypercorn.{library}").serve
    with anyio.CancelScope() as serving:
        await serve(app, config, shutdown_trigger=partial(told_to_end, serving))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, default="asyncio")
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    library, options = BACKENDS[chosen.backend]
    anyio.run(main, library, chosen.port, backend=library, backend_options=options)
