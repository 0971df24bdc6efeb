"""A client of an ASGI application in the same event loop: requests without a server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Answer:
    """What came back so far.

    Attributes:
        status: The status; 0 before there is one.
        headers: The headers, with names in lower case.
        body: The body so far.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The server-sent events in the body so far, each with its `id`."""
        found: list[dict[str, Any]] = []
        for block in self.body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
            if fields:
                found.append({"id": int(fields["id"]), **json.loads(fields["data"])})
        return found


class Client:
    """Makes requests of an application.

    Args:
        app: The application; its lifespan is the caller's affair.
        spec_version: The version of the HTTP part of ASGI. From 2.4 on a client that has left is
            told of by an `OSError` out of `send`.
    """

    def __init__(self, app: Application, spec_version: str = "2.3") -> None:
        self._app: Application = app
        self._version: str = spec_version

    async def __call__(
        self,
        request: str,
        body: Any = None,
        *,
        answer: Answer | None = None,
        left: anyio.Event | None = None,
        **headers: str,
    ) -> Answer:
        """Make a request, and return the whole answer.

        Args:
            request: Method and URL, as `GET /path?query`.
            body: What is sent: bytes as they are, anything else as JSON. None is a body that never
                comes.
            answer: Where the answer is collected, for those who look on.
            left: Set when the client leaves.
            headers: The headers, with `_` in place of `-`.
        """
        answer, left = answer or Answer(), left or anyio.Event()
        method, _, url = request.partition(" ")
        path, _, query = url.partition("?")
        coming: list[dict[str, Any]] = []
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            coming.append({"type": "http.request", "body": content})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": self._version},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (k.lower().replace("_", "-").encode(), v.encode()) for k, v in headers.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }

        async def receive() -> dict[str, Any]:
            if coming:
                return coming.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if left.is_set():
                if self._version >= "2.4":
                    raise OSError
                return
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers |= {k.decode(): v.decode() for k, v in message["headers"]}
            answer.body += message.get("body", b"")

        await self._app(scope, receive, send)
        return answer
