"""What needs no SLURM: the environment, the reading of `squeue`, a machine without its commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from submitit.slurm.slurm import SlurmJob

from eagle_bench.launch.slurm import Queue, SlurmCallback

LISTED = """\
7_0|COMPLETED|None
7_1|CANCELLED|None
7_2|RUNNING|None
7_3|PENDING|Resources
8_0|RUNNING|None
"""


def test_the_surrounding_allocation_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlurmJob, "watcher", SlurmJob.watcher)
    for name in ("SLURM_JOB_ID", "SLURM_CPU_BIND", "SBATCH_PARTITION", "SLURM_CONF", "SLURP"):
        monkeypatch.setenv(name, "1")
    before = {*os.environ}
    launcher = {"_target_": "plugins.SlurmLauncher"}
    SlurmCallback().on_multirun_start(OmegaConf.create({"hydra": {"launcher": launcher}}))
    assert before - {*os.environ} >= {"SLURM_JOB_ID", "SLURM_CPU_BIND", "SBATCH_PARTITION"}
    assert {"SLURM_CONF", "SLURP", "PATH"} <= {*os.environ}


def test_the_queue_knows_which_jobs_are_over_and_which_were_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = tmp_path / "listing"
    listing.write_text(LISTED)
    program = tmp_path / "squeue"
    program.write_text(f"#!/bin/sh\n{shutil.which('cat')} {listing}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    told: list[str] = []
    queue = Queue(told.append)
    for job in ("7", "7_0", "7_1", "7_2", "7_3", "7_4"):
        queue.register_job(job)
    assert [queue.is_done(f"7_{number}") for number in range(5)] == [True, True, False, False, True]
    assert told == [
        "SLURM: 1 cancelled, 1 completed, 1 gone, 1 pending (Resources), 1 running",
    ]
    listing.write_text(LISTED.replace("RUNNING", "TIMEOUT").replace("PENDING", "COMPLETED"))
    queue.wait_for_all()
    assert queue.lost() == {"7_1": "CANCELLED", "7_2": "TIMEOUT", "7_4": "GONE"}


@pytest.mark.parametrize("command", [("run", "gen_len=8,9"), ("train", "training.tokens=1,2")])
def test_a_machine_without_slurm_is_told_in_a_sentence(
    tmp_path: Path, command: tuple[str, str]
) -> None:
    name, swept = command
    program = [sys.executable, "-m", f"eagle_bench.{name}", "-m", "hydra/launcher=slurm"]
    done = subprocess.run(
        [*program, swept, f"output_dir={tmp_path}"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "sbatch, srun, squeue, scontrol, not found on PATH" in done.stderr
    assert len(done.stderr.splitlines()) == 1
