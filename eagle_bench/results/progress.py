"""How far a job is: lines, and a bar that is redrawn between generations only, never by a timer."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from eagle_bench.errors import OutOfTime, printable
from eagle_bench.records.rows import GenerationRow
from eagle_bench.results.log import Log

SILENCE_S = 4.0
"""In a log: the least time between two lines that say how far it is."""
SHARE = 0.05
"""In a log: such a line takes the place of that share of the time so far."""


class ProgressBar:
    """Generations done, tokens/s and time left on stderr: a bar in a terminal, lines in a log."""

    def __init__(
        self,
        *,
        quiet: bool,
        until_s: float = math.inf,
        folder: Path | None = None,
        verbose: bool = False,
    ) -> None:
        """Show, unless `quiet`, and log into `folder`; each generation where `verbose`.

        `until_s` is when `OutOfTime` is raised, on the clock `time.monotonic`.
        """
        self._quiet = quiet
        self._verbose = verbose
        self._log = Log(folder)
        self._until_s = until_s
        self._console = Console(stderr=True)
        self._drawn = sys.stderr.isatty()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._tokens = 0
        self._seconds = 0.0
        self._began_s = self._told_s = 0.0
        self._unfinished = False

    def start(self, total: int, repeat: int) -> None:
        """Show an empty bar for the `total` generations of a repeat."""
        self.check_time()
        self.stop()
        self._tokens, self._seconds = 0, 0.0
        self._began_s = self._told_s = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            disable=self._quiet or not self._drawn,
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
        if self._verbose:
            self.say(_generation(row))
        else:
            self._log.write(_generation(row))
            if not self._drawn:
                self._tell(speed)
        self.check_time()

    def check_time(self) -> None:
        """Raise `OutOfTime` when `until_s` is over."""
        if time.monotonic() > self._until_s:
            self.stop()
            raise OutOfTime("limit_s is over; the same command goes on.")

    def say(self, line: str) -> None:
        """One line on stderr and in the log."""
        self._log.write(line)
        if self._quiet:
            return
        self._end_line()
        self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def phase(self, what: str) -> Iterator[None]:
        """A line on what begins, which its seconds end."""
        began_s = time.monotonic()
        if not self._quiet:
            self._end_line()
            self._write(f"{printable(what)} ... ")
            self._unfinished = True
        try:
            yield
        except BaseException:
            self._end_line()
            raise
        took = f"{time.monotonic() - began_s:.1f} s"
        self._log.write(f"{what} ... {took}")
        if self._unfinished:
            self._write(f"{took}\n")
            self._unfinished = False

    def stop(self, why: BaseException | None = None) -> None:
        """Take the bar away; the log holds `why`."""
        if why is not None:
            self._log.write(f"ended: {why or type(why).__name__}")
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _tell(self, speed: str) -> None:
        """How far it is, where no bar shows it."""
        assert self._progress is not None
        task = self._progress.tasks[self._task]
        now_s = time.monotonic()
        passed_s = now_s - self._began_s
        if now_s - self._told_s < max(SILENCE_S, SHARE * passed_s) or task.total is None:
            return
        self._told_s = now_s
        left = duration(passed_s / task.completed * (task.total - task.completed))
        self.say(
            f"{task.completed:.0f} of {task.total:.0f} generations, {speed}, about {left} left"
        )

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def _end_line(self) -> None:
        if self._unfinished:
            self._write("\n")
            self._unfinished = False


def _generation(row: GenerationRow) -> str:
    place = f"{row.prompt_id}, turn {row.turn}, repeat {row.repeat}, {row.arm}"
    return f"{place}: {row.new_tokens} tokens in {row.wall_s:.3f} s, {row.target_calls} calls"


def duration(seconds: float) -> str:
    """As in `40 seconds`, `12 minutes`, `3.5 hours`."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
