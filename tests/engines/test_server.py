"""A server's process: ready or not, answering or not, and never longer than ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from eagle_bench.engines.server import Server, free_port
from eagle_bench.errors import RunFailure

PAGES = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if self.path == "/nothing" else 200)
        self.end_headers()
        self.wfile.write(b"here")
    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"sent": sent}).encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Pages).serve_forever()
"""


def pages(port: int) -> list[str]:
    return [sys.executable, "-c", PAGES, str(port)]


def serving(port: int) -> list[psutil.Process]:
    """The processes that were told this port."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(port) in (process.info["cmdline"] or [])
    ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    started = Server(pages(port), port, tmp_path / "server.log")
    started.wait("/", 60)
    yield started
    started.close()


def test_a_server_is_asked_and_ends_when_it_is_closed(server: Server) -> None:
    asked = server.client
    assert asked.get("/") == "here"
    assert asked.post("/", {"prompt": [1]}) == {"sent": {"prompt": [1]}}
    with pytest.raises(RunFailure, match="answered 404"):
        asked.get("/nothing")
    server.close()
    with pytest.raises(RunFailure, match="no server answers"):
        asked.get("/")


def test_a_server_that_ends_at_once_says_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('why\\nbad file'); raise SystemExit(3)"]
    doomed = Server(command, free_port(), log := tmp_path / "server.log")
    with pytest.raises(RunFailure, match="ready: bad file .all of it is in server.log."):
        doomed.wait("/", 60)
    assert not doomed.runs
    assert log.read_text() == "why\nbad file\n"


def test_a_server_that_is_never_ready_is_not_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    idle = Server(command, free_port(), tmp_path / "server.log")
    with pytest.raises(RunFailure, match="not ready within 0 s: it said nothing"):
        idle.wait("/", 0.2)


def test_a_server_does_not_outlive_a_process_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    script = tmp_path / "ours.py"
    script.write_text(
        "import time\nfrom pathlib import Path\n"
        "from eagle_bench.engines.server import Server\n"
        f"server = Server({pages(port)!r}, {port}, Path({str(tmp_path / 'log')!r}))\n"
        "server.wait('/', 60)\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == "ready\n"
        assert serving(port)
        os.kill(ours.pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while serving(port) and time.monotonic() < until:
        time.sleep(0.05)
    assert not serving(port)
