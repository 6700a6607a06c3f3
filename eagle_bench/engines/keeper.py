"""Runs a command until its own standard input ends, which it does however the parent ended.

Started as a script, so that it needs no package: `keeper.py COMMAND ...`. The command and all
that it starts are one process group, and are killed together.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main(command: list[str]) -> None:
    """Start `command`; end with it, or end it."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)

    def watch() -> None:
        sys.stdin.read()
        kill()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    kill()
    os._exit(code if code >= 0 else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
