"""How far a job is: a bar that is redrawn between generations only, never by a timer."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from eagle_bench.errors import printable
from eagle_bench.records.rows import GenerationRow


class ProgressBar:
    """Generations done, tokens/s and time left on stderr; silent when that is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._tokens = 0
        self._seconds = 0.0

    def start(self, total: int, repeat: int) -> None:
        """Show an empty bar for the `total` generations of a repeat."""
        self.stop()
        self._tokens, self._seconds = 0, 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            disable=self._quiet or not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task(f"repeat {repeat + 1}", total=total, speed="")
        self._progress.start()
        self._progress.refresh()

    def advance(self, row: GenerationRow) -> None:
        """Count one generation."""
        if self._progress is None:
            return
        self._tokens += row.new_tokens
        self._seconds += row.wall_s
        speed = f"{self._tokens / self._seconds:.0f} tokens/s" if self._seconds else ""
        self._progress.update(self._task, advance=1, speed=speed, description=row.arm)
        self._progress.refresh()

    def say(self, line: str) -> None:
        """One line on stderr."""
        if not self._quiet:
            self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
