"""The web service of the examples runs under real servers, and ends as it is told to.

These are processes of their own, in real time.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parent.parent / "examples" / "web.py"

GRACE = 1.0
"""Seconds that the runs have when the service is told to end, here."""

SOON = 10.0
"""Seconds that a busy machine may take beyond."""

SHORT = {"workflow": "album", "data": {"pictures": ["a", "b", "c"]}}
LONG = {"workflow": "album", "data": {"pictures": ["a"] * 1000}}

LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"err": {"class": "logging.StreamHandler"}},
    "root": {"level": "INFO", "handlers": ["err"]},
}


@dataclass(frozen=True)
class Server:
    """How a server is started, and how it ends.

    Attributes:
        command: What Python is called with.
        exit_code: The exit code after SIGTERM.
        is_told: Whether the service knows of the signal before the streams are cut.
    """

    command: str
    exit_code: int = 0
    is_told: bool = False


PROGRAM = "-W error web.py --port {port} --backend"
HYPERCORN = (
    "-m hypercorn web:app --bind 127.0.0.1:{port} --log-config json:logs.json"
    " --graceful-timeout 1 --worker-class"
)
UVICORN = "-m uvicorn web:app --port {port} --log-config logs.json --timeout-graceful-shutdown 1"

SERVERS = {
    "program on asyncio": Server(f"{PROGRAM} asyncio", is_told=True),
    "program on uvloop": Server(f"{PROGRAM} uvloop", is_told=True),
    "program on trio": Server(f"{PROGRAM} trio", is_told=True),
    # When all is done, it raises the signal again.
    "uvicorn": Server(UVICORN, exit_code=-signal.SIGTERM),
    "hypercorn on asyncio": Server(f"{HYPERCORN} asyncio"),
    "hypercorn on trio": Server(f"{HYPERCORN} trio"),
}


@dataclass
class Service:
    """The service in a process of its own.

    Attributes:
        process: The process.
        port: The port that it listens to.
        log: Where its log is.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a request, and return the connection and its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = None if body is None else json.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, content, names)
        return connection, connection.getresponse()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a request; return the status, and the body read as JSON if it is that."""
        connection, answer = self.connect(method, path, body, **headers)
        content = answer.read()
        connection.close()
        kind = answer.headers["content-type"]
        return answer.status, json.loads(content) if "json" in kind else content.decode()

    def wait_until_it_listens(self) -> None:
        """Return when it answers."""
        until = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < until:
            try:
                self("GET", "/health")
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"it does not listen:\n{self.log.read_text()}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the example, whose grace is short, and a configuration of the log."""
    program = EXAMPLE.read_text()
    assert program.count("GRACE: Final = 5.0\n") == 1
    program = program.replace("GRACE: Final = 5.0\n", f"GRACE: Final = {GRACE}\n")
    (tmp_path / "web.py").write_text(program)
    (tmp_path / "logs.json").write_text(json.dumps(LOGS))
    return tmp_path


@pytest.fixture
def service(server: str, folder: Path) -> Iterator[Service]:
    """Give the service under a server; what is left of it afterwards is killed."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *SERVERS[server].command.format(port=port).split()],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # With the workers that it starts, it is a group of its own.
            start_new_session=True,
        )
    service = Service(process, port, folder / "log")
    try:
        service.wait_until_it_listens()
        yield service
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Listener:
    """Somebody who listens to the events of a run, in a thread."""

    service: Service
    uid: str
    types: list[str] = field(default_factory=list[str])
    connection: Any = None

    def __post_init__(self) -> None:
        self.connection, answer = self.service.connect("GET", f"/runs/{self.uid}/events")
        self._thread = threading.Thread(target=self._read, args=(answer,), daemon=True)
        self._thread.start()

    def _read(self, answer: Any) -> None:
        try:
            for line in answer:
                if line.startswith(b"data: "):
                    self.types.append(json.loads(line[6:])["type"])
        except (OSError, http.client.HTTPException):
            self.types.append("cut")

    def heard(self) -> list[str]:
        """Return the types of all events, when the stream has ended."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.connection.close()
        return self.types


@pytest.mark.parametrize("server", SERVERS)
def test_a_run_over_http(server: str, service: Service) -> None:
    """Started once by two deliveries, followed to its end, and asked for afterwards."""
    answers = [service("POST", "/runs", SHORT, Idempotency_Key="k") for _ in range(2)]
    assert answers == [(202, {"id": "k"})] * 2
    assert service("POST", "/runs", LONG, Idempotency_Key="k")[0] == 409
    events = Listener(service, "k").heard()
    assert (events[0], events[-1]) == ("workflow-begin", "workflow-end")
    status, state = service("GET", "/runs/k")
    assert (status, state["status"], state["ok"]) == (200, "finished", True)
    # One that leaves early harms nobody.
    service("POST", "/runs", LONG, Idempotency_Key="long")
    connection, answer = service.connect("GET", "/runs/long/events")
    answer.readline()
    connection.close()
    follower = Listener(service, "long")
    assert service("DELETE", "/runs/long?reason=enough")[0] == 202
    assert follower.heard()[-1] == "workflow-end"
    assert service("GET", "/runs/long")[1]["report"]["exec"]["reason"] == "enough"
    assert service("GET", "/health") == (200, {"runs": {}, "started": 2})
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(SOON) == SERVERS[server].exit_code
    assert "Traceback" not in service.log.read_text()


def waits_for_streams(server: str) -> bool:
    """Return whether a server ends when its streams do, whatever its limit is."""
    return server == "hypercorn on asyncio" and sys.version_info >= (3, 12)


@pytest.mark.parametrize("server", [name for name in SERVERS if not waits_for_streams(name)])
def test_sigterm_with_a_run_at_work_and_a_stream(server: str, service: Service) -> None:
    """The run has its grace, and is cancelled; the process ends soon afterwards."""
    service("POST", "/runs", LONG, Idempotency_Key="long")
    follower = Listener(service, "long")
    begun = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    if SERVERS[server].is_told:
        # It is told after a moment, and answers on.
        while service("POST", "/runs", SHORT)[0] != 503:
            assert time.monotonic() - begun < GRACE
        assert service("GET", "/runs/long")[1]["status"] == "running"
    assert service.process.wait(GRACE + SOON) == SERVERS[server].exit_code
    assert time.monotonic() - begun >= GRACE
    assert (follower.heard()[-1] == "workflow-end") is SERVERS[server].is_told
    assert "run long of workflow album is over: cancelled" in service.log.read_text()


@pytest.mark.parametrize("server", ["program on asyncio", "program on trio"])
def test_a_second_signal_ends_the_program_at_once(server: str, service: Service) -> None:
    """For those who do not want to wait."""
    service("POST", "/runs", LONG)
    service.process.send_signal(signal.SIGTERM)
    while service("POST", "/runs", SHORT)[0] != 503:
        pass
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(SOON) == -signal.SIGTERM


@pytest.mark.parametrize("server", ["program on asyncio", "program on trio"])
def test_half_a_request_holds_up_no_end(server: str, service: Service) -> None:
    """Whoever sends nothing more is not waited for."""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        service("GET", "/health")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(SOON) == 0
