"""What a SLURM sweep needs besides its launcher, which submits one job array and waits for it.

Nothing of the allocation that a user sits in may reach the jobs; a killed job is over also on a
cluster that keeps no accounts; and no job of the array is left behind when one of them is lost.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from submitit.core.utils import FailedJobError, UncompletedJobError
from submitit.slurm.slurm import (
    SlurmExecutor,
    SlurmInfoWatcher,
    SlurmJob,
    _make_sbatch_string,
)

from eagle_bench.config.values import Output
from eagle_bench.errors import RunFailure
from eagle_bench.launch.sweep import forget_plan

SLURM_LAUNCHER = "SlurmLauncher"
COMMANDS = ("sbatch", "srun", "squeue", "scontrol")
LEAKING = ("SLURM_", "SBATCH_", "SRUN_")
KEPT = "SLURM_CONF"
POLL_S = 15
GONE = "GONE"
OVER = {
    *"BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL".split(),
    *f"OUT_OF_MEMORY PREEMPTED TIMEOUT {GONE}".split(),
}


class SlurmCallback(Callback):
    """Before the launcher submits: forgets the surrounding allocation, watches the queue.

    `sbatch` lets its environment win over the script, and hands it on to the jobs.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        if not config.hydra.launcher._target_.endswith(SLURM_LAUNCHER):
            return
        for name in list(os.environ):
            if name.startswith(LEAKING) and name != KEPT:
                del os.environ[name]
        quiet = OmegaConf.select(config, "output") is Output.quiet
        SlurmJob.watcher = Queue(lambda line: None if quiet else _tell(line))


def array_script(config: DictConfig, jobs: int) -> str:
    """The script that the launcher would submit for a sweep of `jobs` jobs; empty without SLURM.

    Its last command, `JOB`, stands for what the launcher writes only when it submits.
    """
    if not config.hydra.launcher._target_.endswith(SLURM_LAUNCHER):
        return ""
    asked = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    assert isinstance(asked, dict)
    folder = asked.pop("submitit_folder")
    names = SlurmExecutor._equivalence_dict()
    settings = {names.get(str(key), str(key)): value for key, value in asked.items()}
    if settings["mem"] is not None:
        settings["mem"] = f"{settings['mem']}GB"
    known = SlurmExecutor._valid_parameters()
    kept: dict[str, Any] = {key: value for key, value in settings.items() if key in known}
    return _make_sbatch_string("JOB", folder, map_count=jobs, **kept)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def plain_failures() -> Iterator[None]:
    """Inside, the launcher's errors become a sentence, once every job of the array is over.

    Raises
    ------
    HydraException
        There is no SLURM here, or it refuses the jobs.
    RunFailure
        Jobs ended without a result.
    """
    try:
        yield
    except Exception as error:
        queue = SlurmJob.watcher
        if not isinstance(queue, Queue):
            raise
        absent = [command for command in COMMANDS if shutil.which(command) is None]
        if absent:
            forget_plan()
            raise HydraException(
                f"hydra/launcher=slurm submits with {', '.join(absent)}, not found on PATH here; "
                "start it on a login node, or leave the launcher away to run on this machine."
            ) from None
        if isinstance(error.__cause__, subprocess.CalledProcessError):
            forget_plan()
            raise HydraException(_refusal(error)) from None
        queue.wait_for_all()
        if isinstance(error, FailedJobError) or not isinstance(error, UncompletedJobError):
            raise
        lost = ", ".join(f"{job} {state}" for job, state in sorted(queue.lost().items()))
        raise RunFailure(
            f"SLURM jobs ended without a result ({lost}); the same command goes on from their rows."
        ) from error


class Queue(SlurmInfoWatcher):
    """The states of this process's jobs as `squeue` tells them.

    The launcher's own watcher asks `sacct`, and waits for ever where that has no answer.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(delay_s=POLL_S)
        self._say = say
        self._told = ""

    def update(self) -> None:
        """Ask `squeue`, and tell how many jobs are in which state when that has changed."""
        super().update()
        counts = Counter(_in_words(info) for info in self._jobs().values())
        told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        if told != self._told:
            self._told = told
            self._say(f"SLURM: {told}")

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        return self.get_state(job_id, mode) in OVER

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        text = string.decode() if isinstance(string, bytes) else string
        found = {job: {"State": GONE, "Reason": ""} for job in self._registered}
        for line in text.splitlines():
            job, state, reason = line.split("|", 2)
            if job in found:
                found[job] = {"State": state, "Reason": reason}
        return found

    def wait_for_all(self) -> None:
        """Return when no job is pending or running."""
        self.update()
        while self._registered - self._finished:
            time.sleep(POLL_S)
            self.update()

    def lost(self) -> dict[str, str]:
        """The state of every job that is over without having completed."""
        states = {job: info["State"] for job, info in self._jobs().items()}
        return {job: state for job, state in states.items() if state in OVER - {"COMPLETED"}}

    def _jobs(self) -> dict[str, dict[str, str]]:
        # The launcher registers the array beside its jobs.
        arrays = {job.partition("_")[0] for job in self._registered if "_" in job}
        return {job: info for job, info in self._info_dict.items() if job not in arrays}

    def _make_command(self) -> list[str]:
        return [*"squeue --me --array --states=all --noheader".split(), "--format=%i|%T|%r"]


def _in_words(info: dict[str, str]) -> str:
    waits = info["State"] == "PENDING" and info["Reason"] != "None"
    return info["State"].lower() + (f" ({info['Reason']})" if waits else "")


def _refusal(error: Exception) -> str:
    lines = re.sub("(?m)^sbatch: (error|fatal): ", "", str(error)).splitlines()
    return f"SLURM refused the jobs: {'; '.join(dict.fromkeys(lines))}."
