"""What the terminal said of a job, kept in its folder; also where the terminal is quiet."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from eagle_bench.records.scrub import scrub

LOG_FILE = "log.txt"


class Log:
    """Lines with their time of day, UTC; a job that goes on goes on in the same file."""

    def __init__(self, folder: Path | None) -> None:
        """None keeps nothing."""
        self._path = folder and folder / LOG_FILE

    def write(self, line: str) -> None:
        """Add a line. A disk that has no room for it costs the line and nothing else."""
        if self._path is None:
            return
        told = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {scrub(line)}\n"
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(told)
