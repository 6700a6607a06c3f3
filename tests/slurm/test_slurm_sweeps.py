"""Sweeps on a real SLURM: an array, a job cancelled, preempted or out of time, a refusal.

A job that something is to happen to is held after its first pair, so that it is there on any
machine.
"""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.slurm.conftest import Submitter, finish, jobs, rows, wait_for

pytestmark = pytest.mark.slurm


def test_five_lengths_as_one_array_free_of_the_allocation_around(
    tmp_path: Path, submitter: Submitter
) -> None:
    leaked = {
        "SLURM_JOB_ID": "1",
        "SLURM_CPU_BIND": "quiet,mask_cpu:0x1",
        "SLURM_LEAKED": "yes",
        "SBATCH_PARTITION": "nowhere",
        "SBATCH_LEAKED": "yes",
    }
    setup = f"hydra.launcher.setup=['env > {tmp_path}/$SLURM_ARRAY_TASK_ID.env']"
    code, told = submitter.run("num_samples=1", "gen_len=8,9,10,11,12", setup, **leaked)
    assert code == 0, told
    found = jobs(tmp_path / "sweeps")
    assert list(found["gen_len"]) == [8, 9, 10, 11, 12]
    assert list(found["status"]) == ["complete"] * 5
    assert len(rows(tmp_path / "sweeps")) == 5 * 2
    [table] = (tmp_path / "sweeps").glob("*/table.md")
    assert all(f"| {length} |" in table.read_text() for length in range(8, 13))
    environments = [path.read_text().splitlines() for path in tmp_path.glob("*.env")]
    assert len(environments) == 5
    for environment in environments:
        given = dict(line.split("=", 1) for line in environment if "=" in line)
        assert given["SLURM_JOB_PARTITION"] == "debug"
        assert int(given["SLURM_JOB_ID"]) > 1
        assert not {*leaked} & {*given} - {"SLURM_JOB_ID"}


def test_a_cancelled_job_is_told_and_the_same_command_goes_on(
    tmp_path: Path, submitter: Submitter
) -> None:
    sweep = (
        "num_samples=6",
        "gen_len=600,8,9",
        "stop=length",
        "hydra.launcher.array_parallelism=1",
    )
    command = submitter.start(*sweep)
    wait_for(lambda: finished(tmp_path))
    process_of(tmp_path).suspend()
    [array] = submitter.arrays()
    subprocess.run(["scancel", f"{array}_0", f"{array}_2"], check=True)
    code, told = finish(command)
    assert code == 1, told
    assert "Traceback" not in told
    lost = rf"{array}_0 CANCELLED, {array}_2 (CANCELLED|GONE)"
    assert re.search(rf"\({lost}\); the same command goes on", told), told
    found = jobs(tmp_path / "sweeps")
    assert list(found["status"]) == ["complete", "missing", "missing"]
    assert found["reason"][1] == "it has not started"
    assert "interrupted after" in found["reason"][2]
    [table] = (tmp_path / "sweeps").glob("*/table.md")
    assert "missing: interrupted after" in table.read_text()
    assert "missing: it has not started" in table.read_text()
    before = rows(tmp_path / "sweeps")

    code, told = submitter.run(*sweep[:-1])
    assert code == 0, told
    assert list(jobs(tmp_path / "sweeps")["status"]) == ["complete"] * 3
    after = rows(tmp_path / "sweeps")
    assert len(after) == 3 * 6 * 2
    pairs = before.groupby(["gen_len", "prompt_id"])["started_s"]
    kept = [moment for _, pair in pairs if len(pair) == 2 for moment in pair]
    assert len(kept) >= 6 * 2 + 2
    assert {*kept} <= {*after["started_s"]}


def test_a_preempted_job_is_queued_again_and_goes_on_from_its_rows(
    tmp_path: Path, submitter: Submitter
) -> None:
    command = submitter.start("num_samples=6", "gen_len=600", "stop=length")
    wait_for(lambda: finished(tmp_path))
    process_of(tmp_path).suspend()
    urgent = "sbatch --partition=urgent --exclusive --output=/dev/null --wrap=true"
    subprocess.run(urgent.split(), check=True)
    code, told = finish(command)
    assert code == 0, told
    [log] = tmp_path.glob("sweeps/*/.submitit/*/*.err")
    assert "DUE TO PREEMPTION" in log.read_text()
    found = jobs(tmp_path / "sweeps")
    assert list(found["status"]) == ["complete"]
    assert found["resumed_generations"][0] >= 2
    assert len(rows(tmp_path / "sweeps")) == 6 * 2


def test_a_job_that_times_out_is_queued_again_and_goes_on_from_its_rows(
    tmp_path: Path, submitter: Submitter
) -> None:
    # SLURM looks every 30 s for jobs whose end is near, so the signal comes 25 to 55 s after the
    # start. The job is held from its first pair to then.
    limits = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5")
    command = submitter.start(*limits, "num_samples=3", "gen_len=40", "stop=length")
    wait_for(lambda: finished(tmp_path))
    held = process_of(tmp_path)
    held.suspend()
    wait_for(lambda: is_told(held.pid, signal.SIGUSR2))
    with suppress(psutil.NoSuchProcess):
        held.resume()
    code, told = finish(command)
    assert code == 0, told
    [log] = tmp_path.glob("sweeps/*/.submitit/*/*.err")
    assert "this job is timed-out" in log.read_text()
    found = jobs(tmp_path / "sweeps")
    assert list(found["status"]) == ["complete"]
    assert found["resumed_generations"][0] >= 2
    assert len(rows(tmp_path / "sweeps")) == 3 * 2


def test_an_unknown_partition_is_one_sentence_and_exit_code_2(
    tmp_path: Path, submitter: Submitter
) -> None:
    code, told = submitter.run("gen_len=8,9", "hydra.launcher.partition=nowhere")
    assert code == 2, told
    assert "eagle_bench: SLURM refused the jobs: invalid partition specified: nowhere" in told
    assert "Traceback" not in told


def finished(output: Path) -> int:
    """Prompts that both arms have measured in the job that has measured most."""
    logs = output.glob("sweeps/*/*/generations.jsonl")
    return max((log.read_text().count("\n") for log in logs), default=0) // 2


def process_of(output: Path) -> psutil.Process:
    """The one job that runs."""
    [process] = [
        each
        for each in psutil.process_iter(["cmdline"])
        if "submitit.core._submit" in (line := each.info["cmdline"] or [])
        and "python" in line[0]
        and line[-1].startswith(str(output))
    ]
    return process


def is_told(pid: int, number: signal.Signals) -> bool:
    """True when the signal waits for a suspended process, or came before and ended it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd")]
    return bool(int(mask, 16) >> (number - 1) & 1)
