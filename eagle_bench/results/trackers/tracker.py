"""What every tracker does, and the factory that picks one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eagle_bench.config import TrackerConfig
from eagle_bench.errors import UserError
from eagle_bench.results.job import Job
from eagle_bench.results.table import Table

TRACKERS = ("wandb", "none", "tensorboard", "mlflow")
MODES = ("offline", "online", "disabled")

Say = Callable[[str], None]
"""Shows the user one line."""


@dataclass(frozen=True)
class JobRecord:
    """A finished or failed job, ready to be logged.

    Attributes
    ----------
    job : Job
        Its config is logged without secrets.
    group : str
        The sweep it belongs to, or its own name.
    table : Table
        Its row of the results table.
    pictures : Sequence[Path]
        PNG files.
    """

    job: Job
    group: str
    table: Table
    pictures: Sequence[Path] = ()


@dataclass(frozen=True)
class SweepRecord:
    """A whole multirun: its table, pictures and files as one report."""

    group: str
    jobs: Sequence[Job]
    table: Table
    pictures: Sequence[Path] = ()
    files: Sequence[Path] = ()


class Tracker(Protocol):
    """Logs results after they were measured and stored: it never runs in a timed region.

    A service that is down never stops a run: a tracker says so in one line and goes on.
    """

    def log_job(self, record: JobRecord) -> None:
        """Log one job as one run of the service."""

    def log_sweep(self, record: SweepRecord) -> None:
        """Log the report of a multirun as one more run."""


def make_tracker(config: TrackerConfig, folder: Path, say: Say) -> Tracker:
    """Pick the tracker that the config names.

    Parameters
    ----------
    config : TrackerConfig
        The group `tracker`.
    folder : Path
        Where trackers that write locally put their files.
    say : callable
        Shows the user one line.

    Raises
    ------
    UserError
        No such tracker or mode, or its library is not installed.
    """
    if config.mode not in MODES:
        raise UserError(f"tracker.mode={config.mode} must be one of {', '.join(MODES)}.")
    if config.name == "wandb":
        from eagle_bench.results.trackers.wandb_tracker import WandbTracker

        return WandbTracker(config, folder, say)
    if config.name == "tensorboard":
        from eagle_bench.results.trackers.tensorboard_tracker import TensorboardTracker

        return TensorboardTracker(config, folder, say)
    if config.name == "mlflow":
        from eagle_bench.results.trackers.mlflow_tracker import MlflowTracker

        return MlflowTracker(config, folder, say)
    if config.name == "none":
        from eagle_bench.results.trackers.no_tracker import NoTracker

        return NoTracker()
    raise UserError(f"tracker={config.name} must be one of {', '.join(TRACKERS)}.")
