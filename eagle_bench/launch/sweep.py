"""What a multirun leaves when all its jobs are over, also when some of them failed.

This file alone names what is private in Hydra: the grid's sweeper, and a job's error.

Hydra 1.3 does not call `on_multirun_end` after a failed job, so its callback only notes the
sweep's folder at the start and the command collects from disk at its end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import Output
from eagle_bench.errors import RunFailure, UserError, printable
from eagle_bench.launch.folders import job_settings
from eagle_bench.launch.secrets import MULTIRUN, hide_secrets
from eagle_bench.records.job import RESULT_FILE
from eagle_bench.records.lock import FolderBusy
from eagle_bench.records.plan import PLAN, write_plan
from eagle_bench.results.progress import duration


@dataclass
class Sweep:
    """The multirun of this process; nothing for a single run.

    Attributes
    ----------
    jobs : int
        How many there are; 0 where that is not known beforehand.
    measured_s : list[float]
        What each job took that was not found finished.
    began_s : float
        When this process began to work, on the clock `time.monotonic`.
    """

    folder: Path | None = None
    output: Output = Output.table
    tracker: TrackerConfig | None = None
    jobs: int = 0
    measured_s: list[float] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    def place(self, number: int) -> str:
        """Which of the sweep's jobs the `number`-th is, and how long it and the rest will take."""
        if not self.jobs:
            return f"job {number + 1}"
        told = f"job {number + 1} of {self.jobs}"
        if not self.measured_s:
            return told
        left_s = (self.jobs - number) * sum(self.measured_s) / len(self.measured_s)
        return f"{told}, about {duration(left_s)} left"

    def say(self, line: str) -> None:
        """One line on stderr."""
        if self.output is not Output.quiet:
            print(printable(line), file=sys.stderr, flush=True)

    def show(self, show: Callable[[Path, Output, TrackerConfig, Say], None]) -> None:
        """Let `show` tell what a multirun left, if one took place here and had a first job.

        A sweep that ended before its first job still has Hydra's record with its secrets.
        """
        if self.folder is None or not os.path.isdir(self.folder):  # Too long a path is none.
            return
        hide_secrets(self.folder.glob(MULTIRUN))
        if self.tracker is not None and _has_jobs(self.folder):
            show(self.folder, self.output, self.tracker, self.say)


Say = Callable[[str], None]
SWEEP = Sweep()
TOLD_BY_THE_SWEEP = (HydraException, OmegaConfBaseException, UserError, RunFailure, OSError)
"""Errors that come again, with a better sentence, when the sweep itself starts."""


class SweepCallback(Callback):
    """Before the first job starts, notes where the sweep is and how it is to be shown.

    A setting that is itself swept is not known here, and counts as its default.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        with suppress(*TOLD_BY_THE_SWEEP):
            tracker = OmegaConf.to_object(config.tracker)
            assert isinstance(tracker, TrackerConfig)
            SWEEP.folder = Path(config.hydra.sweep.dir)
            SWEEP.output, SWEEP.tracker = config.output, tracker
            jobs = grid_jobs(config)
            SWEEP.jobs = len(jobs)
            write_plan(SWEEP.folder, planned_jobs(jobs))


def forget_plan() -> None:
    """The sweep was refused as a whole: none of its jobs is to be missed."""
    if SWEEP.folder is not None and not _has_jobs(SWEEP.folder):
        (SWEEP.folder / PLAN).unlink(missing_ok=True)


class FailureCallback(Callback):
    """Writes a failed `result.json` for settings that were refused and for unexpected errors."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        from eagle_bench.records.store import RunFolder

        folder = Path(config.hydra.runtime.output_dir)
        error = job_return._return_value
        told = (folder / RESULT_FILE).exists() or isinstance(error, FolderBusy)
        if job_return.status is not JobStatus.FAILED or told:
            return
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        settings = OmegaConf.to_container(job_return.cfg, enum_to_str=True)
        assert isinstance(settings, dict)
        with suppress(UserError, RunFailure), RunFolder(folder) as store:
            store.fail(reason, {str(key): value for key, value in settings.items()}, {})


def planned_jobs(jobs: Sequence[DictConfig]) -> dict[str, dict[str, Any]]:
    """The config of every job, by the name of its folder, which equal jobs share."""
    planned: dict[str, Any] = {}
    for job in jobs:
        settings = OmegaConf.to_container(job_settings(job), resolve=True, enum_to_str=True)
        planned[job.hydra.sweep.subdir] = settings
    return planned


def grid_jobs(config: DictConfig) -> list[DictConfig]:
    """Every job of a multirun as it will be composed; none of a sweeper that chooses as it goes.

    Raises
    ------
    HydraException, OmegaConfBaseException
        An override is refused.
    """
    if not config.hydra.sweeper._target_.endswith(BasicSweeper.__name__):
        return []
    loader = GlobalHydra.instance().config_loader()
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    parser = OverridesParser.create(config_loader=loader)
    given = parser.parse_overrides([*params, *config.hydra.overrides.task])
    [batch] = BasicSweeper.split_arguments(given, max_batch_size=None)
    return [loader.load_sweep_config(config, overrides) for overrides in batch]


def _has_jobs(folder: Path) -> bool:
    return any(path.is_dir() and path.name[0] != "." for path in folder.iterdir())
