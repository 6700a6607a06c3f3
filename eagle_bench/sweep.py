"""What a multirun leaves when all its jobs are over, also when some of them failed.

Hydra 1.3 does not call `on_multirun_end` after a failed job, so its callback only notes the
sweep's folder at the start and the command collects from disk at its end.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from eagle_bench.config import Output, RunConfig, TrackerConfig
from eagle_bench.errors import RunFailure
from eagle_bench.results.job import Job


@dataclass
class Sweep:
    """The multirun of this process; nothing for a single run."""

    folder: Path | None = None
    output: Output = Output.table
    tracker: TrackerConfig | None = None

    def note(self, config: RunConfig) -> None:
        """The settings of any job say how the sweep is to be shown."""
        self.output, self.tracker = config.output, config.tracker

    def show(self) -> None:
        """Collect and show, if a multirun took place here."""
        if self.folder is None or not self.folder.is_dir():
            return
        from eagle_bench.results.show import show_sweep

        quiet = self.output is Output.quiet
        tracker = self.tracker or TrackerConfig(name="none")
        show_sweep(
            self.folder,
            self.output,
            tracker,
            lambda line: None if quiet else print(line, file=sys.stderr),
        )

    def refuse_suspect(self, job: Job, *, strict: bool) -> None:
        """With `strict`, a result with a violated guard is a failure, kept all the same."""
        violated = [guard["name"] for guard in job.summary.get("guards", [])]
        if strict and violated:
            raise RunFailure(f"strict: the result is suspect: {', '.join(violated)}.")


SWEEP = Sweep()


class SweepCallback(Callback):
    """Notes where the sweep's folder is before the first job starts."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        SWEEP.folder = Path(config.hydra.sweep.dir)
