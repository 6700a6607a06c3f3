"""`python -m eagle_bench.run` on a real SLURM, as `.ci/slurm` sets one up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from eagle_bench.results.collect import load_results

TINY = (
    *("tracker=none", "threads=1", "measure.preflight=false"),
    *("measure.warmup_max=1", "measure.remeasure=0"),
)
LAUNCHER = ("-m", "hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1")


class Submitter:
    """Starts sweeps whose jobs are SLURM's; what is still running goes with its test."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Return while the command waits for its jobs."""
        command = [sys.executable, "-m", "eagle_bench.run", *LAUNCHER, *TINY, *arguments]
        process = subprocess.Popen(
            [*command, f"output_dir={self.output}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit code and output of the whole command."""
        return finish(self.start(*arguments, **environment))

    def arrays(self) -> list[str]:
        """The job id of every array, the latest last."""
        scripts = self.output.glob("sweeps/*/.submitit/*/*_submission.sh")
        return sorted((script.name.partition("_")[0] for script in scripts), key=int)

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()
        if self.arrays():
            subprocess.run(["scancel", "--quiet", *self.arrays()], check=False)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and output of a command that was started."""
    told, _ = process.communicate(timeout=300)
    return process.returncode, told


def wait_for(condition: Callable[[], object], within_s: float = 240) -> None:
    """Return as soon as `condition` is true."""
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.1)


def rows(folder: Path) -> pd.DataFrame:
    """Every generation on the disk under `folder`."""
    return load_results(folder).generations


def jobs(folder: Path) -> pd.DataFrame:
    """Every job under `folder`, by generation length."""
    return load_results(folder).jobs.sort_values("gen_len", ignore_index=True)


@pytest.fixture
def submitter(tmp_path: Path) -> Iterator[Submitter]:
    submitter = Submitter(tmp_path)
    yield submitter
    submitter.stop()


@pytest.fixture(autouse=True)
def _slurm(request: pytest.FixtureRequest) -> None:
    """Skip a test marked `slurm` where no controller answers; where one was promised, fail."""
    if request.node.get_closest_marker("slurm") is None or answers():
        return
    told = "no slurmctld answers sinfo; .ci/slurm sets one up"
    if {"CI", "SLURM_CONF"} & os.environ.keys():
        pytest.fail(told)
    pytest.skip(told)


@cache
def answers() -> bool:
    """True when a SLURM controller is there."""
    if shutil.which("sinfo") is None:
        return False
    asked = subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=60, check=False)
    return asked.returncode == 0
