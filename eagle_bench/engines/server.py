"""A serving engine's process, and talking to it over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import weakref
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from eagle_bench.errors import RunFailure

KEEPER = Path(__file__).with_name("keeper.py")
LOOK_S = 0.05
ANSWER_S = 600.0
MOST_LOG = 2**24


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A server that this process started. It ends with this object, or with this process."""

    def __init__(self, command: list[str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = TemporaryFile()  # noqa: SIM115 (it lives as long as the server)
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(KEEPER), *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.close = weakref.finalize(self, _end, self._keeper)

    def wait(self, ready_path: str, most_s: float) -> None:
        """Return once `ready_path` is answered.

        Raises
        ------
        RunFailure
            The server ended, or took longer than `most_s`.
        """
        began_s = time.monotonic()
        while time.monotonic() - began_s < most_s:
            if self._keeper.poll() is not None:
                raise RunFailure(f"the server ended before it was ready: {self._last_words()}")
            try:
                with urlopen(self.url + ready_path, timeout=1):
                    return
            except OSError:
                time.sleep(LOOK_S)
        raise RunFailure(f"the server was not ready within {most_s:.0f} s: {self._last_words()}")

    def get(self, path: str) -> str:
        """The page at `path`."""
        return self._ask(Request(self.url + path))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON object that answers `body`."""
        sent = json.dumps(body).encode()
        request = Request(self.url + path, sent, {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.loads(self._ask(request))
        return answer

    def _ask(self, request: Request) -> str:
        try:
            with urlopen(request, timeout=ANSWER_S) as answer:
                text: str = answer.read().decode()
                return text
        except HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise RunFailure(f"the server answered {error.code} {error.reason}: {said}") from error
        except (OSError, HTTPException) as error:
            raise RunFailure(f"the server is gone ({error}): {self._last_words()}") from error

    def _last_words(self) -> str:
        printed = os.pread(self._log.fileno(), MOST_LOG, 0).decode(errors="replace")
        return (printed.strip().splitlines() or ["it said nothing"])[-1][:200]


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """The keeper kills its group once its standard input ends."""
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()
