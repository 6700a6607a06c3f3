"""The process of a serving engine that we started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from eagle_bench.engines.http import Client
from eagle_bench.errors import RunFailure

KEEPER = Path(__file__).with_name("keeper.py")
LOOK_S = 0.05


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A server that this process started. It ends with this object, or with this process.

    What it prints goes behind the end of the file `log`. Variables of `environment` that are set
    already stay as they are.
    """

    def __init__(
        self, command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = command
        self._last_words = partial(last_words, log)
        self.client = Client(f"http://127.0.0.1:{port}", beside=self._last_words)
        with log.open("ab") as printed:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", str(KEEPER), *command],
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**(environment or {}), **os.environ},
            )
        self.close = weakref.finalize(self, _end, self._keeper)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._keeper.poll() is None

    def wait(self, ready_path: str, most_s: float) -> None:
        """Return once `ready_path` is answered.

        Raises
        ------
        RunFailure
            The server ended, or took longer than `most_s`.
        """
        began_s = time.monotonic()
        looking = Client(self.client.url, timeout_s=1)
        while time.monotonic() - began_s < most_s:
            if not self.runs:
                raise RunFailure(f"the server ended before it was ready{self._last_words()}")
            if looking.answers(ready_path):
                return
            time.sleep(LOOK_S)
        raise RunFailure(f"the server was not ready within {most_s:.0f} s{self._last_words()}")


def last_words(log: Path) -> str:
    """The last line of a server's log, as the end of a sentence."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]} (all of it is in {log.name})" if lines else ": it said nothing"


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """The keeper kills its group once its standard input ends."""
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()
